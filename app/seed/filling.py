"""Fills an empty database with the demo network: one transaction of COPYs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import asyncpg

from app.passwords import Passwords
from app.seed.network import Network, Row, Table
from app.seed.people import ACCOUNTS_SPAN
from dataloaders.rows import ID_EPOCH
from dataloaders.users import USERS
from resolvers.text import normalize_password

DEMO_PASSWORD = "maydan-demo-password"  # noqa: S105 - known to all, demo accounts only

Tell = Callable[[str, int, int], None]

SERVER_SETTINGS = {
    "application_name": "maydan seed",
    "timezone": "UTC",
    "statement_timeout": "0",  # a COPY takes as long as it takes
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "5s",
}
# So many rows are sent before others get a turn and are told how far it is.
ROWS_AT_A_TIME = 2000
# Nobody signs up meanwhile, since a new account could take the handle of one to come.
_CLOSE_SIGN_UP = "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"


class SeedRefused(ValueError):
    """The demo network cannot be put into this database. The message is for the one who asked."""


@dataclass(frozen=True)
class SeedReport:
    """What was put in: posts counts replies as well, and replies those among them."""

    users: int
    posts: int
    replies: int
    reposts: int
    likes: int
    follows: int
    seconds: float


async def run(
    dsn: str,
    *,
    users: int,
    posts: int,
    seed: int,
    progress: Tell | None = None,
    password: str = DEMO_PASSWORD,
    now: datetime | None = None,
) -> SeedReport:
    """Fill the empty database with so many accounts, all with this password, and so many posts and replies.

    The same users, posts and seed give the same rows; only times and what is made of them (ids) move with
    `now`, and the hash of the password has its own salt. All rows come in at once or, when anything goes
    wrong, none. `progress` is told (what, done, total) now and then.
    Raises SeedRefused when somebody has an account already, and ValueError for numbers that make no network.
    """
    began = monotonic()
    if users < 2 or posts < 0:
        raise ValueError("A demo network has at least two accounts, and posts are not negative.")
    moment = _microseconds(now or datetime.now(UTC))
    tell = progress or _tell_nobody
    connection = await asyncpg.connect(dsn, server_settings=SERVER_SETTINGS)
    try:
        await _refuse_unless_empty(connection)
        tell("planning", 0, 1)
        # Elsewhere, so that Ctrl-C is heard.
        network = await asyncio.to_thread(Network.made, users=users, posts=posts, seed=seed, now=moment)
        tell("planning", 1, 1)
        tables = network.tables(await _hashed(password))
        # No transaction block of asyncpg, which would roll back on a connection that is in the middle of a COPY.
        await connection.execute("BEGIN")
        await _close_sign_up(connection)
        await _refuse_unless_empty(connection)
        for table in tables:
            await _copy(connection, table, tell)
        await connection.execute("COMMIT")
        tell("statistics", 0, 1)
        # VACUUM as well: index-only scans need it, and autovacuum would come in the middle of the first use.
        await connection.execute(f"VACUUM (ANALYZE) {', '.join(table.name for table in tables)}")
        tell("statistics", 1, 1)
        await connection.close()
    except BaseException:
        # Also when this is cancelled. What was not committed is not there then.
        connection.terminate()
        raise
    return SeedReport(
        users=users,
        posts=posts,
        replies=network.reply_count,
        reposts=len(network.activity.repost_entries),
        likes=network.like_count,
        follows=network.ties.follow_count,
        seconds=monotonic() - began,
    )


def _tell_nobody(_what: str, _done: int, _total: int) -> None:
    return


def _microseconds(now: datetime) -> int:
    moment = (now - ID_EPOCH) // timedelta(microseconds=1)
    if moment <= ACCOUNTS_SPAN:
        raise ValueError(
            "The clock is wrong: the demo network begins 200 days ago, and that was before 2025."
        )
    return moment


async def _hashed(password: str) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(normalize_password(password))
    finally:
        await passwords.aclose()


async def _close_sign_up(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    try:
        await connection.execute(_CLOSE_SIGN_UP)
    except asyncpg.LockNotAvailableError as error:
        raise SeedRefused(
            "Somebody is writing accounts into this database; try again when they are done."
        ) from error


async def _refuse_unless_empty(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    if await connection.fetchval(USERS["any_user"].text) is not None:
        raise SeedRefused("The demo network only fills an empty database, and this one already has accounts.")


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", table: Table, tell: Tell) -> None:
    async with aclosing(_paced(table, tell)) as rows:
        await connection.copy_records_to_table(table.name, records=rows, columns=table.columns)


async def _paced(table: Table, tell: Tell) -> AsyncGenerator[Row, None]:
    """The rows, with a breath now and then. PostgreSQL takes in the ones before while the next are made."""
    tell(table.what, 0, table.total)
    left = ROWS_AT_A_TIME
    done = 0
    for row in table.rows:
        yield row
        left -= 1
        if not left:
            left = ROWS_AT_A_TIME
            done += ROWS_AT_A_TIME
            tell(table.what, done, table.total)
            await asyncio.sleep(0)
    tell(table.what, table.total, table.total)
