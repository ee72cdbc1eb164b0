"""The table of faults: what each does to the servers, the networks or the clients, for some seconds."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg

from tests.chaos.backend import Backend, Worker
from tests.chaos.buses import ClusteredValkey
from tests.chaos.clients import Client, Stage
from tests.chaos.history import Fault, Impairment
from tests.chaos.proxy import Line
from tests.chaos.writers import SlowWriters

# Seconds that a fault lasts.
SHORTEST, LONGEST = 3.0, 5.0
# Of a cluster.
ONE_NODE = "a node of Valkey"


@dataclass
class Scene:
    """What faults happen to."""

    backend: Backend
    stage: Stage
    clients: list[Client]
    writers: SlowWriters
    chance: random.Random

    @property
    def cluster(self) -> ClusteredValkey:
        """The bus, for faults that only a cluster can have."""
        assert isinstance(self.backend.bus, ClusteredValkey)
        return self.backend.bus

    def some_worker(self) -> Worker:
        """Any of the workers."""
        return self.chance.choice(self.backend.workers)

    async def lasts(self) -> None:
        """As long as a fault lasts."""
        await asyncio.sleep(self.chance.uniform(SHORTEST, LONGEST))

    @contextmanager
    def impairs(self, worker: Worker | None = None) -> Iterator[None]:
        """What was sent to clients may wait under way during the block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            number = None if worker is None else worker.number
            self.stage.history.impairments.append(Impairment(begun, time.monotonic(), number))

    async def burst(self, posts: int = 40) -> None:
        """Many posts at once, so that whatever dies has something in its hands."""
        writing = self.chance.sample(self.clients, min(posts, len(self.clients)))
        await asyncio.gather(*(client.post() for client in writing))


Happening = Callable[[Scene], Awaitable[None]]
FAULTS: dict[str, Happening] = {}
# Of those that cannot happen with every bus: with which.
ONLY: dict[str, str] = {}


def fault(name: str, only: str | None = None) -> Callable[[Happening], Happening]:
    """Enter it in the table. `only`: the one bus with which it can happen."""

    def enter(happening: Happening) -> Happening:
        FAULTS[name] = happening
        if only is not None:
            ONLY[name] = only
        return happening

    return enter


@fault("a worker killed")
async def _worker_killed(scene: Scene) -> None:
    scene.some_worker().signal(signal.SIGKILL)
    await scene.lasts()


@fault("a worker killed between commit and wake-up")
async def _worker_killed_in_a_burst(scene: Scene) -> None:
    # Its wake-ups do not leave, and at some moment of a burst of posts it dies.
    worker = scene.some_worker()
    worker.bus.up.set(held=True)
    try:
        burst = asyncio.create_task(scene.burst())
        await asyncio.sleep(scene.chance.uniform(0.02, 0.4))
        worker.signal(signal.SIGKILL)
        worker.bus.cut()
    finally:
        worker.bus.heal()
    await burst
    await scene.lasts()


@fault("all workers killed")
async def _all_workers_killed(scene: Scene) -> None:
    burst = asyncio.create_task(scene.burst())
    await asyncio.sleep(scene.chance.uniform(0.02, 0.4))
    for worker in scene.backend.workers:
        worker.signal(signal.SIGKILL)
    await burst
    await scene.lasts()


@fault("a worker stopped")
async def _worker_stopped(scene: Scene) -> None:
    await _stop(scene, scene.some_worker())


async def _stop(scene: Scene, worker: Worker) -> None:
    with scene.impairs(worker):
        worker.signal(signal.SIGSTOP)
        try:
            await scene.lasts()
        finally:
            worker.signal(signal.SIGCONT)


@fault("the sequencer killed")
async def _sequencer_killed(scene: Scene) -> None:
    burst = asyncio.create_task(scene.burst())
    worker = await scene.backend.leading()
    await asyncio.sleep(scene.chance.uniform(0.0, 0.2))
    worker.signal(signal.SIGKILL)
    await burst
    await scene.lasts()


