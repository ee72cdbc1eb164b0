"""Applies sql/migrations/*.sql, forward only; why not a tool: docs/decisions/0001-migrations.md.

A migration is a file `NNNN_what_it_does.sql` whose first line is `-- migrate:up`. It runs in one transaction, with
a lock timeout, unless that line ends in ` transaction:false` (for CREATE INDEX CONCURRENTLY: one statement only).
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

FOLDER = Path(__file__).parent.parent / "sql" / "migrations"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_FIRST_LINE = re.compile(r"^-- migrate:up( transaction:false)?\s*$")
# The advisory lock that one migrating process holds: the bytes of "maydan".
LOCK_KEY = int.from_bytes(b"maydan")
# A migration that waits for a lock makes everybody else wait behind it, so it gives up soon and tries again later.
LOCK_TIMEOUT_MS = 3000
ATTEMPTS, PAUSE_SECONDS = 10, 2.0
# Seconds between looks at a lock that another process holds. Waiting inside PostgreSQL would hold a snapshot, and
# the other process's CREATE INDEX CONCURRENTLY waits for all snapshots: a deadlock.
LOOK_AGAIN_SECONDS = 0.1
# Seconds after which the lock's holder is taken for stuck.
LONGEST_WAIT_SECONDS = 600.0


class MigrationError(Exception):
    """A migration cannot be applied; the message is for the person who migrates."""


@dataclass(frozen=True)
class Migration:
    """One file: its number as text, its name without the ending, what to run, whether inside a transaction."""

    version: str
    name: str
    text: str
    in_transaction: bool


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """All migrations, in order. Raises MigrationError for a file that is not one."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        name, first = _NAME.match(path.name), _FIRST_LINE.match(text.split("\n", 1)[0])
        if name is None or first is None:
            raise MigrationError(
                f"{path.name} must be named NNNN_what_it_does.sql and begin with -- migrate:up"
            )
        if found and found[-1].version == name[1]:
            raise MigrationError(f"{path.name} and {found[-1].name}.sql have the same number")
        found.append(Migration(name[1], path.stem, text, in_transaction=first[1] is None))
    return found


async def migrate(
    dsn: str, folder: Path = FOLDER, *, tell: Callable[[str], None] = lambda name: None
) -> list[str]:
    """Apply what is missing. Returns the names of what was applied; `tell` hears each before it runs.

    Several processes may do this at the same time: one works, the others wait and find nothing left to do.
    Raises MigrationError, and OSError or asyncpg's errors when the database cannot be reached.
    """
    wanted = migrations(folder)
    connection = await asyncpg.connect(
        dsn, timeout=10, server_settings={"application_name": "maydan migrate"}
    )
    try:
        await _lock(connection)
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY)")
        done = {row["version"] for row in await connection.fetch("SELECT version FROM schema_migrations")}
        missing = [migration for migration in wanted if migration.version not in done]
        for migration in missing:
            tell(migration.name)
            await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()  # which frees the advisory lock


async def _lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    waited = 0.0
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        if waited >= LONGEST_WAIT_SECONDS:
            raise MigrationError("another process has been migrating for ten minutes; look what it waits for")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        waited += LOOK_AGAIN_SECONDS


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if migration.in_transaction:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                    await connection.execute(migration.text)
                    await _record(connection, migration)
                    # A file may have set something for its own session only.
                await connection.execute("RESET ALL")
            else:
                await connection.execute(migration.text)
                await _record(connection, migration)
            return
        except asyncpg.LockNotAvailableError:
            if attempt == ATTEMPTS:
                raise MigrationError(
                    f"{migration.name} got no lock in {ATTEMPTS} attempts; look for a long transaction"
                ) from None
            await asyncio.sleep(PAUSE_SECONDS)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.name} failed: {error}") from error


async def _record(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    await connection.execute("INSERT INTO schema_migrations (version) VALUES ($1)", migration.version)


async def pending(connection: "asyncpg.Connection[asyncpg.Record]", folder: Path = FOLDER) -> list[str]:
    """The names of the migrations that a database still lacks."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return [migration.name for migration in migrations(folder)]
    done = {row["version"] for row in await connection.fetch("SELECT version FROM schema_migrations")}
    return [migration.name for migration in migrations(folder) if migration.version not in done]
