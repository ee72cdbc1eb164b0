"""The load generator, a process of its own: `python -m bench.load` reads one job a line and answers with one line.

Plain sockets in non-blocking mode and select(), whose waits are exact to microseconds. Requests are sent as they were
given; of an answer only the status line, the length and the absence of errors are looked at, so that the generator
costs little beside the server that it measures.
"""

import json
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field

END = b"\r\n\r\n"
LENGTH = b"content-length: "
ERRORS = b'"errors"'
# An answer may be this much longer or shorter than the first one was: cursors and counts have more digits one day.
SLACK = 64
# Seconds without any answer after which a server counts as stuck.
PATIENCE = 20.0


@dataclass
class Job:
    """What to send. `requests[i % len(requests)]` is what connection i sends in turn.

    Without `rate` each connection sends as soon as it has its answer; with it, requests are due at random moments,
    so many a second, and their latency counts from then. `at_least` requests are sent also when that takes longer.
    """

    port: int
    requests: list[list[str]]
    length: int
    connections: int
    seconds: float
    at_least: int = 1
    rate: float = 0.0
    seed: int = 0


@dataclass
class Outcome:
    """What came back, in how many seconds, at what CPU of the generator; latencies with a rate only, milliseconds."""

    requests: int
    seconds: float
    cpu: float
    latencies: list[float] = field(default_factory=list)


class BadAnswer(Exception):
    """The server answered something else than expected."""


class Client:
    """One connection and the answer that it is receiving."""

    def __init__(self, job: Job, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", job.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._requests = [text.encode() for text in job.requests[number % len(job.requests)]]
        self._next = 0
        self._length = job.length
        self._received = b""
        self._wanted = 0
        self.due = 0.0

    def fileno(self) -> int:
        """For select()."""
        return self.socket.fileno()

    def send(self) -> None:
        """Send the next request: small enough for the socket's buffer."""
        data = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        if self.socket.send(data) != len(data):
            raise BadAnswer("a request did not fit into the socket's buffer")

    def receive(self) -> bool:
        """Take what has come; whether the answer is complete. Raises BadAnswer."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise BadAnswer("the server closed the connection")
        self._received = self._received + data if self._received else data
        if not self._wanted:
            head = self._received.find(END)
            if head < 0:
                return False
            self._read_head(head)
        if len(self._received) < self._wanted:
            return False
        if ERRORS in self._received:
            raise BadAnswer(self._received[:2000].decode(errors="replace"))
        self._received, self._wanted = b"", 0
        return True

    def _read_head(self, head: int) -> None:
        start = self._received[:head].lower()
        at = start.find(LENGTH)
        if not start.startswith(b"http/1.1 200") or at < 0:
            raise BadAnswer(self._received[:2000].decode(errors="replace"))
        length = int(start[at + len(LENGTH) :].split(b"\r\n", 1)[0])
        if abs(length - self._length) > SLACK:
            raise BadAnswer(f"an answer of {length} bytes, the first one had {self._length}")
        self._wanted = head + len(END) + length


def run(job: Job) -> Outcome:
    """Do the job. Raises BadAnswer."""
    clients = [Client(job, number) for number in range(job.connections)]
    try:
        cpu, started = time.process_time(), time.perf_counter()
        latencies: list[float] = []
        done = _paced(job, clients, latencies) if job.rate else _closed(job, clients)
        return Outcome(done, time.perf_counter() - started, time.process_time() - cpu, latencies)
    finally:
        for client in clients:
            client.socket.close()


def _closed(job: Job, clients: list[Client]) -> int:
    """Each connection asks again at once, until the time is over; what is under way then is waited for."""
    end = time.perf_counter() + job.seconds
    done, sent = 0, 0
    for client in clients:
        client.send()
        sent += 1
    while done < sent:
        ready = select.select(clients, (), (), PATIENCE)[0]
        if not ready:
            raise BadAnswer(f"no answer for {PATIENCE:.0f} seconds")
        for client in ready:
            if client.receive():
                done += 1
                if time.perf_counter() < end or sent < job.at_least:
                    client.send()
                    sent += 1
    return done


def _paced(job: Job, clients: list[Client], latencies: list[float]) -> int:
    """Requests come due whether or not there is a free connection; they wait for one then."""
    dice = random.Random(job.seed)
    clock = time.perf_counter
    free, late = list(clients), deque[float]()
    busy: set[Client] = set()
    due = clock()
    end = due + job.seconds
    while due < end or late or busy:
        now = clock()
        while due <= now and due < end:
            late.append(due)
            due += dice.expovariate(job.rate)
        while late and free:
            client = free.pop()
            client.due = late.popleft()
            client.send()
            busy.add(client)
        wait = max(due - clock(), 0.0) if due < end else PATIENCE
        ready = select.select(list(busy), (), (), min(wait, PATIENCE))[0]
        if not ready and wait == PATIENCE:
            raise BadAnswer(f"no answer for {PATIENCE:.0f} seconds")
        for client in ready:
            if client.receive():
                latencies.append(round((clock() - client.due) * 1000, 3))
                busy.discard(client)
                free.append(client)
    return len(latencies)


def main() -> None:
    """Jobs from standard input, one JSON object a line, until it ends."""
    for line in sys.stdin:
        try:
            print(json.dumps(asdict(run(Job(**json.loads(line))))), flush=True)
        except (BadAnswer, OSError) as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
