"""What a home page costs PostgreSQL, by how many accounts the viewer follows and how busy those are.

Fills an embedded server of its own (10,000 accounts, 300,000 posts), makes viewers that follow 10, 500 and 5,000
accounts chosen at random, among the quietest, and among those that never posted, and asks for home pages as GraphiQL
does. The cost is what pg_stat_statements counts (planning and execution) for all statements of the page. The last
line printed is one JSON object.
"""

import argparse
import asyncio
import json
import statistics
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from graphql import parse

from app.logs import configure_logs
from bench.documents import HOME
from bench.network import Meter, filled
from dataloaders.database import Database
from dataloaders.rows import HeadRow
from execution import PreparedOperation
from resolvers.context import Context, Limits, Services, Viewer
from schema.build import executable, executor_class


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


class NoBus:
    """Nothing is announced here."""

    def ring(self) -> None: ...

    def position(self) -> None: ...

    def revoke(self, session_id: int) -> None: ...

    def listen(self, watcher: object) -> Any:
        raise NotImplementedError

    def is_reset(self, watcher: object, after: int) -> bool:
        return False

    def recent(self, reader: object, after: int, up_to: int, limit: int) -> None: ...

    @property
    def head(self) -> HeadRow:
        raise NotImplementedError

    @property
    def catching_up(self) -> Any:
        raise NotImplementedError


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
    operation = PreparedOperation(executable, parse(HOME), "Home", executor_class)
    async with Database.connected(dsn, size=1) as database:

        async def page(viewer_id: int, after: str | None) -> tuple[float, int, dict[str, Any]]:
            await meter.start()
            context = Context(database.session(), Viewer(viewer_id, 1), services)
            context.reads_marks = True
            await context.position()
            answer = await operation.execute(context, {"after": after})
            await context.db.close()
            assert answer.data is not None, answer.errors
            ms, calls = await meter.read()
            return ms, calls, answer.data["homeTimeline"]

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
    async with filled(given.users, given.posts, given.seed) as network:
        lines = await measure(network.dsn, network.meter, network.viewers, given.rounds)
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
