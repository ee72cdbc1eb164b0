"""What failed: errors with their paths, in the order of the response, and the nulls they leave.

Nothing is nulled while an operation runs. At its end the failures are taken in the order in which graphql-core meets
them, depth first: one whose spot was nulled by an earlier one is dropped, any other is told, and nulls its spot or
the nearest one above where null may stand (October 2021, 6.4.4).
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias

from graphql import FieldNode, GraphQLError, located_error

from execution.spots import Spots

# Failures after which others may run: some 3 ms to place them, as many to tell them.
BREATH = 100

Settled: TypeAlias = tuple[dict[str, Any] | None, list[GraphQLError]]


class Failure(NamedTuple):
    """Something raised at a spot. `late`: after what is below the spot had been completed."""

    error: Exception
    nodes: list[FieldNode]
    spots: Spots
    at: int
    late: bool = False

    def path(self) -> list[str | int]:
        """Where it was raised."""
        path = self.spots.path(self.at)
        return [] if path is None else path.as_list()

    def nulled(self) -> list[str | int]:
        """What becomes null."""
        spots, at = self.spots, self.at
        while not spots.nullable:
            spots, at = spots.above(at)
        path = spots.path(at)
        return [] if path is None else path.as_list()


def settle(data: dict[str, Any], failures: Sequence[Failure]) -> Settled:
    """The response's data with its nulls, and its errors. Changes `data`."""
    steps = settling(data, failures)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            settled: Settled = done.value
            return settled


def settling(data: dict[str, Any], failures: Sequence[Failure]) -> Generator[None, None, Settled]:
    """The same in steps, since an operation may have thousands of failures: others may run between them."""
    ranked = []
    for number, failure in enumerate(failures, 1):
        ranked.append((_rank(data, failure), number, failure))
        if number % BREATH == 0:
            yield
    ranked.sort()
    told: list[GraphQLError] = []
    nulled: set[tuple[str | int, ...]] = set()
    for number, (_, _, failure) in enumerate(ranked, 1):
        if number % BREATH == 0:
            yield
        path = failure.path()
        if any(tuple(path[:length]) in nulled for length in range(1, len(path) + 1)):
            continue
        told.append(located_error(failure.error, failure.nodes, path))
        target = failure.nulled()
        if not target:
            return None, told
        nulled.add(tuple(target))
        _null(data, target)
    return data, told


def _rank(data: Any, failure: Failure) -> list[float]:
    """Compares as the response is read: keys in the order of the selection, items in that of their list."""
    rank: list[float] = []
    for step in failure.path():
        rank.append(step if isinstance(step, int) else list(data).index(step))
        data = data[step]
    if failure.late:
        rank.append(float("inf"))
    return rank


def _null(data: Any, path: list[str | int]) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = None
