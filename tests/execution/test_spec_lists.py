"""Lists, as GraphQL's reference implementation tests them: what may stand for one, and what becomes of null in them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.execution.asking import Given, ask, soon

BAD = RuntimeError("bad")
NULL = "Cannot return null for non-nullable field Query.list."
NO_LIST = "Expected Iterable, but did not find one for field 'Query.list'."


def numbers(*values: Any) -> Iterator[Any]:
    yield from values


async def stream(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        yield value


def broken() -> Iterator[int]:
    yield 1
    raise BAD


async def listed(type_: str, value: Any) -> Any:
    """Data and errors for a field of this type with this value, which a function makes anew for each executor."""
    data, errors = await ask(f"type Query {{ list: {type_} }}", "{ list }", {"list": lambda info: value()})
    return (data and data["list"], errors) if data is not None else (data, errors)


@pytest.mark.parametrize(
    "make", [lambda: [1, 2], lambda: (1, 2), lambda: numbers(1, 2), lambda: {1: 0, 2: 0}.keys()]
)
async def test_what_can_be_iterated_is_a_list(make: Any) -> None:
    assert await listed("[Int]", make) == ([1, 2], [])


@pytest.mark.parametrize("value", ["text", b"bytes", {"a": 1}, 7, object])
async def test_what_cannot_and_strings_and_mappings_are_none(value: Any) -> None:
    assert await listed("[Int]", lambda: value) == (None, [(NO_LIST, ["list"])])


async def test_an_asynchronous_iterable_is_a_list() -> None:
    assert await listed("[Int]", lambda: stream(1, None, 2)) == ([1, None, 2], [])
    assert await listed("[Int]", stream) == ([], [])


async def test_an_iterable_that_breaks_off_takes_its_list_with_it() -> None:
    assert await listed("[Int]", broken) == (None, [("bad", ["list"])])
    assert await listed("[Int]", lambda: stream(1, BAD)) == (None, [("bad", ["list"])])
    assert await listed("[Int]!", lambda: stream(1, BAD)) == (None, [("bad", ["list"])])


async def test_an_item_that_cannot_be_told_fails_alone() -> None:
    message = "Int cannot represent non-integer value: 'x'"
    for make in (lambda: [1, "x", 3], lambda: stream(1, "x", 3), lambda: [soon(1), "x", soon(3)]):
        assert await listed("[Int]", make) == ([1, None, 3], [(message, ["list", 1])])
        assert await listed("[Int!]", make) == (None, [(message, ["list", 1])])


@pytest.mark.parametrize(
    ("type_", "expected", "path"),
    [
        ("[Int]", [1, None], None),
        ("[Int]!", [1, None], None),
        ("[Int!]", None, ["list", 1]),
        ("[Int!]!", None, ["list", 1]),
    ],
)
@pytest.mark.parametrize("make", [lambda: [1, None], lambda: soon([1, None]), lambda: [soon(1), soon(None)]])
async def test_null_in_a_list(type_: str, expected: Any, path: Any, make: Any) -> None:
    assert await listed(type_, make) == (expected, [(NULL, path)] if path else [])


@pytest.mark.parametrize(
    ("type_", "fails"), [("[Int]", False), ("[Int!]", False), ("[Int]!", True), ("[Int!]!", True)]
)
@pytest.mark.parametrize("make", [lambda: None, lambda: soon(None)])
async def test_null_for_a_list(type_: str, fails: bool, make: Any) -> None:
    assert await listed(type_, make) == (None, [(NULL, ["list"])] if fails else [])


@pytest.mark.parametrize("make", [lambda: [1, BAD], lambda: [soon(1), soon(BAD)]])
async def test_an_item_that_fails(make: Any) -> None:
    assert await listed("[Int]", make) == ([1, None], [("bad", ["list", 1])])
    assert await listed("[Int!]", make) == (None, [("bad", ["list", 1])])


async def test_lists_in_lists_null_the_nearest_that_may_be_null() -> None:
    rows = [[1, 2], [3, None], [], None]
    text = "Cannot return null for non-nullable field Query.list."
    assert await listed("[[Int]]", lambda: rows) == (rows, [])
    assert await listed("[[Int!]]", lambda: rows) == ([[1, 2], None, [], None], [(text, ["list", 1, 1])])
    assert await listed("[[Int!]!]", lambda: rows[:3]) == (None, [(text, ["list", 1, 1])])
    assert await listed("[[[Int]]]", lambda: [[[1], []], [], [None, [2]]]) == (
        [[[1], []], [], [None, [2]]],
        [],
    )


async def test_items_of_one_list_may_come_in_any_way() -> None:
    assert await listed("[[Int]]", lambda: [soon([1]), stream(2), numbers(3), (soon(4),)]) == (
        [[1], [2], [3], [4]],
        [],
    )


async def test_objects_in_lists() -> None:
    schema = "type Query { list: [Item] } type Item { n: Int! }"
    root = {"list": [Given(n=1), None, Given(n=None), {"n": 4}]}
    text = "Cannot return null for non-nullable field Item.n."
    assert await ask(schema, "{ list { n } }", root) == (
        {"list": [{"n": 1}, None, None, {"n": 4}]},
        [(text, ["list", 2, "n"])],
    )
