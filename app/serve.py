"""The parent process: embedded servers, migrations, demo data, workers; and the end of all of them.

It serves nothing itself. Everything it starts ends with it, also when it is killed: the embedded servers through
their keepers (app/embedded/keeper.py), the workers through a pipe (app/worker.py).
"""

import asyncio
import contextlib
import errno
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import FrameType

import asyncpg
from prometheus_client import multiprocess

from app.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedValkey
from app.live.commands import wrong_kind
from app.migrations import MigrationError, migrate
from app.settings import Settings

FIRST_PORT, LAST_PORT = 8000, 8999
# Connections that wait to be accepted; the kernel's own limit is often 4096.
BACKLOG = 2048
# Seconds to wait for a port that a killed predecessor's worker still holds.
PORT_PATIENCE = 4.0
# Seconds between looks at the children: a dead one is replaced within about this time.
LOOK_EVERY = 0.2
# Seconds for the API to answer at first.
FIRST_ANSWER_SECONDS = 60.0
# Seconds beyond SHUTDOWN_SECONDS until a worker is killed.
SHUTDOWN_MARGIN = 5.0
# Seconds after which a client is gone that acknowledges nothing of what it is sent: server-sent events have no pongs,
# and the system's own limit is a quarter of an hour. Longer than two pings of a WebSocket, which have a close code.
UNHEARD = 100.0
# A worker that lives shorter than this many seconds is replaced after a pause, not at once.
SHORT_LIFE = 5.0


class Stopped(BaseException):
    """Ctrl-C or SIGTERM arrived. Not an Exception, so that nobody handles it by accident."""


