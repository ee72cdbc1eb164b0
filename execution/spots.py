"""Where the values of a column stand in the response. Asked only by errors, and by resolvers that see their path.

A column is a list of values that were resolved together. Its spots know, for the value at each index, the path in
the response, whether null may stand there, and which spot is nulled in its place when it may not.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from graphql.pyutils import Path


class Spots:
    """The spots of a column: `nullable` tells whether null may stand there."""

    nullable: bool

    def path(self, index: int) -> Path | None:
        """The path of one spot; None is the response's root."""
        raise NotImplementedError

    def field_path(self, index: int) -> Path | None:
        """The path of the field that the spot belongs to: without the places in its lists."""
        return self.path(index)

    def above(self, index: int) -> "tuple[Spots, int]":
        """The spot that holds this one."""
        raise NotImplementedError

    @cached_property
    def paths(self) -> list[Path | None]:
        """The paths of all spots."""
        raise NotImplementedError


class Root(Spots):
    """The response's data itself, or that of several responses."""

    nullable = True

    def __init__(self, responses: int = 1) -> None:
        self._responses = responses

    def path(self, index: int) -> Path | None:
        return None

    @cached_property
    def paths(self) -> list[Path | None]:
        return [None] * self._responses


class UnderKey(Spots):
    """The values of one field of several objects."""

    def __init__(self, objects: Spots, key: str, typename: str, nullable: bool) -> None:
        self.objects, self.key, self.typename, self.nullable = objects, key, typename, nullable

    def path(self, index: int) -> Path | None:
        return Path(self.objects.path(index), self.key, self.typename)

    def above(self, index: int) -> tuple[Spots, int]:
        return self.objects, index

    @cached_property
    def paths(self) -> list[Path | None]:
        return [Path(path, self.key, self.typename) for path in self.objects.paths]


class InLists(Spots):
    """The items of several lists, one list after the other."""

    def __init__(self, lists: Spots, lengths: Sequence[int], nullable: bool) -> None:
        self.lists, self.lengths, self.nullable = lists, lengths, nullable

    @cached_property
    def ends(self) -> list[int]:
        """Where each list ends in the column."""
        return list(accumulate(self.lengths))

    def place(self, index: int) -> tuple[int, int]:
        """Which list, and where in it."""
        owner = bisect_right(self.ends, index)
        return owner, index - (self.ends[owner - 1] if owner else 0)

    def path(self, index: int) -> Path | None:
        owner, place = self.place(index)
        return Path(self.lists.path(owner), place, None)

    def field_path(self, index: int) -> Path | None:
        return self.lists.field_path(self.place(index)[0])

    def above(self, index: int) -> tuple[Spots, int]:
        return self.lists, self.place(index)[0]

    @cached_property
    def paths(self) -> list[Path | None]:
        return [
            Path(path, place, None)
            for path, length in zip(self.lists.paths, self.lengths, strict=True)
            for place in range(length)
        ]


class Some(Spots):
    """Some spots of a column."""

    def __init__(self, spots: Spots, indexes: Sequence[int]) -> None:
        self.spots, self.indexes, self.nullable = spots, indexes, spots.nullable

    def path(self, index: int) -> Path | None:
        return self.spots.path(self.indexes[index])

    def field_path(self, index: int) -> Path | None:
        return self.spots.field_path(self.indexes[index])

    def above(self, index: int) -> tuple[Spots, int]:
        return self.spots.above(self.indexes[index])

    @cached_property
    def paths(self) -> list[Path | None]:
        paths = self.spots.paths
        return [paths[index] for index in self.indexes]


def scattered(values: Sequence[Any], indexes: Sequence[int], size: int) -> list[Any]:
    """A column of this size with the values at the indexes and None elsewhere."""
    column: list[Any] = [None] * size
    for index, value in zip(indexes, values, strict=True):
        column[index] = value
    return column
