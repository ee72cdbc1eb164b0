"""What two executors may differ in, and what not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from graphql import GraphQLError

Call = tuple[Any, ...]


class Outcome(NamedTuple):
    """What a run gave: its results (one for each event of a subscription), and the calls of resolvers.

    `left` are tasks that still run.
    """

    results: list[tuple[Any, list[GraphQLError]]]
    calls: list[Call]
    raised: str | None = None
    left: tuple[str, ...] = ()


def differences(stock: Outcome, ours: Outcome, *, waits: bool, kind: str) -> list[str]:
    """Why the second may not stand for the first; nothing when it may.

    Data is equal, with the order of keys. Errors are equal; where a position was nulled because something below it
    failed, and things are awaited, another of the failures below may be told. The same resolvers are called, but for
    what stands below such a position. When nothing is awaited, errors come in the same order.
    """
    found = []
    if stock.raised != ours.raised:
        found.append(f"raised {stock.raised} / {ours.raised}")
    if ours.left:
        found.append(f"left behind: {ours.left}")
    if len(stock.results) != len(ours.results):
        found.append(f"{len(stock.results)} / {len(ours.results)} results")
    for (data, errors), (our_data, our_errors) in zip(stock.results, ours.results, strict=False):
        if exactly(data) != exactly(our_data):
            found.append("data differs")
        elif not waits:
            if list(map(told, errors)) != list(map(told, our_errors)):
                found.append("errors differ")
        else:
            found += _errors_differ(data, errors, our_errors)
    if not found:
        found += _calls_differ(stock, ours, waits, kind)
    return found


def exactly(value: Any) -> Any:
    """A value with the types and the order of all that is in it."""
    if type(value) is dict:
        return ("dict", *((key, exactly(item)) for key, item in value.items()))
    if type(value) is list:
        return ("list", *map(exactly, value))
    return (type(value).__name__, repr(value))


def told(error: GraphQLError) -> tuple[Any, ...]:
    """What a client learns from an error, and what a server logs."""
    original = type(error.original_error).__name__
    path = None if error.path is None else tuple(error.path)
    return error.message, path, str(error.locations), repr(error.extensions), original


def _errors_differ(data: Any, errors: Sequence[GraphQLError], ours: Sequence[GraphQLError]) -> list[str]:
    groups: dict[Any, tuple[list[Any], list[Any]]] = {}
    open_ = set()
    for side, told_ in enumerate((errors, ours)):
        for error in told_:
            path = tuple(error.path or ())
            length = nulled(data, path)
            place = path if length is None else path[:length]
            groups.setdefault(place, ([], []))[side].append(told(error))
            if len(place) < len(path):
                open_.add(place)
    found = []
    for place, (some, others) in groups.items():
        if place in open_:
            if not some or not others:
                found.append(f"errors under {place} on one side only")
        elif Counter(some) != Counter(others):
            found.append(f"errors at {place} differ")
    return found


def nulled(data: Any, path: tuple[Any, ...]) -> int | None:
    """How many steps of the path lead to the null on it."""
    for length, step in enumerate(path):
        if data is None:
            return length
        data = data[step]
    return len(path) if data is None else None


def _calls_differ(stock: Outcome, ours: Outcome, waits: bool, kind: str) -> list[str]:
    some, others = Counter(stock.calls), Counter(ours.calls)
    if kind == "mutation":
        roots = [[call for call in side.calls if len(call[3]) == 1] for side in (stock, ours)]
        if roots[0] != roots[1]:
            return ["root fields of the mutation differ"]
    if kind == "subscription":
        # All events call the same paths; which of them belongs to which event is not recorded.
        clean = not any(errors for _, errors in stock.results)
        return ["calls differ"] if clean and some != others else []
    if not waits and some - others:
        return ["a call is missing"]
    data = stock.results[0][0] if stock.results else None
    found = []
    for call in (some - others) + (others - some):
        path = tuple(key for key, _ in call[3])
        length = nulled(data, path)
        if length is None or length >= len(path):
            found.append(f"call {call[:3]} at {path} differs")
    twice = [call for call, count in others.items() if count > max(1, some[call])]
    return found + [f"call {call[:2]} is made more than once" for call in twice]