class CannotServe(Exception):
    """The start fails; the message is one sentence, `status` the exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def serve(settings: Settings) -> int:
    """Serve until Ctrl-C or SIGTERM. Returns the exit status: 0 stopped, 1 failed, 2 a setting is wrong."""
    return Parent(settings).run()


class Parent:
    """Everything that `serve` starts, in the order in which it is started."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None
        self.socket: socket.socket | None = None
        self.workers: list[Worker] = []
        self.metrics_folder: str | None = None
        self.answered = False
        self._asked_to_stop = 0

    def run(self) -> int:
        """See `serve`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        status = 0
        try:
            try:
                self._start()
                self._watch()
            except (EmbeddedError, MigrationError) as error:
                raise CannotServe(str(error)) from None
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise CannotServe(f"the database cannot be used: {error}") from None
        except CannotServe as error:
            print(f"maydan: {error}", file=sys.stderr)
            status = error.status
        except Stopped:
            _say("\nStopping … (once more to force it)" if sys.stdout.isatty() else "Stopping …")
        self._asked_to_stop = max(self._asked_to_stop, 1)
        self._stop()
        return status

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_stop += 1
        if self._asked_to_stop == 1:
            raise Stopped
        for worker in self.workers:
            worker.kill()

    def _start(self) -> None:
        settings = self.settings
        changes: dict[str, object] = {}
        if settings.database_url is None:
            self.postgres = EmbeddedPostgres(settings.maydan_data_dir)
            self.postgres.start()
            changes["database_url"] = self.postgres.dsn()
        if settings.redis_url is None:
            self.valkey = EmbeddedValkey(settings.maydan_data_dir)
            self.valkey.start()
            changes["redis_url"] = self.valkey.url
        elif sentence := asyncio.run(wrong_kind(settings.redis_url)):
            raise CannotServe(sentence, 2)
        self.socket = open_socket(settings.host, settings.port)
        changes["port"] = self.socket.getsockname()[1]
        self.settings = settings = settings.model_copy(update=changes)
        assert settings.database_url is not None
        asyncio.run(migrate(settings.database_url))
        if settings.demo:
            seed_if_empty(settings.database_url)
        environment = settings.environment()
        if settings.workers > 1:
            # Where the workers keep their numbers, so that any of them answers /metrics for all.
            self.metrics_folder = tempfile.mkdtemp(prefix="maydan-metrics-")
            environment["PROMETHEUS_MULTIPROC_DIR"] = self.metrics_folder
        for _ in range(settings.workers):
            self.workers.append(Worker(environment, self.socket))

    def _watch(self) -> None:
        """Look after the children for as long as we serve."""
        deadline = time.monotonic() + FIRST_ANSWER_SECONDS
        while True:
            if not self.answered:
                if any(worker.ended() for worker in self.workers):
                    raise CannotServe("the API does not start; the lines above say why")
                if answers(self.settings):
                    self.answered = True
                    _say(welcome(self.settings))
                elif time.monotonic() > deadline:
                    raise CannotServe(f"the API did not answer within {FIRST_ANSWER_SECONDS:.0f} seconds")
            for worker in self.workers:
                if worker.ended():
                    worker.replace()
            for server in (self.postgres, self.valkey):
                if server is not None:
                    server.revive()
            time.sleep(LOOK_EVERY if self.answered else 0.05)

    def _stop(self) -> None:
        """First the workers, in order, then the servers that they need."""
        if self.socket is not None:
            self.socket.close()
        for worker in self.workers:
            worker.stop()
        deadline = time.monotonic() + self.settings.shutdown_seconds + SHUTDOWN_MARGIN
        while any(not worker.ended() for worker in self.workers):
            if self._asked_to_stop > 1 or time.monotonic() > deadline:
                for worker in self.workers:
                    worker.kill()
            time.sleep(0.02)
        if self.metrics_folder is not None:
            shutil.rmtree(self.metrics_folder, ignore_errors=True)
        for server in (self.valkey, self.postgres):
            if server is not None:
                server.stop(at_once=self._asked_to_stop > 1)


class Worker:
    """One worker process and its successors."""

    def __init__(self, environment: dict[str, str], listening: socket.socket) -> None:
        self._environment = os.environ | environment
        self._listening = listening
        self._not_before = 0.0
        self._start()

    def _start(self) -> None:
        read, self._lifeline = os.pipe()
        descriptors = (self._listening.fileno(), read)
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "app.worker", *map(str, descriptors)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C in the terminal reaches the parent only, which stops us in order
        )
        os.close(read)
        self._started = time.monotonic()

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def replace(self) -> None:
        """Start another process in place of one that ended; after a pause when that one lived briefly."""
        now = time.monotonic()
        if now - self._started < SHORT_LIFE and not self._not_before:
            self._not_before = now + 1.0
        if now < self._not_before:
            return
        self._not_before = 0.0
        print(
            f"maydan: a worker ended with status {self._process.returncode}; another starts", file=sys.stderr
        )
        os.close(self._lifeline)
        if folder := self._environment.get("PROMETHEUS_MULTIPROC_DIR"):
            multiprocess.mark_process_dead(self._process.pid, folder)  # type: ignore[no-untyped-call]  # it has no types
        self._start()

    def stop(self) -> None:
        """Tell it to finish what it does and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def open_socket(host: str, port: int | None) -> socket.socket:
    """A listening socket on the port, or on the first free one from 8000. Raises CannotServe.

    It listens at once: two starts at the same moment never get the same port.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise CannotServe("HOST is wrong: it is neither an address nor a name of this machine.", 2) from None
    deadline = time.monotonic() + PORT_PATIENCE
    candidate = FIRST_PORT if port is None else port
    while True:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sys.platform == "linux":
                # Connections inherit it.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNHEARD * 1000))
            listening.bind((address[0], candidate, *address[2:]))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE and port is None and candidate < LAST_PORT:
                candidate += 1
            elif error.errno == errno.EADDRINUSE and port is not None and time.monotonic() < deadline:
                time.sleep(0.1)
            elif error.errno == errno.EADDRINUSE:
                raise CannotServe(
                    f"PORT {candidate} is in use by another program; choose another one.", 2
                ) from None
            elif error.errno == errno.EACCES:
                raise CannotServe(f"PORT {candidate} is only for root; choose one from 1024 on.", 2) from None
            else:
                raise CannotServe("HOST is wrong: it is no address of this machine.", 2) from None
        else:
            return listening


def answers(settings: Settings) -> bool:
    """Whether the API answers on its port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=0.5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def seed_if_empty(dsn: str) -> None:
    """Give a new database its demo network; one that has users is left alone."""
    from rich.console import Console

    from app import seed
    from app.progress import progress_bar

    async def is_empty() -> bool:
        connection = await asyncpg.connect(dsn)
        try:
            return not await connection.fetchval("SELECT EXISTS (SELECT FROM users)")
        finally:
            await connection.close()

    if asyncio.run(is_empty()):
        # Another process may have been faster at a database that both share.
        with progress_bar(Console()) as progress, contextlib.suppress(seed.SeedRefused):
            asyncio.run(seed.run(dsn, users=200, posts=3000, seed=1, progress=progress))


def welcome(settings: Settings) -> str:
    """What to open and how to stop."""
    if settings.demo:
        from app import demo

        return demo.banner(settings, settings.base_url)
    return f"Maydan answers at {settings.base_url}/graphql; Ctrl-C or SIGTERM stops it."


def _say(text: str) -> None:
    print(text, flush=True)
