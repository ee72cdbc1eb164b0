"""Fixtures for everybody: a server on a fresh database, and people who use it."""

import asyncio
import atexit
import base64
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import asyncpg
import httpx
import pytest
import uvicorn

from app.documents.fork_server import ForkServer
from app.embedded import EmbeddedValkey
from app.logs import configure_logs
from app.main import Application, create_application
from app.protocols import HttpProtocol, SocketProtocol
from app.settings import Settings
from app.worker import StreamingServer
from sql import Query
from tests.people import PASSWORD, Person

pytest_plugins = ["tests.servers"]

configure_logs(level="error", json=False)


@dataclass
class Statements:
    """The names of the statements that operations sent."""

    names: list[str] = field(default_factory=list)
    background: frozenset[str] = frozenset(
        {
            "log_after",
            "log_head",
            "take_lease",
            "outbox_first",
            "number_outbox",
            "announce_changes",
            "trim_log",
            "trim_changes",
            "trim_throttles",
            "take_fanout",
        }
    )

    def __call__(self, query: Query) -> None:
        self.names.append(query.name)

    def take(self) -> list[str]:
        """What was sent since the last time, the live machinery's own statements left out."""
        names, self.names = self.names, []
        return [name for name in names if name not in self.background]


@dataclass
class Server:
    """A running server: the application in this process, reached over a real socket."""

    url: str
    application: Application
    settings: Settings
    http: httpx.AsyncClient
    uvicorn: uvicorn.Server

    async def sign_up(self, handle: str, **changes: str) -> Person:
        """Somebody new."""
        person = Person(self.url, self.http)
        given = {
            "handle": handle,
            "displayName": handle.title(),
            "email": f"{handle}@example.org",
            "password": PASSWORD,
        }
        done = await person.does(
            "signUp", "viewer { id handle } tokens { accessToken refreshToken }", **(given | changes)
        )
        person.id, person.handle = done["viewer"]["id"], done["viewer"]["handle"]
        person.token = done["tokens"]["accessToken"]
        person.refresh_token = done["tokens"]["refreshToken"]
        return person

    def passer_by(self) -> Person:
        """Somebody anonymous."""
        return Person(self.url, self.http)


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve(database: str, valkey: EmbeddedValkey) -> AsyncIterator[Serve]:
    """Start servers on this test's database: `await serve(access_token_seconds=5)`."""
    async with AsyncExitStack() as stack:

        async def start(**changes: object) -> Server:
            return await stack.enter_async_context(serving(database, valkey.url, **changes))

        yield start


# One key pair for all servers of a test run, so that several on one database accept each other's tokens.
PRIVATE_KEY = base64.b64encode(os.urandom(32)).decode()
SECRET = base64.b64encode(os.urandom(32)).decode()


@cache
def fork_server() -> ForkServer:
    """One for all servers of this process: each would load the schema once more. It ends with the process."""
    made = ForkServer()
    atexit.register(made.close)
    return made


@asynccontextmanager
async def serving(database_url: str, redis_url: str, **changes: object) -> AsyncIterator[Server]:
    """A server for the length of the block."""
    values: dict[str, object] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "secret_key": SECRET,
        "token_private_key": PRIVATE_KEY,
        "log_level": "error",
        "introspection": True,
        # All tests of a process come from one address, to one Valkey.
        "cost_budget": "10000000/60",
        "sign_up_per_address": "10000/3600",
        "shutdown_seconds": 5,
    }
    settings = Settings.model_validate(values | changes)
    application, asgi = create_application(settings, fork_server())
    listening = socket.create_server(("127.0.0.1", 0))
    # With its protocol named: asyncio sets TCP_NODELAY on no other, and each answer would wait 40 ms.
    listening = socket.socket(listening.family, listening.type, socket.IPPROTO_TCP, fileno=listening.detach())
    config = uvicorn.Config(
        asgi,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
        proxy_headers=False,
        ws_max_size=262_144,
        # Neither side gives up an idle connection, in whose closing a request could be lost.
        timeout_keep_alive=600,
    )
    server = StreamingServer(config)
    task = asyncio.create_task(server._serve([listening]))
    try:
        while not server.started:
            assert not task.done(), "the server did not start"
            await asyncio.sleep(0)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        limits = httpx.Limits(max_connections=200, keepalive_expiry=None)
        async with httpx.AsyncClient(timeout=30, limits=limits) as http:
            yield Server(url, application, settings, http, server)
    finally:
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def server(serve: Serve) -> Server:
    """A server with the usual settings."""
    return await serve()


@pytest.fixture
async def alice(server: Server) -> Person:
    return await server.sign_up("alice")


@pytest.fixture
async def bob(server: Server) -> Person:
    return await server.sign_up("bob")


@pytest.fixture
async def carol(server: Server) -> Person:
    return await server.sign_up("carol")


@pytest.fixture
async def mallory(server: Server) -> Person:
    return await server.sign_up("mallory")


@pytest.fixture
def passer_by(server: Server) -> Person:
    return server.passer_by()


@pytest.fixture
def statements(server: Server) -> Iterator[Statements]:
    """What the operations of a test send to PostgreSQL."""
    watcher = Statements()
    watchers = server.application.parts.database.watchers
    watchers.append(watcher)
    yield watcher
    watchers.remove(watcher)


@dataclass
class Oracle:
    """The database as it is, for proving that nothing happened and for recomputed truths."""

    connection: "asyncpg.Connection[asyncpg.Record]"

    async def count(self, table: str, where: str = "true") -> int:
        found = await self.connection.fetchval(f"SELECT count(*) FROM {table} WHERE {where}")
        return int(found)

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        return await self.connection.fetch(sql, *values)


@pytest.fixture
async def stored(database: str) -> AsyncIterator[Oracle]:
    connection = await asyncpg.connect(database)
    try:
        yield Oracle(connection)
    finally:
        await connection.close()
