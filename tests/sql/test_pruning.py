"""Every statement that binds its owners reads only where those are: shown on tables partitioned by owner.

The tables of a seeded database are copied into twins, hash-partitioned by the first column of their primary key. Each
named query is run on them under EXPLAIN (ANALYZE), in a transaction that is rolled back. What counts are the
partitions whose scan was executed at all: at most as many as the owners that the parameters name.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import asyncpg
import pytest

from app import seed
from sql import Query
from sql.reader import load_all
from tests.houserules.sql_lint import CROSSING
from tests.houserules.tables import Table, tables
from tests.servers import Databases
from tests.sql.test_queries import nodes_of

PARTITIONS = 8
QUERIES = {
    name: query for noun in load_all().values() for name, query in noun.items() if name not in CROSSING
}
# Where the type of a parameter does not say enough: other values, by the parameter's number. Account 1 is not there.
CALLS: dict[str, dict[int, str]] = {
    "insert_user": {1: "1"},
    "insert_credentials": {1: "1"},
    "insert_post": {3: "LTR"},
    "log_of_owners": {3: "0"},
    "public_log": {3: "0"},
    "count_of_owners": {3: "0"},
    "count_public": {2: "0"},
    "ties_in_log": {3: "0"},
}
# Parameters that must be posts of the first two accounts, by number, for the plan to come to all of its tables.
POSTS_OF_BOTH = {"posts_by_keys": 2}
# Calls that name two owners without an array of them.
TWO_OWNERS = {"count_follow"}

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def twin(table: Table) -> Iterator[str]:
    """The statements that make a table's partitioned twin and fill it."""
    yield (
        f"CREATE TABLE parted.{table.name} (LIKE public.{table.name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS "
        f"INCLUDING INDEXES) PARTITION BY HASH ({table.owner})"
    )
    for part in range(PARTITIONS):
        yield (
            f"CREATE TABLE parted.{table.name}__{part} PARTITION OF parted.{table.name} "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
        )
    yield f"INSERT INTO parted.{table.name} SELECT * FROM public.{table.name}"


async def _fill(dsn: str) -> None:
    await seed.run(dsn, users=500, posts=10_000, seed=1)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA parted")
        for table in tables().values():
            for statement in twin(table):
                await connection.execute(statement)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def parted(prepared: Databases) -> Iterator[str]:
    """The address of a seeded database with the twins."""
    dsn = prepared.fresh()
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(_fill(dsn))
    yield dsn
    prepared.drop(dsn)


@pytest.fixture
async def connection(parted: str) -> AsyncIterator[Connection]:
    """A connection that sees the twins."""
    connection = await asyncpg.connect(
        parted, server_settings={"search_path": "parted, public", "jit": "off"}
    )
    yield connection
    await connection.close()


async def values_for(connection: Connection, query: Query) -> tuple[list[str], int]:
    """Literals to call the query with, and how many owners they name."""
    rows = await connection.fetch(
        # Two busy accounts that no table keeps in one partition.
        "SELECT e.actor_id, min(u.handle) AS handle, e.tableoid FROM entries e JOIN users u ON u.id = e.actor_id "
        "GROUP BY e.actor_id, e.tableoid ORDER BY count(*) DESC, e.actor_id"
    )
    one = rows[0]
    other = next(row for row in rows if row["tableoid"] != one["tableoid"])
    accounts = [str(one["actor_id"]), str(other["actor_id"])]
    by_type = {
        "int8": accounts[1],
        "int8[]": f"{{{','.join(accounts)}}}",
        "int4": "1",
        "int2": "0",
        "float8": "1",
        "bool": "true",
        "text": one["handle"],
        "text[]": f"{{{one['handle']},{other['handle']}}}",
        "bytea": "\\x00",
        "timestamptz": "2026-01-01 00:00Z",
        "jsonb": "{}",
    }
    statement = await connection.prepare(query.text)
    types = [type.name for type in statement.get_parameters()]
    values = [by_type[type] for type in types]
    # The first account comes first: an account does not follow, block or repost itself.
    if types[:1] == ["int8"]:
        values[0] = accounts[0]
    for at, value in CALLS.get(query.name, {}).items():
        values[at - 1] = value
    if query.name in POSTS_OF_BOTH:
        posts = [
            await connection.fetchval("SELECT max(id) FROM posts WHERE author_id = $1", int(account))
            for account in accounts
        ]
        values[POSTS_OF_BOTH[query.name] - 1] = f"{{{','.join(map(str, posts))}}}"
    many = any(type.endswith("[]") for type in types) or query.name in TWO_OWNERS
    return values, 2 if many else 1


