"""The network that the benchmarks run on: an embedded server of its own, filled, with viewers that follow so many."""

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from app import seed
from app.embedded import EmbeddedPostgres
from app.migrations import migrate
from dataloaders.rows import id_at
from sql.reader import load_all

# How many accounts a viewer follows, and which: chosen at random, among the quietest, among those who never posted.
FOLLOWED = (10, 500, 5000)
KINDS = ("random", "quiet", "silent")

_LEFT_OUT = re.compile(r"/\*.*?\*/|\$[0-9]+|\b([0-9]+|true|false|null)\b|'[^']*'|\s+", re.IGNORECASE)


class Meter:
    """Reads and resets pg_stat_statements as the superuser."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def start(self) -> None:
        """Count from now on."""
        await self._connection.execute("SELECT pg_stat_statements_reset()")

    async def read(self) -> tuple[float, int]:
        """Milliseconds and statements since the start, the meter's own left out."""
        row = await self._connection.fetchrow(
            "SELECT coalesce(sum(total_plan_time + total_exec_time), 0) AS ms, coalesce(sum(calls), 0) AS calls "
            "FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'maydan'"
        )
        assert row is not None
        return float(row["ms"]), int(row["calls"])

    async def calls(self) -> dict[str, int]:
        """How often each named query was sent since the start."""
        rows = await self._connection.fetch(
            "SELECT query, calls::int AS calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
            "WHERE d.datname = 'maydan'"
        )
        names = {
            _skeleton(query.text): name for queries in load_all().values() for name, query in queries.items()
        }
        found: Counter[str] = Counter()
        for row in rows:
            name = names.get(_skeleton(row["query"]))
            if name is not None:
                found[name] += row["calls"]
        return found


def _skeleton(statement: str) -> str:
    """A statement without what PostgreSQL's statistics leave out of it: its comment, constants and spaces."""
    return _LEFT_OUT.sub("", statement)


@dataclass(frozen=True)
class Filled:
    """A filled server: its address, its meter, the viewers' ids by whom they follow, and a process id of it."""

    dsn: str
    meter: Meter
    viewers: dict[tuple[int, str], int]
    backend_pid: int


async def make_viewers(
    connection: "asyncpg.Connection[asyncpg.Record]",
    dice: random.Random,
    followed: Sequence[int] = FOLLOWED,
    kinds: Sequence[str] = KINDS,
) -> dict[tuple[int, str], int]:
    """Accounts that follow so many of such; by (count, kind)."""
    everybody = [row[0] for row in await connection.fetch("SELECT id FROM users ORDER BY id")]
    by_activity = [
        row[0]
        for row in await connection.fetch(
            "SELECT u.id FROM users u LEFT JOIN entries e ON e.actor_id = u.id GROUP BY u.id "
            "ORDER BY max(e.id) NULLS FIRST, u.id"
        )
    ]
    viewers: dict[tuple[int, str], int] = {}
    next_id = id_at(datetime.now(UTC) - timedelta(days=1))
    # Accounts that never posted, so many as the largest viewer follows.
    silent = [next_id + 2048 * n for n in range(1, max(followed) + 1)] if "silent" in kinds else []
    rows = []
    for count in followed:
        chosen_of = {
            "random": dice.sample(everybody, min(count, len(everybody))),
            "quiet": by_activity[:count],
            "silent": silent[:count],
        }
        for kind in kinds:
            next_id += 1
            viewers[count, kind] = next_id
            rows += [(next_id, followee, next_id + n) for n, followee in enumerate(chosen_of[kind])]
    await connection.executemany(
        "INSERT INTO users (id, handle, display_name) VALUES ($1, $2, $2)",
        [(id, f"bench_{n}") for n, id in enumerate([*viewers.values(), *silent])],
    )
    await connection.copy_records_to_table(
        "following", records=rows, columns=["follower_id", "followee_id", "since_id"]
    )
    await connection.copy_records_to_table(
        "followers",
        records=[(followee, follower, since) for follower, followee, since in rows],
        columns=["followee_id", "follower_id", "since_id"],
    )
    await connection.execute("VACUUM ANALYZE")
    return viewers


@asynccontextmanager
async def filled(
    users: int, posts: int, number: int, followed: Sequence[int] = FOLLOWED, kinds: Sequence[str] = KINDS
) -> AsyncIterator[Filled]:
    """A server of its own, filled with a network of this seed, gone at the end of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="maydan-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        dsn = server.dsn()
        await migrate(dsn)
        started = time.monotonic()
        await seed.run(dsn, users=users, posts=posts, seed=number)
        took = time.monotonic() - started
        print(f"seeded {users:,} users and {posts:,} posts in {took:.0f} s (--seed {number})", flush=True)
        server.psql("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
        server.psql("SELECT pg_reload_conf()")
        superuser = await asyncpg.connect(server.dsn("postgres", role="postgres"))
        owner = await asyncpg.connect(dsn)
        try:
            viewers = await make_viewers(owner, random.Random(number), followed, kinds)
            yield Filled(dsn, Meter(superuser), viewers, superuser.get_server_pid())
        finally:
            await owner.close()
            await superuser.close()
