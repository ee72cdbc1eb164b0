"""The committed sql/schema.sql, and the shape that every table has: its owner leads."""

import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from app.dump import FILE, dump_schema
from app.migrations import FOLDER
from tests.houserules.tables import ROOT, tables

SQUAWK = Path(sys.executable).parent / "squawk"
TABLES = tables()


def test_the_committed_schema_is_what_the_migrations_make(database: str) -> None:
    assert FILE.read_text(encoding="utf-8") == dump_schema(database), (
        "sql/schema.sql is not what the migrations make; run `make sql-schema` and look at what changed"
    )


async def test_every_table_is_in_the_committed_schema_with_its_key(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        keys = await connection.fetch(
            "SELECT conrelid::regclass::text AS name, array_agg(attname::text ORDER BY nth) AS key "
            "FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS k (number, nth), pg_attribute "
            "WHERE contype = 'p' AND attrelid = conrelid AND attnum = number AND connamespace = 'public'::regnamespace "
            "AND conrelid::regclass::text <> 'schema_migrations' GROUP BY conrelid"
        )
        plain = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    assert {row["name"]: tuple(row["key"]) for row in keys} == {
        name: table.key for name, table in TABLES.items()
    }
    assert plain == len(TABLES) + 1, "a table has no primary key; give it one that starts with its owner"


# An owner is an account, or what has a table of its own because it is unique across accounts (or the server's own).
OWNERS = {
    "handles": "handle",
    "emails": "email",
    "throttles": "key",
    "log": "part",
    "changed_posts": "part",
    "sequencers": "part",
    "trusted_documents": "document_id",
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_primary_key_starts_with_the_owner(name: str) -> None:
    owner = TABLES[name].owner
    assert name in OWNERS or owner == "id" or owner.endswith("_id"), (
        f"the key of {name} starts with {owner}, which names no account; start it with whose the row is, or explain "
        "in OWNERS what else owns it"
    )
    assert owner == OWNERS.get(name, owner)
    if owner == "id":
        assert name == "users", (
            f"{name}(id): only an account owns itself; start the key with whose the row is"
        )


async def test_what_is_unique_is_unique_within_one_owner(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        indexes = await connection.fetch(
            "SELECT indrelid::regclass::text AS name, indexrelid::regclass::text AS index, "
            "ARRAY(SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS k (number, nth) "
            "JOIN pg_attribute ON attrelid = indrelid AND attnum = number WHERE nth <= indnkeyatts) AS columns "
            "FROM pg_index JOIN pg_class ON oid = indexrelid "
            "WHERE indisunique AND relnamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    assert len(indexes) > len(TABLES)
    for index in indexes:
        if index["name"] in TABLES:
            owner = TABLES[index["name"]].owner
            assert owner in index["columns"], (
                f"{index['index']} is unique across owners; make it start with {owner}, or give what must be unique "
                "everywhere a table of its own, keyed by itself"
            )


async def test_foreign_keys_stay_inside_one_owner(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        keys = await connection.fetch(
            "SELECT conname, conrelid::regclass::text AS name, confrelid::regclass::text AS other, "
            "ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, nth) "
            "JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY nth) AS columns, "
            "ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (number, nth) "
            "JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY nth) AS others "
            "FROM pg_constraint WHERE contype = 'f'"
        )
    finally:
        await connection.close()
    assert keys
    for key in keys:
        pairs = list(zip(key["columns"], key["others"], strict=True))
        assert (TABLES[key["name"]].owner, TABLES[key["other"]].owner) in pairs, (
            f"{key['conname']} leads from one owner to another ({pairs}); take it out, and keep both sides in one "
            "transaction instead"
        )


def squawk(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Squawk's opinion of migrations, as `make check` asks for it."""
    return subprocess.run(
        [SQUAWK, "--reporter", "gcc", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_migrations_lock_nobody_out() -> None:
    done = squawk(*sorted(FOLDER.glob("*.sql")))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX posts_text ON posts (text);", "require-concurrent-index-creation"),
        ("ALTER TABLE posts ADD COLUMN pinned boolean NOT NULL;", "adding-required-field"),
        ("ALTER TABLE posts RENAME COLUMN text TO body;", "renaming-column"),
        ("ALTER TABLE posts DROP COLUMN text;", "ban-drop-column"),
    ],
)
def test_a_migration_that_would_is_found(tmp_path: Path, statement: str, rule: str) -> None:
    planted = tmp_path / "0002_planted.sql"
    planted.write_text(
        f"-- migrate:up\nSET LOCAL lock_timeout = '5s';\nSET LOCAL statement_timeout = '60s';\n{statement}\n"
    )
    done = squawk(planted)
    assert done.returncode == 1
    assert rule in done.stdout


def test_a_migration_sets_its_timeouts() -> None:
    for path in FOLDER.glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        for setting in ("lock_timeout", "statement_timeout"):
            assert re.search(rf"^SET (LOCAL )?{setting} = '\d+(ms|s|min)';$", text, re.MULTILINE) or (
                "transaction:false" in text
            ), f"{path.name} sets no {setting}: everybody would wait behind it"
