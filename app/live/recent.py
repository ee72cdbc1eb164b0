"""The events read last, in memory: who comes back after a moment is served without PostgreSQL."""

from collections import deque
from collections.abc import Sequence
from heapq import merge
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from dataloaders.rows import LogRow
from resolvers.events import POST_CHANGED, TIES_CHANGED
from resolvers.feeds import resets

if TYPE_CHECKING:
    from resolvers.context import Reader, Watcher

# Events that are kept, about a kilobyte each: ten minutes of a square with 17 posts a second.
KEPT = 10_000


class RecentEvents:
    """The newest events: all above `floor` that were kept."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._rows: deque[LogRow] = deque()
        self._by_owner: dict[int, deque[LogRow]] = {}
        self._public: deque[LogRow] = deque()
        # The number of the newest news of each post's counters, by owner.
        self._newest: dict[tuple[int, ...], int] = {}

    def append(self, row: LogRow) -> None:
        """One more, with a greater number than all before."""
        self._rows.append(row)
        self._by_owner.setdefault(row.owner_id, deque()).append(row)
        if row.public:
            self._public.append(row)
        if row.kind == POST_CHANGED:
            self._newest[_change_of(row)] = row.number
        if len(self._rows) > KEPT:
            self._drop()

    def _drop(self) -> None:
        row = self._rows.popleft()
        self.floor = row.number
        of_owner = self._by_owner[row.owner_id]
        of_owner.popleft()
        if not of_owner:
            del self._by_owner[row.owner_id]
        if row.public:
            self._public.popleft()
        if row.kind == POST_CHANGED and self._is_newest(row):
            del self._newest[_change_of(row)]

    def after(self, reader: "Reader", number: int, up_to: int, limit: int) -> list[LogRow] | None:
        """The reader's next events up to a number, in order; None when older ones were kept no longer."""
        if number < self.floor:
            return None
        if reader.home is not None:
            owners = self._by_owner
            lists = [owners[owner] for owner in reader.home.actors if owner in owners]
        else:
            lists = [self._public]
            if reader.viewer_id is not None and reader.viewer_id in self._by_owner:
                own = self._by_owner[reader.viewer_id]
                lists.append(deque(row for row in own if row.kind == TIES_CHANGED and not row.public))
        some = [found for rows in lists if (found := self._above(rows, number, limit))]
        rows = some[0] if len(some) == 1 else merge(*some, key=lambda row: row.number)
        return [row for row in islice(rows, limit) if row.number <= up_to]

    def is_reset(self, watcher: "Watcher", number: int) -> bool:
        """Whether an event above a number, of those kept, changes more of the timeline than events can tell."""
        own = self._by_owner.get(watcher.viewer_id, ()) if watcher.viewer_id is not None else ()
        # Asked before each event is sent, and there is hardly ever anything newer.
        if not own or own[-1].number <= number:
            return False
        newer = takewhile(lambda row: row.number > number, reversed(own))
        return any(resets(row, watcher.kind, watcher.viewer_id) for row in newer)

    def _above(self, rows: Sequence[LogRow], number: int, limit: int) -> list[LogRow]:
        """The first of the rows above a number, in order. From the end: who comes back missed few."""
        if not rows or rows[-1].number <= number:
            return []
        found = []
        for row in reversed(rows):
            if row.number <= number:
                break
            # News of counters tell how they are now: of many news of a post the newest are enough, as in the tables.
            if row.kind != POST_CHANGED or self._is_newest(row):
                found.append(row)
        found.reverse()
        return found[:limit]

    def _is_newest(self, row: LogRow) -> bool:
        return self._newest[_change_of(row)] == row.number


def _change_of(row: LogRow) -> tuple[int, ...]:
    """Under whom which post changed, and whether that is public."""
    return (row.owner_id, row.public, *row.data["post"])
