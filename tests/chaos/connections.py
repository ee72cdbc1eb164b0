"""Connections of every kind come and go, and nothing of them stays: memory, tasks, files, connections, rows.

`python -m tests.chaos.connections --count 10000 --seed 1`; the last line is a JSON object.
"""

import argparse
import asyncio
import json
import random
import resource
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import asyncpg
import uvloop
from websockets.exceptions import WebSocketException

from app.memory import GROWTH, LOOK_EVERY
from app.parts import access_tokens
from tests.chaos.backend import Backend, Worker
from tests.chaos.buses import SingleValkey
from tests.chaos.ending import metric, quiet
from tests.chaos.history import HOME, OK
from tests.chaos.proxy import Proxy
from tests.chaos.talk import MUTATIONS, Line, page_document
from tests.chaos.visits import KINDS, Kind, Visitor
from tests.networks import Network

# So many accounts come; all follow one that writes.
FOLLOWERS = 50
# So many are there at a time.
TOGETHER = 50
# Posts a second.
RATE = 4.0
# So many of them stay when their network falls silent. A thousand at once leave a process 10 to 20 MB of free memory in
# pieces too small to give back; that hides what is looked for.
SILENT = 200
# Seconds until all is over: a silent WebSocket is noticed after two pings of 45 s.
PATIENCE = 150.0
# Bytes that a connection may leave behind on average, besides what a worker does not give back at once (app/memory.py).
# Whatever belongs to a connection (a task, a protocol, a subscription) has more. The worker may have looked just before
# the first figure and not yet before the last.
BYTES_EACH, NOISE = 500.0, 2 * GROWTH
# Seconds until a worker has looked whether it holds memory that is free.
TRIMMED = LOOK_EVERY + 5
GAUGES = {
    "open sockets": "maydan_websockets",
    "event streams": "maydan_event_streams",
    "running subscriptions": "maydan_live_streams",
    "tasks": "maydan_tasks",
    "open files": "process_open_fds",
    "bytes of memory": "process_resident_memory_bytes",
}
CONNECTED = ("open sockets", "event streams", "running subscriptions")
_OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'maydan'"
_ROWS = "SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM changed_posts)"


