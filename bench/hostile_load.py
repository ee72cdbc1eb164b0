"""Sends hostile documents, so many a second whatever comes of them: `python -m bench.hostile_load`.

Reads one job a line, says "begun" when it begins, and answers with one line: how often each status came.
"""

import json
import select
import socket
import sys
import time
from collections import Counter

from bench.hostile_documents import hostile_documents

CONNECTIONS = 64
END = b"\r\n\r\n"


def requests(first: int, count: int) -> list[bytes]:
    """Whole HTTP requests, anonymous ones."""
    found = []
    for text in hostile_documents(first + count)[first:]:
        body = json.dumps({"query": text}).encode()
        head = (
            "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}"
        )
        found.append(head.encode() + END + body)
    return found


def run(port: int, rate: float, seconds: float, first: int) -> Counter[str]:
    """Send for so long; the statuses, and how many found no free connection. Documents are numbered from `first`."""
    due = requests(first, int(rate * seconds))
    print("begun", flush=True)
    free = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    busy: dict[socket.socket, bytes] = {}
    statuses: Counter[str] = Counter()
    started = time.perf_counter()
    sent = 0
    while time.perf_counter() < started + seconds:
        now = time.perf_counter() - started
        while sent < len(due) and sent / rate <= now:
            if free:
                client = free.pop()
                client.sendall(due[sent])
                busy[client] = b""
            else:
                statuses["no connection"] += 1
            sent += 1
        wait = max(sent / rate - (time.perf_counter() - started), 0.0)
        for client in select.select(list(busy), (), (), min(wait, 0.05))[0]:
            busy[client] += client.recv(1 << 20)
            head, _, body = busy[client].partition(END)
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0].partition(b":")[2]):
                statuses[head.split(b" ", 2)[1].decode()] += 1
                del busy[client]
                free.append(client)
    statuses["not answered yet"] = len(busy)
    for client in (*free, *busy):
        client.close()
    return statuses


def main() -> None:
    """Jobs from standard input until it ends."""
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
