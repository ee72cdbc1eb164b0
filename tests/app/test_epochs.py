"""An epoch ends with the database that it is of: what is restored, copied or promoted goes on in another one."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from app.embedded import EmbeddedPostgres
from app.embedded.binaries import PACKAGE
from app.migrations import migrate
from dataloaders.database import Database
from dataloaders.log import log_after, log_head, make_room, number_outbox, renew_epoch, take_lease
from dataloaders.rows import HeadRow
from tests.live import holds
from tests.servers import Databases

PATIENCE = 1.5
EVENT = "INSERT INTO outbox (owner_id, kind, public, data) VALUES (1, 'story', false, '{}')"


async def numbered(dsn: str) -> HeadRow:
    """What a worker does that takes the lease, with one event; the head then."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(EVENT)
    await connection.close()
    async with Database.connected(dsn, size=1) as pool, pool.opened() as session, session.turn() as db:
        lease = await take_lease(db, "holder", PATIENCE)
        assert lease is not None
        if lease.room <= lease.number + 1:
            await make_room(db, "holder", 100)
        assert await number_outbox(db, "holder", 10)
        return await log_head(db)


async def goes_on_in_another_epoch(dsn: str, before: HeadRow) -> None:
    """Numbers and rows are those of the original, the epoch is not; and then it stays."""
    first = await numbered(dsn)
    assert first.epoch != before.epoch
    assert first.number == before.number + 1
    assert await numbered(dsn) == (first.epoch, first.number + 1)
    async with Database.connected(dsn, size=1) as pool, pool.opened() as session, session.turn() as db:
        assert [row.number for row in await log_after(db, 0, 10)] == list(range(1, first.number + 2))


@contextmanager
def dropped(databases: Databases, dsn: str) -> Iterator[str]:
    try:
        yield dsn
    finally:
        databases.drop(dsn)


def program(name: str) -> str:
    return str(PACKAGE / "pginstall" / "bin" / name)


async def test_an_epoch_holds_while_the_database_is_the_same(database: str) -> None:
    first = await numbered(database)
    assert await numbered(database) == (first.epoch, first.number + 1)


async def test_a_dump_restored_on_the_same_server_begins_another(databases: Databases, database: str) -> None:
    before = await numbered(database)
    dump = await asyncio.to_thread(
        subprocess.run,
        [program("pg_dump"), "--inserts", "--no-owner", database],
        capture_output=True,
        text=True,
        check=True,
    )
    with dropped(databases, databases.fresh(template="template0")) as restored:
        connection = await asyncpg.connect(restored)
        await connection.execute("\n".join(x for x in dump.stdout.splitlines() if not x.startswith("\\")))
        await connection.close()
        await goes_on_in_another_epoch(restored, before)


async def test_a_copy_on_the_same_server_begins_another(databases: Databases, database: str) -> None:
    before = await numbered(database)
    with dropped(databases, databases.fresh(template=database.split("?")[0].rpartition("/")[2])) as copy:
        await goes_on_in_another_epoch(copy, before)


async def test_a_database_that_was_recovered_or_promoted_begins_another(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path, durable=False)
    await asyncio.to_thread(server.start)
    try:
        await migrate(server.dsn())
        before = await numbered(server.dsn())
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        after = await numbered(server.dsn())
        # Started again, nothing more.
        assert after == (before.epoch, before.number + 1)
        server.psql("ALTER SYSTEM SET restore_command = 'false'")
        await asyncio.to_thread(server.stop)
        # Recovery from an archive that has nothing to add: what ends it begins another timeline, as a promotion does.
        (tmp_path / "postgres" / "data" / "recovery.signal").touch()
        await asyncio.to_thread(server.start)
        await holds(lambda: server.psql("SELECT pg_is_in_recovery()").strip().endswith("f"))
        await goes_on_in_another_epoch(server.dsn(), after)
    finally:
        await asyncio.to_thread(server.stop)


async def test_the_operator_begins_another(database: str) -> None:
    before = await numbered(database)
    async with Database.connected(database, size=1) as pool, pool.opened() as session, session.turn() as db:
        renewed = await renew_epoch(db)
    assert renewed.epoch != before.epoch
    assert await numbered(database) == (renewed.epoch, before.number + 1)
