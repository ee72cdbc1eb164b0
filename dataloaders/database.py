"""The pool, one operation's connection, and transactions: the only code that touches asyncpg.

An operation takes one connection, at its first statement, and its reads take turns on it: two on one
connection at once are an error in asyncpg, and one connection for each statement was measured at 1.4 times the
CPU. asyncpg's reset query at every release (twice the CPU again) is off: nothing here sets session state. Between
operations that follow one another a connection does not even go back to the pool.
"""

import asyncio
import ssl as _ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import orjson
from asyncpg import introspection
from asyncpg.pool import PoolConnectionProxy

from dataloaders import arrays
from sql import Query

# Rows are named tuples; tuple itself will do where one column matters.
Row = TypeVar("Row", bound=tuple[Any, ...])

# A statement that takes longer is a fault, not a wait; a lock is released within the same order of time.
SERVER_SETTINGS = {
    "application_name": "maydan",
    "timezone": "UTC",
    "jit": "off",  # compiling costs more than these short statements
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
}
# Seconds an operation waits for a connection before it says that the database cannot be reached.
ACQUIRE_TIMEOUT = 5.0
CONNECT_TIMEOUT = 5.0
# A connection that no operation needed for so many seconds, or twice as many, goes back to the pool.
READY_SECONDS = 1.0


class DatabaseUnavailable(Exception):
    """The database cannot be reached, went away during the statement, or is too busy; trying again may succeed."""


class MissingTable(Exception):
    """The database has no such table: its migrations have not run."""


_GONE = (
    OSError,
    TimeoutError,
    _ssl.SSLError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke under a statement may say that another one is under way
    # Too busy for it just now: trying again may succeed as well.
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)


# PostgreSQL's own name of bigint[].
_BIGINTS = ("pg_catalog", "_int8")


class _Connection(asyncpg.Connection):
    """A connection that is given back without a reset query; transactions here always end where they began."""

    def get_reset_query(self) -> str:
        return ""

    async def _introspect_type(self, typename: str, schema: str) -> Any:
        # set_type_codec refuses arrays; it takes one when it is told that the type has no elements.
        if (schema, typename) == _BIGINTS:
            return introspection.TypeRecord((arrays.BIGINTS, None, b"b"))
        return await super()._introspect_type(typename, schema)  # type: ignore[misc]  # not public, so mypy does not see it


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )
    schema, name = _BIGINTS
    await connection.set_type_codec(
        name, schema=schema, format="binary", encoder=arrays.encode, decoder=arrays.decode
    )