class Visits:
    """All that come and go at one worker, and what they leave behind; `run` once."""

    def __init__(self, backend: Backend, seed: int) -> None:
        self._backend, self._chance = backend, random.Random(seed)
        self._worker: Worker = backend.workers[0]
        self._line: Line
        self._tokens: list[str] = []
        self._cursor = ""
        self._posts = 0
        self._kinds: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    async def run(self, count: int) -> dict[str, object]:
        """What came of so many connections. As many came before: what those needed at most a process keeps."""
        await self._prepare()
        await self._come(count, dict.fromkeys(CONNECTED, 0.0), waits=False)
        before, rows, posts = await self._sizes(), await self._rows(), self._posts
        _say(f"{count} have come and gone to warm up; now they count")
        for counter in (self._kinds, self._closed, self._failed):
            counter.clear()
        begun, most = time.monotonic(), dict(before)
        most["bytes of memory"] += NOISE + BYTES_EACH * count
        after = await self._come(count, most)
        left = [what for what in most if after[what] > most[what]]
        # Each post is a row; nobody else writes one.
        if (more := await self._rows() - rows) != self._posts - posts:
            left.append(f"{more} rows of the log for {self._posts - posts} posts")
        self._line.close()
        return {
            "connections": count,
            "seconds": round(time.monotonic() - begun, 1),
            "kinds": dict(sorted(self._kinds.items())),
            "closed by the server": dict(sorted(self._closed.items())),
            "failed": dict(self._failed),
            "logged": self._backend.errors(),
            "before": before,
            "after": after,
            "left behind": left,
        }

    async def _prepare(self) -> None:
        network = Network()
        handles = ["writer", *(f"visitor{number:02}" for number in range(FOLLOWERS))]
        network.join(*handles)
        for handle in handles[1:]:
            network.follow(handle, "writer")
        connection = await asyncpg.connect(self._backend.dsn)
        try:
            await network.write(connection)
        finally:
            await connection.close()
        await self._backend.serve()
        self._line = Line([self._worker.door])
        keys, now = access_tokens(self._backend.settings), datetime.now(UTC)
        ids = [network.ids[handle] for handle in handles]
        self._tokens = [keys.issue(id, id, now, timedelta(hours=12))[0] for id in ids]
        page = await self._line.ask(
            0, self._tokens[1], page_document(HOME, False), {"first": 1, "after": None}
        )
        self._cursor = page.data["liveCursor"]

    async def _come(self, count: int, most: Mapping[str, float], *, waits: bool = True) -> dict[str, float]:
        """Let so many come; what there is when no more than `most` is left, or no patience.

        `waits`: until the server notices those who are silent; they take 90 to 135 s of it.
        """
        over = asyncio.Event()
        posting = asyncio.create_task(self._post(over))
        network = Proxy(self._worker.port)
        await network.start()
        try:
            silent = min(SILENT, count // 3)
            await self._visit([Visitor.goes_silent] * silent, network.port)
            network.up.set(held=True)
            network.down.set(held=True)
            kinds = self._chance.choices(list(KINDS), list(KINDS.values()), k=count - silent)
            await self._visit(kinds, self._worker.port)
            over.set()
            await posting
            if not waits:
                network.cut()
            # By the worker's clock: it says nowhere that it has looked, and memory that it has not is no leak.
            await asyncio.sleep(TRIMMED)
            deadline = time.monotonic() + PATIENCE
            while True:
                found = await self._sizes()
                if all(found[what] <= most[what] for what in most) or time.monotonic() > deadline:
                    return found
                # Servers notice by their clocks, as a rule; asking more often would be work for them.
                await asyncio.sleep(1)
        finally:
            over.set()
            await network.stop()

    async def _visit(self, kinds: Sequence[Kind], port: int) -> None:
        left = iter(kinds)

        async def some() -> None:
            for kind in left:
                token = self._chance.choice(self._tokens[1:])
                visitor = Visitor(port, token, self._cursor, self._chance, self._closed.update)
                self._kinds[kind.__name__] += 1
                try:
                    await kind(visitor)
                except (OSError, WebSocketException, TimeoutError, EOFError) as error:
                    self._failed[f"{kind.__name__}: {type(error).__name__} {error}"[:120]] += 1

        await asyncio.gather(*(some() for _ in range(TOGETHER)))

    async def _post(self, over: asyncio.Event) -> None:
        """Post until it is over. Not to be cancelled: a post under way would be a row that nobody counted."""
        while not over.is_set():
            input = {"text": f"post {self._posts} " + "and more of it " * 20}
            answer = await self._line.ask(0, self._tokens[0], MUTATIONS["post"], {"input": input})
            self._posts += answer.outcome == OK
            with suppress(TimeoutError):
                async with asyncio.timeout(1 / RATE):
                    await over.wait()

    async def _sizes(self) -> dict[str, float]:
        page = await self._backend.get(self._worker, "/metrics")
        found = {what: metric(page, name) for what, name in GAUGES.items()}
        found["connections to PostgreSQL"] = await self._value(_OURS)
        return found

    async def _rows(self) -> int:
        if not await quiet(self._backend):
            raise RuntimeError("the outbox did not become empty")
        return await self._value(_ROWS)

    async def _value(self, statement: str) -> int:
        connection = await self._backend.connect()
        try:
            return int(await connection.fetchval(statement))
        finally:
            await connection.close()


async def _campaign(folder: Path, count: int, seed: int) -> dict[str, object]:
    backend = Backend(folder, 1, SingleValkey(folder))
    try:
        await backend.start()
        return await Visits(backend, seed).run(count)
    finally:
        await backend.stop()


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Run it as the command line says; 1 when something is left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    _say(f"seed {seed}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with (
        tempfile.TemporaryDirectory(prefix="maydan-connections-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        outcome = runner.run(_campaign(Path(folder), given.count, seed))
    for what, size in cast("dict[str, float]", outcome["before"]).items():
        _say(f"{what:30} {size:14,.0f} {cast('dict[str, float]', outcome['after'])[what]:14,.0f}")
    print(json.dumps({"seed": seed, **outcome}))
    return 1 if outcome["left behind"] or outcome["failed"] or outcome["logged"] else 0


if __name__ == "__main__":
    sys.exit(main())
