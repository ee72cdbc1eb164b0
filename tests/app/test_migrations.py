"""Migrations: forward, once, one process at a time, never waiting long for a lock."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from app import migrations as module
from app.migrations import MigrationError, migrate, migrations, pending
from tests.servers import Databases


@pytest.fixture
def empty(databases: Databases) -> str:
    """The address of a database without any table."""
    return databases.fresh(template="template1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations, the second outside a transaction."""
    (tmp_path / "0001_things.sql").write_text("-- migrate:up\nCREATE TABLE things (id int);\nSELECT 1;\n")
    (tmp_path / "0002_index.sql").write_text(
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY by_id ON things (id);\n"
    )
    return tmp_path


async def test_all_of_ours_apply_and_then_nothing_is_left(empty: str) -> None:
    names = [migration.name for migration in migrations()]
    connection = await asyncpg.connect(empty)
    assert await pending(connection) == names
    told: list[str] = []
    assert await migrate(empty, tell=told.append) == names == told
    assert await migrate(empty) == []
    assert await pending(connection) == []
    await connection.close()


async def test_many_at_once_apply_each_once_also_a_concurrent_index(empty: str, folder: Path) -> None:
    done = await asyncio.gather(*(migrate(empty, folder) for _ in range(5)))
    assert sorted(done, key=len) == [[], [], [], [], ["0001_things", "0002_index"]]


async def test_one_that_fails_leaves_nothing_behind(empty: str, folder: Path) -> None:
    (folder / "0003_wrong.sql").write_text("-- migrate:up\nCREATE TABLE half (id int);\nSELECT 1 / 0;\n")
    with pytest.raises(MigrationError, match="0003_wrong failed: division by zero"):
        await migrate(empty, folder)
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await pending(connection, folder) == ["0003_wrong"]
    await connection.close()


async def test_it_gives_a_lock_up_and_tries_again(
    empty: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    await migrate(empty, folder)
    (folder / "0003_column.sql").write_text("-- migrate:up\nALTER TABLE things ADD COLUMN name text;\n")
    reader = await asyncpg.connect(empty)
    transaction = reader.transaction()
    await transaction.start()
    await reader.fetch("SELECT * FROM things")
    migrating = asyncio.create_task(migrate(empty, folder))
    done, _ = await asyncio.wait([migrating], timeout=0.3)
    assert not done
    # While it waits, nobody else is held up for longer than the timeout.
    other = await asyncpg.connect(empty)
    await asyncio.wait_for(other.fetch("SELECT * FROM things"), 2)
    await transaction.commit()
    assert await migrating == ["0003_column"]
    await reader.close()
    await other.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("1_short.sql", "-- migrate:up\n"),
        ("0003-dashes.sql", "-- migrate:up\n"),
        ("0003_no_first_line.sql", "CREATE TABLE x ();\n"),
        ("0002_same_number.sql", "-- migrate:up\n"),
    ],
)
def test_a_file_that_is_no_migration_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(MigrationError, match=name):
        migrations(folder)
