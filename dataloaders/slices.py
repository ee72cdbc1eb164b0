"""Slices of lists: what several nested connections ask for, read in one statement."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from dataloaders.database import Statements
from dataloaders.rows import Position, SlicedPostRow, SlicedUserRow
from sql import Query


class Slice(NamedTuple):
    """At most `limit` items of one list, from a position (not included) on, downward or upward by id."""

    owner: tuple[int, ...]
    start: Position
    down: bool
    limit: int


SlicedRow = TypeVar("SlicedRow", SlicedPostRow, SlicedUserRow)


async def read_slices(
    db: Statements,
    slices: Sequence[Slice],
    row: type[SlicedRow],
    down: Query,
    up: Query,
    columns: Callable[[Sequence[Slice]], list[list[Any]]],
) -> list[list[SlicedRow]]:
    """The slices' rows, in the order asked: one statement for each direction and limit that occurs."""
    groups: dict[tuple[bool, int], list[int]] = defaultdict(list)
    for index, wanted in enumerate(slices):
        groups[wanted.down, wanted.limit].append(index)
    found: list[list[SlicedRow]] = [[] for _ in slices]
    for (downward, limit), indexes in groups.items():
        values = columns([slices[index] for index in indexes])
        for item in await db.many(row, down if downward else up, *values, limit):
            found[indexes[item.nth - 1]].append(item)
    return found
