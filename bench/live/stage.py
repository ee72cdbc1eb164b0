"""What every part of the benchmark stands on: the network and its people, the generator, and servers to start."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps, loads
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from app.settings import Settings
from bench.cpu import PostgresCpu, exactly_of_process
from bench.live.cast import Cast, Scale
from bench.live.documents import EVENTS
from bench.live.load import AT_ONCE, PATIENCE, Done, Load
from bench.peers import FOLDER, SCHEMA
from bench.servers import Processes, Server

# Whom ours is compared with.
OTHERS = ("floor", "stock", "node")
# Seconds until what sockets cost when they come up is over.
SETTLE = 1.0


@dataclass(frozen=True)
class Spent:
    """Seconds of CPU: of the worker that is measured, of the one beside it, of PostgreSQL; statements of the first."""

    worker: float
    beside: float
    postgres: float
    statements: int

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(
            self.worker - other.worker,
            self.beside - other.beside,
            self.postgres - other.postgres,
            self.statements - other.statements,
        )


class Statements:
    """Counts what the worker that is measured sends: it alone works as the superuser."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def read(self) -> int:
        """Statements so far."""
        return int(
            await self._connection.fetchval(
                "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s "
                "JOIN pg_database d ON d.oid = s.dbid "
                "WHERE d.datname = 'maydan' AND s.userid = 'postgres'::regrole"
            )
        )


@dataclass(frozen=True)
class Workers:
    """Ours, which holds the sockets and does nothing else, and the one that takes posts and numbers the log."""

    ours: Server
    beside: Server
    processes: Processes


@dataclass(frozen=True)
class Stage:
    """Everything that is there for all parts."""

    settings: Settings
    folder: Path
    cast: Cast
    scale: Scale
    load: Load
    postgres: PostgresCpu
    statements: Statements
    rounds: int
    seconds: float
    seed: int
    compared: Sequence[str]

    @contextmanager
    def workers(self, *, valkey: bool = True) -> Iterator[Workers]:
        """Two fresh workers of the API; without `valkey` nobody answers where they look for it."""
        settings = self.settings
        if not valkey:
            settings = settings.model_copy(update={"redis_url": f"unix://{self.folder}/nobody.sock"})
        url = settings.database_url
        assert url is not None
        superuser = settings.model_copy(update={"database_url": url.replace("//maydan@", "//postgres@", 1)})
        with Processes(settings, self.folder) as first, Processes(superuser, self.folder) as second:
            # The first one to come numbers the log.
            beside = first.python("beside", "app.worker")
            beside.wait(self.cast.hello)
            ours = second.python("ours", "app.worker")
            ours.wait(self.cast.hello)
            yield Workers(ours, beside, first)

    @contextmanager
    def worker(self) -> Iterator[Server]:
        """One fresh worker of the API that does everything."""
        with Processes(self.settings, self.folder) as processes:
            server = processes.python("ours", "app.worker")
            server.wait(self.cast.hello)
            yield server

    def others(self, processes: Processes) -> list[Server]:
        """The floor, stock Strawberry, and graphql-ws on Node where that is installed."""
        found = [
            processes.python(name, "bench.worker", f"bench.live.{name}:create_app")
            for name in ("floor", "stock")
            if name in self.compared
        ]
        if "node" in self.compared:
            if shutil.which("node") and (FOLDER / "node_modules" / "graphql-ws").is_dir():
                given = self.folder / "live.json"
                given.write_text(dumps({"schema": SCHEMA.read_text(encoding="utf-8")}))
                environment = {"NODE_ENV": "production", "BENCH_GIVEN": str(given)}
                found.append(processes.node("node", FOLDER / "live.mjs", environment))
            else:
                print("without graphql-ws, which needs Node 20 and `npm ci` in bench/peers")
        for server in found:
            server.wait(self.cast.hello)
        return found

    def opens(
        self,
        crowd: str,
        server: Server,
        tokens: str,
        count: int,
        *,
        first: int = 0,
        document: str = EVENTS,
        after: str | None = None,
        also: Server | None = None,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
    ) -> Done:
        """Have so many sockets subscribe, with the tokens of a file of the cast from `first` on.

        `also`: where half of them do it.
        """
        return self.load.do(
            "open",
            crowd=crowd,
            ports=[one.port for one in (server, also) if one is not None],
            tokens=tokens,
            first=first,
            count=count,
            document=document,
            after=after,
            at_once=at_once,
            patience=patience,
        )

    def delivers(self, crowd: str, port: int, request: str, *, seconds: float = 0.0, events: int = 1) -> Done:
        """Events one after another, each awaited everywhere: at least so many, for at least so long."""
        return self.load.do(
            "deliver",
            crowd=crowd,
            port=port,
            request=request,
            events=events,
            seconds=seconds,
            patience=PATIENCE,
        )

    def sample(self, crowd: str) -> dict[str, Any]:
        """The message of the last event that a crowd received."""
        message: dict[str, Any] = loads(self.load.do("look", crowd=crowd)["sample"])
        return message

    async def spent(self, worker: Server, beside: Server | None = None) -> Spent:
        """CPU and statements so far."""
        return Spent(
            _cpu(worker),
            _cpu(beside) if beside else 0.0,
            self.postgres.read(),
            await self.statements.read(),
        )

    async def idling(self, seconds: float, worker: Server, beside: Server | None = None) -> Spent:
        """What a while without events costs."""
        before = await self.spent(worker, beside)
        await asyncio.sleep(seconds)
        return await self.spent(worker, beside) - before


def _cpu(server: Server) -> float:
    """Seconds of CPU of a server with all threads, and of what it started: ours has helpers beside it."""
    children = psutil.Process(server.pid).children(recursive=True)
    return sum(exactly_of_process(pid) for pid in (server.pid, *(child.pid for child in children)))


def resident(server: Server) -> int:
    """Bytes of memory that a process holds now."""
    return int(psutil.Process(server.pid).memory_info().rss)
