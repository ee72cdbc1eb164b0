"""The servers of a campaign: PostgreSQL, Valkey, and workers of the real server, each behind proxies of ours."""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from app.embedded import EmbeddedPostgres
from app.migrations import migrate
from app.settings import Settings
from tests.chaos.buses import Bus
from tests.chaos.proxy import Proxies, Proxy

# Seconds: `serve` looks at its workers so often and replaces those that ended.
LOOK_EVERY = 0.2
START_SECONDS = 60.0


class Worker:
    """One place where a worker answers: a socket that stays, the process behind it, and its three networks."""

    def __init__(self, number: int, log: Path) -> None:
        self.number = number
        self.log = log
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._listening.getsockname()[1]
        self.door = Proxy(self.port)
        self.database: Proxy
        self.bus: Proxies
        self._environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self.starts = 0

    async def start(self, settings: Settings, database: Path, bus: Bus) -> None:
        """Start its networks and the process."""
        self.database = Proxy(database)
        for proxy in (self.door, self.database):
            await proxy.start()
        self.bus, redis_url = await bus.network(self.number)
        urls = {
            "database_url": f"postgresql://maydan@127.0.0.1:{self.database.port}/maydan?sslmode=disable",
            "redis_url": redis_url,
        }
        self._environment = os.environ | settings.model_copy(update=urls).environment()
        self._begin()

    def _begin(self) -> None:
        read, self._lifeline = os.pipe()
        descriptors = (self._listening.fileno(), read)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.worker", *map(str, descriptors)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
            )
        os.close(read)
        self.starts += 1

    def look(self) -> None:
        """Start another process when this one ended, as the parent process of `serve` does."""
        if self._process is not None and self._process.poll() is not None:
            os.close(self._lifeline)
            self._begin()

    @property
    def pid(self) -> int:
        """The process that serves now."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """End the process and its networks."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(self._lifeline)
        for proxy in (self.door, self.database, self.bus):
            await proxy.stop()
        self._listening.close()


class Backend:
    """All servers of a campaign, in a folder of their own."""

    def __init__(self, folder: Path, workers: int, bus: Bus) -> None:
        # Durable: an answered post must survive an immediate stop.
        self.postgres = EmbeddedPostgres(folder, durable=True)
        self.bus = bus
        self.workers = [Worker(number, folder / f"worker-{number}.log") for number in range(workers)]
        self.settings = Settings.model_validate(
            {
                "secret_key": base64.b64encode(os.urandom(32)).decode(),
                "token_private_key": base64.b64encode(os.urandom(32)).decode(),
                "log_level": "warning",
                # All clients come from one address, and each does in a minute what people do in a day.
                "cost_budget": "100000000/60",
                "access_token_seconds": 86_400,
                "shutdown_seconds": 3,
            }
        )
        self._watch: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """PostgreSQL itself, without a proxy."""
        return self.postgres.dsn()

    def _database_socket(self) -> Path:
        return Path(parse_qs(urlsplit(self.dsn).query)["host"][0]) / ".s.PGSQL.5432"

    async def start(self) -> None:
        """Start PostgreSQL and the bus; `serve` comes when there is data."""
        await asyncio.gather(asyncio.to_thread(self.postgres.start), self.bus.start())
        await migrate(self.dsn)

    async def serve(self) -> None:
        """Start the workers and wait until they answer."""
        for worker in self.workers:
            await worker.start(self.settings, self._database_socket(), self.bus)
        for worker in self.workers:
            await self.answers(worker)
        self._watch = asyncio.create_task(self._look())

    async def answers(self, worker: Worker) -> None:
        """Wait until a worker is ready. Raises TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            while "200" not in (await self.get(worker, "/readyz"))[:15]:
                await asyncio.sleep(0.05)

    async def get(self, worker: Worker, path: str) -> str:
        """An answer of a worker itself, head and body; empty when there is none."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
                writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
                text = (await reader.read(-1)).decode()
                writer.close()
                return text
        except (OSError, TimeoutError):
            return ""

    async def _look(self) -> None:
        while True:
            for worker in self.workers:
                worker.look()
            await self.bus.look()
            await asyncio.sleep(LOOK_EVERY)

    async def insist(self, statement: str, *values: object) -> object:
        """Run a statement of our own, again when PostgreSQL dies under it; its first value."""
        deadline = time.monotonic() + 30
        while True:
            connection = await self.connect()
            try:
                return await connection.fetchval(statement, *values)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            finally:
                connection.terminate()

    async def leading(self) -> Worker:
        """The worker that numbers the log, whose process id is in the lease's holder. The first if none does."""
        holder = str(await self.insist("SELECT holder FROM sequencers LIMIT 1"))
        pid = holder.partition("-")[0]
        return next((worker for worker in self.workers if str(worker.pid) == pid), self.workers[0])

    async def shift_clock(self, seconds: float) -> None:
        """Let ids be drawn, and the lease be renewed last, as if the database's clock had jumped."""
        await self.insist(
            "CREATE OR REPLACE FUNCTION new_id() RETURNS bigint LANGUAGE sql AS $$ SELECT (("
            f"extract(epoch FROM clock_timestamp() + interval '{seconds:.6f} s') * 1000000)::bigint"
            " - 1735689600000000) << 11 | (nextval('id_numbers') & 2047) $$"
        )
        await self.insist(
            "UPDATE sequencers SET beat_at = beat_at - make_interval(secs => $1) WHERE holder <> ''", seconds
        )

    def errors(self) -> list[str]:
        """What workers logged as errors: the event and the exception, each kind once, with how often it was logged."""
        found: dict[str, list[str]] = {}
        for worker in self.workers:
            with worker.log.open(errors="replace") as log:
                for line in log:
                    with contextlib.suppress(ValueError, TypeError):
                        entry = json.loads(line)
                        if entry["level"] == "error":
                            trace = entry.get("exception", "").strip().splitlines()
                            kind = re.sub(r"0x[0-9a-f]+|\d+", "…", f"{entry['event']}: {trace[-1:]}")
                            found.setdefault(kind, []).append(f"{entry['event']}: {' | '.join(trace[-7:])}")
        return [f"{texts[0]} ({len(texts)} times)" for texts in found.values()]

    async def stop_postgres(self) -> None:
        """What `pg_ctl -m immediate stop` does: it ends at once, and replays its log at the next start."""
        await asyncio.to_thread(self.postgres.stop, at_once=True)

    async def start_postgres(self) -> None:
        """Start it again."""
        await asyncio.to_thread(self.postgres.start)

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of our own, past all proxies; tried again for a while."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return await asyncpg.connect(self.dsn)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RuntimeError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Stop everything."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            await asyncio.gather(*(worker.stop() for worker in self.workers))
        await self.bus.stop()
        await asyncio.to_thread(self.postgres.stop, at_once=True)