@fault("the sequencer stopped in mid-transaction")
async def _sequencer_stopped(scene: Scene) -> None:
    worker = await scene.backend.leading()
    async with _locked(scene, "LOCK TABLE log IN SHARE MODE"):
        # What it moves into the log waits for our lock, and it is stopped while it waits.
        await scene.burst(10)
        await asyncio.sleep(0.2)
        worker.signal(signal.SIGSTOP)
    await _stop(scene, worker)


@asynccontextmanager
async def _locked(scene: Scene, statement: str) -> AsyncIterator[None]:
    """A lock of ours during the block; a server that goes away meanwhile takes it along."""
    connection = await scene.backend.connect()
    try:
        await connection.execute("BEGIN")
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.execute(statement)
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        pass
    finally:
        connection.terminate()


@fault("the connections to PostgreSQL used up")
async def _pool_exhausted(scene: Scene) -> None:
    async with _locked(scene, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"):
        await scene.lasts()


@fault("PostgreSQL stopped at once and started")
async def _postgres_stopped(scene: Scene) -> None:
    burst = asyncio.create_task(scene.burst())
    await asyncio.sleep(scene.chance.uniform(0.05, 0.4))
    await scene.backend.stop_postgres()
    try:
        await asyncio.sleep(scene.chance.uniform(0.0, 3.0))
    finally:
        await scene.backend.start_postgres()
    await burst


@fault("PostgreSQL killed")
async def _postgres_killed(scene: Scene) -> None:
    scene.backend.postgres.kill()
    await scene.lasts()


@fault("PostgreSQL's backends terminated")
async def _backends_terminated(scene: Scene) -> None:
    for _ in range(3):
        await scene.backend.insist(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = 'maydan' AND pid <> pg_backend_pid()"
        )
        await asyncio.sleep(scene.chance.uniform(0.2, 1.5))


@fault("Valkey killed")
async def _valkey_killed(scene: Scene) -> None:
    await scene.backend.bus.kill()
    await scene.lasts()


@fault("Valkey stopped for 5 s")
async def _valkey_stopped(scene: Scene) -> None:
    await scene.backend.bus.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(5)
    finally:
        await scene.backend.bus.signal(signal.SIGCONT)


@fault("Valkey flushed")
async def _valkey_flushed(scene: Scene) -> None:
    for _ in range(3):
        await scene.backend.bus.flush()
        await asyncio.sleep(scene.chance.uniform(0.2, 1.5))


@fault("Valkey stopped and started")
async def _valkey_restarted(scene: Scene) -> None:
    await scene.backend.bus.stop()
    try:
        await scene.lasts()
    finally:
        await scene.backend.bus.start()


@fault("a shard of Valkey killed", only="cluster")
async def _shard_killed(scene: Scene) -> None:
    await scene.cluster.kill_shard()
    await scene.lasts()


@fault("slots of Valkey moved", only="cluster")
async def _slots_moved(scene: Scene) -> None:
    burst = asyncio.create_task(scene.burst())
    await scene.cluster.move_slots()
    await burst


@fault("a replica of Valkey takes over", only="cluster")
async def _replica_takes_over(scene: Scene) -> None:
    burst = asyncio.create_task(scene.burst())
    await scene.cluster.hand_over()
    await burst
    await scene.lasts()


def _half_open(line: Line, chance: random.Random) -> None:
    line.up.set(held=True)
    line.down.set(held=True)


def _one_way(line: Line, chance: random.Random) -> None:
    chance.choice([line.up, line.down]).set(held=True)


def _delayed(line: Line, chance: random.Random) -> None:
    for way in (line.up, line.down):
        way.set(delay=chance.uniform(0.02, 0.25))


def _dripping(line: Line, chance: random.Random) -> None:
    chance.choice([line.up, line.down]).set(drips=True)


def _reset(line: Line, chance: random.Random) -> None:
    line.refuse()


NETWORKS: dict[str, Callable[[Line, random.Random], None]] = {
    "half-open": _half_open,
    "one way": _one_way,
    "delayed": _delayed,
    "a byte a second": _dripping,
    "reset": _reset,
}


def _bad_network(whose: str, how: str) -> Happening:
    async def happening(scene: Scene) -> None:
        worker = scene.some_worker()
        lines: dict[str, Line] = {
            "Valkey": worker.bus,
            "PostgreSQL": worker.database,
            "its clients": worker.door,
        }
        one_node = whose == ONE_NODE
        line = await scene.cluster.network_to_one(worker.number) if one_node else lines[whose]
        NETWORKS[how](line, scene.chance)
        try:
            if whose == "its clients":
                with scene.impairs(worker):
                    await scene.lasts()
            else:
                await scene.lasts()
        finally:
            line.heal()

    return happening


for _whose in ("Valkey", "PostgreSQL", "its clients", ONE_NODE):
    for _how in NETWORKS:
        _enter = fault(f"a worker's line to {_whose} {_how}", only="cluster" if _whose == ONE_NODE else None)
        _enter(_bad_network(_whose, _how))


@fault("all clients reconnect in one second")
async def _all_reconnect(scene: Scene) -> None:
    for client in scene.clients:
        client.live.cut(abrupt=True)
        await asyncio.sleep(1 / len(scene.clients))
    await asyncio.sleep(2)


@fault("clients that read nothing")
async def _deaf_clients(scene: Scene) -> None:
    for client in scene.chance.sample(scene.clients, len(scene.clients) // 5):
        client.live.stop_reading(scene.chance.uniform(SHORTEST, LONGEST))
    await scene.burst()
    await scene.lasts()


@fault("slow transactions that hold older ids")
async def _late_transactions(scene: Scene) -> None:
    await scene.writers.write(scene.chance.uniform(SHORTEST, LONGEST))


@fault("the clock of the database jumps")
async def _clock_jumps(scene: Scene) -> None:
    # What it reads from its clock for ids and leases is shifted in its place: setting a clock takes the system's owner.
    seconds = scene.chance.choice([-1, 1]) * scene.chance.uniform(0.5, 5.0)
    await scene.backend.shift_clock(seconds)
    try:
        await scene.lasts()
    finally:
        await scene.backend.shift_clock(0.0)


async def happens(name: str, scene: Scene) -> None:
    """Let one fault, or several joined by " + ", happen, and record it."""
    begun = time.monotonic()
    try:
        await asyncio.gather(*(FAULTS[one](scene) for one in name.split(" + ")))
    finally:
        scene.stage.history.faults.append(Fault(name, begun, time.monotonic()))


def possible(bus: str) -> list[str]:
    """The faults that can happen with this bus."""
    return [name for name in FAULTS if ONLY.get(name, bus) == bus]


def plan(how: str, seconds: float, chance: random.Random, bus: str) -> list[str]:
    """Which faults happen: `some` (about one in ten seconds, half of them pairs), `all` alone, `pairs`, or by name.

    `bus` draws from those that concern Valkey, about one in five seconds.
    """
    names = possible(bus)
    many = max(1, round(seconds / 10))
    if how == "bus":
        about = [name for name in names if "Valkey" in name]
        return chance.sample(about, min(max(1, round(seconds / 5)), len(about)))
    if how == "all":
        return chance.sample(names, len(names))
    if how == "pairs":
        return [" + ".join(chance.sample(names, 2)) for _ in range(many)]
    if how == "some":
        drawn = chance.sample(names, min(many + many // 2, len(names)))
        pairs = many // 2
        joined = [" + ".join(drawn[2 * nth : 2 * nth + 2]) for nth in range(pairs)]
        found = [*joined, *drawn[2 * pairs :]][:many]
        return chance.sample(found, len(found))
    wanted = [name.strip() for name in how.split(",")]
    for one in (part for name in wanted for part in name.split(" + ")):
        if one not in names:
            raise ValueError(f"{one!r} is no fault with this bus; there are: {', '.join(names)}")
    return wanted
