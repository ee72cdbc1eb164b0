"""A campaign: clients use real servers while things break; then it is checked whether the invariants held.

`python -m tests.chaos.campaign --duration 60 --seed 1 --faults some --bus single`; the last line is a JSON object.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import uvloop

from app.parts import access_tokens
from resolvers.ids import user_gid
from tests.chaos import ending, faults
from tests.chaos.backend import Backend, Worker
from tests.chaos.buses import ClusteredValkey, SingleValkey
from tests.chaos.certain import Certain
from tests.chaos.checker import check, told
from tests.chaos.clients import Client, Stage
from tests.chaos.history import HOME, PUBLIC, Connection, Event, History, Impairment, percentile
from tests.chaos.rules_state import latencies
from tests.chaos.talk import Directory, Line
from tests.chaos.writers import SlowWriters
from tests.networks import Network

WORKERS = 2
CLIENTS = 200
# Accounts that write by slow transactions; numbered after the clients.
WRITERS = 4
# Everybody follows so many of the clients at first.
FOLLOWED = 10
# Operations a second, of all clients together.
RATE = 60.0
# Every so many clients, one watches the public timeline.
PUBLIC_EVERY = 20
# Seconds before the first fault, and after the last: of these RECOVERY are for recovering, the others are measured.
CALM, TAIL = 8.0, 17.0
# Seconds. When this process was held up for so long, or a worker took so long to say that it is alive, the machine is
# too busy to say when something was sent.
HELD_UP, PROBE_EVERY = 0.2, 0.2


async def seeded(backend: Backend, chance: random.Random) -> tuple[list[int], set[tuple[int, int]]]:
    """Accounts who follow each other: their keys in the database, and (follower, followee) by number."""
    network = Network()
    handles = [f"client{number:03}" for number in range(CLIENTS + WRITERS)]
    network.join(*handles)
    pairs = set()
    for number in range(CLIENTS):
        others = chance.sample(range(CLIENTS), FOLLOWED + 1)
        others += [CLIENTS + nth for nth in range(WRITERS) if chance.random() < 0.25]
        pairs |= {(number, other) for other in others if other != number}
    for number, other in sorted(pairs):
        network.follow(handles[number], handles[other])
    connection = await asyncpg.connect(backend.dsn)
    try:
        await network.write(connection)
    finally:
        await connection.close()
    return [network.ids[handle] for handle in handles], pairs


class Campaign:
    """One campaign; `run` once."""

    def __init__(self, duration: float, seed: int, how: str, bus: str) -> None:
        self._seed, self._chance = seed, random.Random(seed)
        self._plan = faults.plan(how, max(duration - CALM - TAIL, 10.0), self._chance, bus)
        self._duration, self._bus = duration, bus
        self.history = History(CLIENTS)

    async def run(self, folder: Path) -> dict[str, object]:
        """What came of it."""
        asyncio.get_running_loop().set_exception_handler(
            lambda _, problem: print(
                f"campaign: {problem.get('message')} {problem.get('exception')!r}", file=sys.stderr
            )
        )
        bus = ClusteredValkey(folder, self._chance) if self._bus == "cluster" else SingleValkey(folder)
        backend = Backend(folder, WORKERS, bus)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(backend.stop)
            await backend.start()
            accounts, self.history.follows = await seeded(backend, self._chance)
            await backend.serve()
            before = {worker.number: await backend.get(worker, "/metrics") for worker in backend.workers}
            stage = self._stage(backend, accounts)
            clients = self._clients(stage)
            watches = [asyncio.create_task(self._watch_ourselves())]
            watches += [
                asyncio.create_task(self._watch_worker(backend, worker)) for worker in backend.workers
            ]
            await self._play(backend, stage, clients, accounts)
            _say("all is quiet; looking at what is there")
            await ending.stored(backend, accounts, self.history.final)
            await asyncio.gather(*self._streams)
            for watch in watches:
                watch.cancel()
            stage.line.close()
            await ending.gauges(backend, self.history.final, before)
            starts = sum(worker.starts for worker in backend.workers) - WORKERS
            _say(f"workers were started again {starts} times")
            for line in backend.errors():
                _say(f"a worker logged: {line}")
        return self._judged()

    def _stage(self, backend: Backend, accounts: Sequence[int]) -> Stage:
        keys, now = access_tokens(backend.settings), datetime.now(UTC)
        tokens = [keys.issue(id, id, now, timedelta(hours=12))[0] for id in accounts]
        directory = Directory([user_gid(id) for id in accounts], tokens)
        line = Line([worker.door for worker in backend.workers])
        return Stage(self.history, line, directory, WORKERS)

    def _clients(self, stage: Stage) -> list[Client]:
        found = []
        for number in range(CLIENTS):
            timeline = PUBLIC if number % PUBLIC_EVERY == 1 else HOME
            chance = random.Random(f"{self._seed}.{number}")
            client = Client(number, stage, chance, CLIENTS / RATE, timeline)
            client.following = {other for one, other in self.history.follows if one == number}
            found.append(client)
        return found

    async def _play(
        self, backend: Backend, stage: Stage, clients: list[Client], accounts: Sequence[int]
    ) -> None:
        """Everything that happens, until all is quiet again and every client has left."""
        self._streams = [asyncio.create_task(client.live.run()) for client in clients]
        async with asyncio.timeout(60):
            await asyncio.gather(*(client.live.caught_up.wait() for client in clients))
        self.history.began = time.monotonic()
        _say(f"{len(clients)} clients are there; {len(self._plan)} faults: {', '.join(self._plan)}")
        playing = [asyncio.create_task(client.play()) for client in clients]
        writers = SlowWriters(
            backend,
            self.history,
            {number: accounts[number] for number in range(CLIENTS, CLIENTS + WRITERS)},
            self._chance,
        )
        scene = faults.Scene(backend, stage, clients, writers, self._chance)
        await asyncio.sleep(CALM)
        begun, left = time.monotonic(), max(self._duration - CALM - TAIL, 10.0)
        for nth, name in enumerate(self._plan):
            _say(f"{time.monotonic() - self.history.began:6.1f} s: {name}")
            await faults.happens(name, scene)
            due = begun + left * (nth + 1) / len(self._plan)
            await asyncio.sleep(max(due - time.monotonic(), 0.5) if nth + 1 < len(self._plan) else 0)
        await asyncio.sleep(max(TAIL, self.history.began + self._duration - time.monotonic()))
        stage.playing = False
        self.history.ended = time.monotonic()
        await asyncio.wait(playing, timeout=ending.PATIENCE)
        if not await ending.quiet(backend):
            _say("the outbox did not become empty")
        await ending.compare(clients, self.history.final)
        stage.closing = True
        for client in clients:
            client.live.cut(abrupt=client.number % 2 == 0)
        for task in (*playing, *self._streams):
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise RuntimeError("a client failed") from task.exception()

    async def _watch_ourselves(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.05)
            now = time.monotonic()
            self.history.lags.append((now, now - begun - 0.05))
            if now - begun > HELD_UP:
                self.history.impairments.append(Impairment(begun, now))

    async def _watch_worker(self, backend: Backend, worker: Worker) -> None:
        while True:
            begun = time.monotonic()
            await backend.get(worker, "/healthz")
            now = time.monotonic()
            if now - begun > HELD_UP:
                self.history.impairments.append(Impairment(begun, now, worker.number))
            await asyncio.sleep(PROBE_EVERY)

    def _judged(self) -> dict[str, object]:
        history, began = self.history, time.monotonic()
        known = Certain(history)
        samples = [seconds for _, _, seconds in latencies(known)]
        _say(
            f"events came {percentile(samples, 0.5) * 1000:.0f} ms (half), {percentile(samples, 0.99) * 1000:.0f} ms "
            f"(99 of 100) after their post was answered; {len(samples)} samples"
        )
        held_up = sum(one.end - one.begin for one in history.impairments if one.client is None)
        lag = percentile((lag for _, lag in history.lags), 0.9)
        _say(
            f"for {held_up:.1f} s in all nothing can be said about when it was sent; "
            f"we were {lag:.3f} s late ourselves (90 of 100)"
        )
        notes = Counter(one.note for one in history.operations() if one.note)
        _say(f"answers other than done: {dict(notes.most_common(12))}")
        violations = check(history)
        _say(f"checked in {time.monotonic() - began:.1f} s")
        if violations:
            print(told(history, violations[0]), flush=True)
        return {
            "seed": self._seed,
            "bus": self._bus,
            "duration": round(history.ended - history.began, 1),
            "faults": [fault.name for fault in history.faults],
            "counts": self._counts(known),
            "violations": [
                {"invariant": violation.invariant, "what": violation.what} for violation in violations[:100]
            ],
        }

    def _counts(self, known: Certain) -> dict[str, object]:
        records = self.history.records
        events = [record for record in records if isinstance(record, Event)]
        ups = [record for record in records if isinstance(record, Connection) and record.up]
        mutations = Counter(
            one.outcome
            for one in self.history.operations()
            if not one.what.startswith(("home", "public", "look"))
        )
        return {
            "clients": CLIENTS,
            "posts": sum(post.answered is not None for post in known.posts.values()),
            "events": len(events),
            "reconnects": len(ups) - CLIENTS,
            "resets": sum(event.kind == "reset" for event in events),
            "mutations": {outcome: mutations[outcome] for outcome in ("ok", "refused", "unknown")},
        }


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Run a campaign as the command line says; 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of play")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--faults", default="some", help="some, all, pairs, bus, or names with commas; a pair is A + B"
    )
    parser.add_argument("--bus", choices=["single", "cluster"], default="single", help="one Valkey, or six")
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="maydan-chaos-") as folder:
        campaign = Campaign(given.duration, seed, given.faults, given.bus)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(campaign.run(Path(folder)))
    print(json.dumps(outcome))
    return 1 if outcome["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
