"""How a home timeline's entries are read from those of the accounts that come in (decision 0002).

Of a few accounts each one's newest are merged. Of many, everybody's entries are walked by time until enough of them
are by these accounts. Where they are so quiet that the walk ends before, their own entries are read, span by span.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dataloaders.entries import ENTRIES
from dataloaders.rows import HIGHEST, LOWEST, EntryKey, EntryRow, Position, id_at, id_span, positions_of
from resolvers.context import Context
from resolvers.home import Home, admit
from resolvers.visibility import VisibleEntry
from sql import Query

# Measured for 96 accounts: merging 0.61 ms in one statement, a walk and a span 0.59 ms in three, each of which costs
# this process 50 us besides. For 300 it is 4.7 ms against 0.6.
FEW = 100
# A walk that found too little ends after so many entries for each account: then a descent for each is cheaper.
WALK_PER_ACCOUNT = 5
# A span in which nothing is expected is so much longer than all before it; otherwise by what was found in those.
WIDER = 4
# Reading somewhat too much is cheaper than reading twice.
MARGIN = 2.0
# How far a walk went is told from so small a part of it.
SAMPLE = 16
SHORTEST_SPAN = id_span(timedelta(minutes=1))

# By direction: down is True.
OF_FEW = {True: ENTRIES["entries_of_few_down"], False: ENTRIES["entries_of_few_up"]}
OF_MANY = {True: ENTRIES["entries_of_many_down"], False: ENTRIES["entries_of_many_up"]}
WALKED = {True: ENTRIES["entries_walked_down"], False: ENTRIES["entries_walked_up"]}
DEPTH = {True: ENTRIES["entry_at_depth_down"], False: ENTRIES["entry_at_depth_up"]}


class HomeEntries:
    """The home timeline as a source of pages."""

    descending = True

    def __init__(self, ctx: Context, home: Home) -> None:
        self._ctx = ctx
        self._home = home
        self._walk = WALK_PER_ACCOUNT * len(home.actors)

    def positions(self, entries: Sequence[EntryRow]) -> list[Position]:
        return positions_of(entries)

    async def admit(self, entries: Sequence[EntryRow]) -> list[VisibleEntry | None]:
        return await admit(self._ctx, self._home, entries)

    async def fetch(self, start: Position, down: bool, limit: int) -> list[EntryRow]:
        if len(self._home.actors) <= FEW:
            return await self._read(OF_FEW[down], *start, limit)
        found = await self._read(WALKED[down], *start, self._walk, limit)
        if len(found) < limit:
            await self._beyond(found, start, down, limit)
        return found

    async def _beyond(self, found: list[EntryRow], start: Position, down: bool, limit: int) -> None:
        """Add what lies beyond the walk from `start` on that found these."""
        async with self._ctx.db.turn() as db:
            reached = await db.maybe(EntryKey, DEPTH[down], *start, self._walk // SAMPLE)
        if reached is None:
            return  # there is nothing beyond
        # Server and database may differ in their clocks; the last span is open.
        latest = id_at(datetime.now(UTC) + timedelta(minutes=1))
        begin = min(start.id, latest)
        # Not from where the walk ended: entries that came since have moved that place.
        position = found[-1].position if found else start
        # About where the walk ended: counting all that it passed would cost half as much again.
        walked = max(abs(begin - reached.id), SHORTEST_SPAN) * SAMPLE
        edge = max(begin - walked, 1) if down else begin + walked
        if found:  # the part may lie closer together than the whole
            edge = min(edge, found[-1].id) if down else max(edge, found[-1].id)
        while len(found) < limit and edge not in (0, HIGHEST):
            span = abs(begin - edge)
            wanted = MARGIN * (limit - len(found)) / len(found) if found else WIDER
            step = int(span * min(wanted, WIDER))
            edge = max(edge - step, 0) if down else edge + step
            if edge > latest:
                edge = HIGHEST
            found += await self._read(OF_MANY[down], *position, edge, limit - len(found))
            position = Position(edge, LOWEST if down else HIGHEST)

    async def _read(self, query: Query, *values: int) -> list[EntryRow]:
        async with self._ctx.db.turn() as db:
            return await db.many(EntryRow, query, self._home.actors, *values, self._home.viewer.id)
