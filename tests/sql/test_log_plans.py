"""A replay reads what concerns its owners, and not the events of everybody between them."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from sql.reader import load_all
from tests.servers import Databases
from tests.sql.test_queries import nodes_of

# A log in two partitions, and how many of the owners somebody follows; most events are others'.
EVENTS, OWNERS, FOLLOWED = 20_000, 2_000, 50


@pytest.fixture
async def connection(prepared: Databases) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection to a database with a filled log."""
    dsn = prepared.fresh()
    connection = await asyncpg.connect(dsn, server_settings={"jit": "off"})
    await connection.execute("UPDATE sequencers SET holder = 'test' WHERE part = 0")
    for _ in range(2):
        await connection.fetchval("SELECT make_log_room(0::smallint, 'test', $1)", EVENTS // 2 + 1)
    await connection.execute(
        "INSERT INTO log (part, number, owner_id, kind, public, data, logged_at) "
        "SELECT 0, n, 1 + n % $2, 'entry_added', true, '{}', now() FROM generate_series(1, $1::int) AS n",
        EVENTS,
        OWNERS,
    )
    await connection.execute("VACUUM ANALYZE log")
    yield connection
    await connection.close()
    prepared.drop(dsn)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_a_replay_reads_only_its_owners_events(
    connection: "asyncpg.Connection[asyncpg.Record]", mode: str
) -> None:
    owners = ",".join(str(n * OWNERS // FOLLOWED + 1) for n in range(FOLLOWED))
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute(f"PREPARE replay AS {load_all()['log']['log_of_owners'].text}")
    rows = await connection.fetch(f"EXECUTE replay(0, '{{{owners}}}', 0, {EVENTS}, 100)")
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    assert len(rows) == 100
    found = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING off) EXECUTE replay(0, '{{{owners}}}', 0, {EVENTS}, 100)"
    )
    passed_over = [node.get("Rows Removed by Filter", 0) for node in nodes_of(json.loads(found)[0]["Plan"])]
    assert sum(passed_over) == 0