async def partitions_read(
    connection: Connection, query: Query, values: list[str], mode: str
) -> dict[str, set[str]]:
    """For each table that the plan scans, the partitions that it did scan."""
    literals = ", ".join(f"'{value}'" for value in values)
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute(f"PREPARE the_query AS {query.text}")
    transaction = connection.transaction()
    await transaction.start()
    try:
        found = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING off) EXECUTE the_query{f'({literals})' * bool(values)}"
        )
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE the_query")
    read: dict[str, set[str]] = defaultdict(set)
    for node in nodes_of(json.loads(found)[0]["Plan"]):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            partitions = read[node["Relation Name"].rpartition("__")[0]]
            if node["Actual Loops"]:
                partitions.add(node["Relation Name"])
    return read


def pruning_complaints(name: str, query: Query, read: dict[str, set[str]], owners: int) -> list[str]:
    """A sentence for each table of which too much was read, or nothing: then the call shows nothing."""
    said = []
    if not read and " FROM " in query.text and " VALUES " not in query.text:
        said.append(f"{name} reads no table with these parameters; give others in CALLS")
    for table, partitions in read.items():
        if len(partitions) > owners:
            said.append(
                f"{name} reads {len(partitions)} of {PARTITIONS} partitions of {table} for {owners} owner(s): bind "
                f"the owner of {table} so that each is found by itself (=, = ANY, or a join with unnest)"
            )
        if not partitions:
            said.append(f"{name} did not come to {table} with these parameters; give others in CALLS")
    return said


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_a_query_reads_only_its_owners_partitions(connection: Connection, name: str) -> None:
    query = QUERIES[name]
    values, owners = await values_for(connection, query)
    complaints = pruning_complaints(
        name, query, await partitions_read(connection, query, values, "force_custom_plan"), owners
    )
    # A plan for any parameters cannot prune by `= ANY($1)` on plain PostgreSQL, which plans such a statement anew
    # for that very reason; Citus looks at the values in any case.
    if "= ANY($" not in query.text:
        read = await partitions_read(connection, query, values, "force_generic_plan")
        complaints += pruning_complaints(f"{name} (any parameters)", query, read, owners)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT * FROM posts WHERE author_id = $1::bigint", None),
        (
            "SELECT * FROM posts WHERE id = $1::bigint",
            "planted reads 8 of 8 partitions of posts for 1 owner(s)",
        ),
        (
            "SELECT p.* FROM replies r JOIN posts p ON p.id = r.id WHERE r.parent_author_id = $1::bigint",
            "planted reads 8 of 8 partitions of posts for 1 owner(s)",
        ),
        ("SELECT * FROM posts WHERE author_id = $1::bigint AND author_id IS NULL", "planted reads no table"),
        (
            "SELECT * FROM blocks b JOIN posts p ON p.author_id = b.blocker_id AND p.id = b.blocked_id "
            "WHERE b.blocker_id = $1::bigint AND b.blocked_id = -1",
            "planted did not come to posts",
        ),
    ],
)
async def test_a_planted_query_that_reads_everywhere_is_found(
    connection: Connection, text: str, complaint: str | None
) -> None:
    query = Query("planted", "posts", "many", text, None)
    values, owners = await values_for(connection, query)
    complaints = pruning_complaints(
        "planted", query, await partitions_read(connection, query, values, "force_custom_plan"), owners
    )
    assert (not complaints) == (complaint is None), complaints
    assert complaint is None or any(one.startswith(complaint) for one in complaints), complaints


async def test_the_two_owners_live_in_different_partitions(connection: Connection) -> None:
    values, owners = await values_for(connection, QUERIES["users_by_ids"])
    read = await partitions_read(connection, QUERIES["users_by_ids"], values, "force_custom_plan")
    assert owners == 2
    assert len(read["users"]) == 2
