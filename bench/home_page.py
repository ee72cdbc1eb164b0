"""What a home page costs PostgreSQL, by how many accounts the viewer follows and how busy those are.

Fills an embedded server of its own (10,000 accounts, 300,000 posts), makes viewers that follow 10, 500 and 5,000
accounts chosen at random, among the quietest, and among those that never posted, and asks for home pages as GraphiQL
does. The cost is what pg_stat_statements counts (planning and execution) for all statements of the page. The last
line printed is one JSON object.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from app import seed
from app.embedded import EmbeddedPostgres
from app.logs import configure_logs
from app.migrations import migrate
from app.operations import prepare, run
from dataloaders.database import Database
from dataloaders.rows import id_at
from resolvers.context import Context, Limits, Services, Viewer

HOME = """
query Home($after: String) {
  homeTimeline(first: 20, after: $after) {
    liveCursor
    pageInfo { hasNextPage endCursor }
    edges { cursor sortKey node { id enteredAt repostedBy { handle displayName } post {
      id text textDirection createdAt isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted
      author { id handle displayName avatarUrl viewerIsFollowing }
    } } }
  }
}
"""
FOLLOWED = (10, 500, 5000)


@dataclass(frozen=True)
class Line:
    """One line of the table; times are milliseconds of PostgreSQL for each page, medians and the worst."""

    followed: int
    whom: str
    entries: int
    statements: float
    first_visit_ms: float
    median_ms: float
    worst_ms: float
    deep_median_ms: float


class Meter:
    """Reads and resets pg_stat_statements as the superuser."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def start(self) -> None:
        await self._connection.execute("SELECT pg_stat_statements_reset()")

    async def read(self) -> tuple[float, int]:
        """Milliseconds and statements since the start, the meter's own left out."""
        row = await self._connection.fetchrow(
            "SELECT coalesce(sum(total_plan_time + total_exec_time), 0) AS ms, coalesce(sum(calls), 0) AS calls "
            "FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'maydan'"
        )
        assert row is not None
        return float(row["ms"]), int(row["calls"])


class NoBus:
    """Nothing is announced here."""

    def ring(self) -> None: ...

    def revoke(self, session_id: int) -> None: ...

    def listen(self, **_: object) -> Any:
        raise NotImplementedError


async def make_viewers(
    connection: "asyncpg.Connection[asyncpg.Record]", dice: random.Random
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
    silent = [next_id + 2048 * n for n in range(1, max(FOLLOWED) + 1)]
    rows = []
    for count in FOLLOWED:
        for kind, chosen in (
            ("random", dice.sample(everybody, min(count, len(everybody)))),
            ("quiet", by_activity[:count]),
            ("silent", silent[:count]),
        ):
            next_id += 1
            viewers[count, kind] = next_id
            rows += [(next_id, followee, next_id + n) for n, followee in enumerate(chosen)]
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
    users: int, posts: int, number: int
) -> AsyncIterator[tuple[str, Meter, dict[tuple[int, str], int]]]:
    """A filled server: its address, its meter and the viewers."""
    with (
        tempfile.TemporaryDirectory(prefix="maydan-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        dsn = server.dsn()
        await migrate(dsn)
        started = time.monotonic()
        await seed.run(dsn, users=users, posts=posts, seed=number)
        print(f"seeded {users:,} users and {posts:,} posts in {time.monotonic() - started:.0f} s", flush=True)
        server.psql("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
        server.psql("SELECT pg_reload_conf()")
        superuser = await asyncpg.connect(server.dsn("postgres", role="postgres"))
        owner = await asyncpg.connect(dsn)
        try:
            yield dsn, Meter(superuser), await make_viewers(owner, random.Random(number))
        finally:
            await owner.close()
            await superuser.close()


async def measure(dsn: str, meter: Meter, viewers: dict[tuple[int, str], int], rounds: int) -> list[Line]:
    """The table's lines."""
    services = Services(
        bus=NoBus(),
        passwords=None,  # type: ignore[arg-type]  # a page needs no passwords and tokens
        access_tokens=None,  # type: ignore[arg-type]  # a page needs none
        refresh_tokens=None,  # type: ignore[arg-type]  # a page needs none
        refresh_lifetime=timedelta(days=1),
        limits=Limits(),
    )
    lines = []
    async with Database.connected(dsn, size=1) as database:

        async def page(viewer_id: int, after: str | None) -> tuple[float, int, dict[str, Any]]:
            operation = prepare({"query": HOME, "variables": {"after": after}})
            await meter.start()
            context = Context(database.session(), Viewer(viewer_id, 1), services)
            answer = await run(operation, context, "bench")
            assert "errors" not in answer, answer
            ms, calls = await meter.read()
            return ms, calls, answer["data"]["homeTimeline"]

        for (count, kind), viewer_id in viewers.items():
            first, _, connection = await page(viewer_id, None)
            # Six more, since PostgreSQL tries custom plans five times before it settles on a generic one.
            for _ in range(6):
                await page(viewer_id, None)
            tops = [await page(viewer_id, None) for _ in range(rounds)]
            deep, after = [], connection["pageInfo"]["endCursor"]
            for _ in range(rounds if connection["pageInfo"]["hasNextPage"] else 0):
                ms, _, below = await page(viewer_id, after)
                deep.append(ms)
                after = below["pageInfo"]["endCursor"] if below["pageInfo"]["hasNextPage"] else after
            lines.append(
                Line(
                    count,
                    kind,
                    len(connection["edges"]),
                    statistics.median(top[1] for top in tops),
                    round(first, 2),
                    round(statistics.median(top[0] for top in tops), 2),
                    round(max(top[0] for top in tops), 2),
                    round(statistics.median(deep), 2) if deep else 0.0,
                )
            )
    return lines


async def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    configure_logs(level="warning", json=False)
    async with filled(given.users, given.posts, given.seed) as (dsn, meter, viewers):
        lines = await measure(dsn, meter, viewers, given.rounds)
    print("followed  whom    entries  statements  first visit  median ms  worst ms  deeper pages ms")
    for line in lines:
        print(
            f"{line.followed:8}  {line.whom:6}  {line.entries:7}  {line.statements:10}  {line.first_visit_ms:11}"
            f"  {line.median_ms:9}  {line.worst_ms:8}  {line.deep_median_ms:15}"
        )
    worst = max(line.median_ms for line in lines)
    print(json.dumps({"postgres_ms_per_home_page": worst, "lines": [asdict(line) for line in lines]}))


if __name__ == "__main__":
    asyncio.run(main())