def _is_lost(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether it broke: the pool takes such a connection back by itself, and what stood for it answers no more."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


class Statements:
    """Runs named queries on one connection and turns records into rows."""

    def __init__(
        self, connection: "PoolConnectionProxy[asyncpg.Record]", watchers: Iterable[Callable[[Query], None]]
    ) -> None:
        self._connection = connection
        self._watchers = watchers
        # Whether the statement before came to its end, so that nothing of it is left on the connection.
        self.is_clean = True

    async def many(self, row: type[Row], query: Query, *values: Any) -> list[Row]:
        """All rows of the result, in its order."""
        make = tuple.__new__  # half the price of calling the class
        return [make(row, record) for record in await self._fetch(query, values)]

    async def maybe(self, row: type[Row], query: Query, *values: Any) -> Row | None:
        """The row, or None when there is none."""
        records = await self._fetch(query, values)
        return tuple.__new__(row, records[0]) if records else None

    async def one(self, row: type[Row], query: Query, *values: Any) -> Row:
        """The row. Raises LookupError when there is none, which is a bug."""
        found = await self.maybe(row, query, *values)
        if found is None:
            raise LookupError(f"{query.name} found no row")
        return found

    async def run(self, query: Query, *values: Any) -> None:
        """For statements without a result."""
        await self._fetch(query, values)

    async def run_many(self, query: Query, values: Sequence[Sequence[Any]]) -> None:
        """One statement for each tuple of values, pipelined."""
        for watch in self._watchers:
            watch(query)
        self.is_clean = False
        try:
            await self._connection.executemany(query.text, values)
        except _GONE as error:
            raise DatabaseUnavailable(f"{query.name}: {error}") from error
        self.is_clean = True

    async def _fetch(self, query: Query, values: Sequence[Any]) -> list[asyncpg.Record]:
        for watch in self._watchers:
            watch(query)
        self.is_clean = False
        try:
            records = await self._connection.fetch(query.text, *values)
        except asyncpg.UndefinedTableError as error:
            raise MissingTable(f"{query.name}: {error}") from error
        except _GONE as error:
            raise DatabaseUnavailable(f"{query.name}: {error}") from error
        self.is_clean = True
        return records


class Session:
    """The database for one operation: one connection, taken at the first statement, used in turns."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._connection: PoolConnectionProxy[asyncpg.Record] | None = None
        self._statements: Statements | None = None
        self._in_transaction = False
        self._closed = False
        self.statements = 0

    def _watch(self, _: Query) -> None:
        self.statements += 1

    async def _connected(self) -> Statements:
        if self._closed:
            # A loader's task may still be under way when its operation was given up.
            raise RuntimeError("the operation is over; its database session was closed")
        if self._statements is None:
            self._connection = await self._database.acquire()
            self._statements = Statements(self._connection, (self._watch, *self._database.watchers))
        return self._statements

    def turn(self) -> "_Turn":
        """The connection, for as long as an `async with` lasts. Inside a transaction use the transaction instead."""
        if self._in_transaction:
            raise RuntimeError("inside a transaction read through the transaction, not through a loader")
        return _Turn(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Statements]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        async with self._lock:
            statements = await self._connected()
            assert self._connection is not None
            self._in_transaction = True
            ended = False
            try:
                async with self._connection.transaction():
                    yield statements
                ended = True
            except _GONE as error:
                raise DatabaseUnavailable(str(error)) from error
            finally:
                self._in_transaction = False
                statements.is_clean = ended

    async def release(self) -> None:
        """Give the connection back, after the turn that is under way. The session may be used again."""
        async with self._lock:
            connection, self._connection = self._connection, None
            statements, self._statements = self._statements, None
            if connection is not None:
                await self._database.release(connection, statements is not None and statements.is_clean)

    async def close(self) -> None:
        """Give the connection back for good: whoever still waits for a turn gets none."""
        self._closed = True
        await self.release()


class _Turn:
    """What turn() gives; written out, since a generator's context manager costs as much as the rest of a turn."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def __aenter__(self) -> Statements:
        session = self._session
        await session._lock.acquire()
        statements = session._statements
        if statements is not None and not session._closed:
            return statements
        try:
            return await session._connected()
        except BaseException:
            session._lock.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._session._lock.release()


class Database:
    """The pool of connections. `watchers` see every query that is sent, for counts in logs and tests."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self.watchers: list[Callable[[Query], None]] = []
        # Given back in order and not to the pool, which takes a task for that: the next operation gets the last one.
        self._ready: list[PoolConnectionProxy[asyncpg.Record]] = []
        # How few of them there were since it was looked last: so many were of no use.
        self._spare = 0
        self._look: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[None]] = set()
        # Who waits for the pool, which then gets what is given back.
        self._waiting = 0
        self._closing = False

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, dsn: str, *, size: int = 10, settings: dict[str, str] | None = None
    ) -> "AsyncIterator[Database]":
        """A database with up to `size` connections, made when they are needed, closed at the end of the block."""
        pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            connection_class=_Connection,
            init=_prepare_connection,
            server_settings=SERVER_SETTINGS | (settings or {}),
            statement_cache_size=500,
            max_cached_statement_lifetime=0,
            max_inactive_connection_lifetime=300,
            timeout=CONNECT_TIMEOUT,
        )
        async with pool:
            database = cls(pool)
            try:
                yield database
            finally:
                await database._close()

    @property
    def in_use(self) -> int:
        """How many connections are taken at the moment."""
        return self._pool.get_size() - self._pool.get_idle_size() - len(self._ready)

    def session(self) -> Session:
        """A session for one operation; close it at the operation's end."""
        return Session(self)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Session]:
        """A session for the length of the block."""
        session = self.session()
        try:
            yield session
        finally:
            await session.close()

    async def acquire(self) -> "PoolConnectionProxy[asyncpg.Record]":
        """A connection. Raises DatabaseUnavailable."""
        while self._ready:
            connection = self._ready.pop()
            self._spare = min(self._spare, len(self._ready))
            if not _is_lost(connection):
                return connection
            await self._return(connection)
        # A timeout costs a task, and is not needed where nobody has to wait.
        timeout = None if self._pool.get_idle_size() else ACQUIRE_TIMEOUT
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=timeout)
        except (*_GONE, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable(f"no connection: {error}") from error
        finally:
            self._waiting -= 1

    async def release(self, connection: "PoolConnectionProxy[asyncpg.Record]", is_clean: bool) -> None:
        """Give a connection back, also one that broke. `is_clean`: nothing is left of what was done with it."""
        if (
            not is_clean
            or self._waiting
            or self._closing
            or _is_lost(connection)
            or connection.is_in_transaction()
        ):
            await self._return(connection)
            return
        self._ready.append(connection)
        if self._look is None:
            self._spare = len(self._ready)
            self._look = asyncio.get_running_loop().call_later(READY_SECONDS, self._return_spare)

    def _return_spare(self) -> None:
        """Give the pool what was not needed since the last look; it closes what stays idle."""
        spare, self._ready = self._ready[: self._spare], self._ready[self._spare :]
        for connection in spare:
            task = asyncio.create_task(self._return(connection))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)
        self._spare = len(self._ready)
        self._look = (
            asyncio.get_running_loop().call_later(READY_SECONDS, self._return_spare) if self._ready else None
        )

    async def _return(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        try:
            await self._pool.release(connection)  # goes on when this task is cancelled
        except (*_GONE, asyncpg.PostgresError):
            connection.terminate()

    async def _close(self) -> None:
        """Give everything back to the pool, also what comes later."""
        self._closing = True
        if self._look is not None:
            self._look.cancel()
        while self._ready:
            await self._return(self._ready.pop())
        await asyncio.gather(*self._returning, return_exceptions=True)
