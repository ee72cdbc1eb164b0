"""What waits, waits together; whoever gives up, or breaks, leaves nothing behind."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from graphql import ExecutionResult, build_schema, execute, execute_sync, parse

from execution import BreadthFirstExecutor

SCHEMA = build_schema(
    """
    type Query { a: Int, b: Int, c: Query, list: [Query], numbers: [Int], more: [Int], must: Int! }
    type Mutation { a: Int, b: Int }
    """
)


def start(text: str, root: Any) -> Any:
    return execute(SCHEMA, parse(text), root, executor_class=BreadthFirstExecutor)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No coroutine without an awaiter, no task destroyed while it waits."""
    gc.collect(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect(1)
    assert [str(warning.message) for warning in caught] == []


def test_what_need_not_wait_returns_without_an_event_loop() -> None:
    assert start("{ a c { b } }", {"a": 1, "c": {"b": 2}}) == ExecutionResult({"a": 1, "c": {"b": 2}}, None)
    found = execute_sync(
        SCHEMA, parse("{ a }"), {"a": 1}, check_sync=True, executor_class=BreadthFirstExecutor
    )
    assert found == ExecutionResult({"a": 1}, None)


class Meeting:
    """A place at which this many must be before any goes on."""

    def __init__(self, size: int) -> None:
        self.missing, self.complete = size, asyncio.Event()

    async def __call__(self, *_: object) -> int:
        self.missing -= 1
        if not self.missing:
            self.complete.set()
        await self.complete.wait()
        return 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("{ a b }", 2),
        ("{ a c { b } }", 2),
        ("{ list { a } }", 3),
        ("{ list { a c { b } } }", 6),
        ("{ numbers }", 3),
    ],
)
async def test_all_that_can_wait_together_does(text: str, size: int) -> None:
    meeting = Meeting(size)
    person: dict[str, Any] = {"a": meeting, "b": meeting}
    person["c"] = {"b": meeting}
    root = {**person, "list": [person] * 3, "numbers": lambda info: [meeting() for _ in range(3)]}
    result = await asyncio.wait_for(start(text, root), 10)
    assert result.errors is None
    assert meeting.missing == 0


async def test_what_is_below_a_field_does_not_wait_for_a_slower_field_beside_it() -> None:
    fast = asyncio.Event()

    async def slow(info: object) -> int:
        await fast.wait()
        return 1

    async def quick(info: object) -> dict[str, Any]:
        return {"b": lambda info: fast.set()}

    result = await asyncio.wait_for(start("{ a c { b } }", {"a": slow, "c": quick}), 10)
    assert result == ExecutionResult({"a": 1, "c": {"b": None}}, None)


async def test_asynchronous_iterables_of_several_parents_run_together() -> None:
    meeting = Meeting(2)

    async def numbers(info: object) -> AsyncIterator[int]:
        yield await meeting()

    result = await asyncio.wait_for(start("{ list { numbers } }", {"list": [{"numbers": numbers}] * 2}), 10)
    assert result == ExecutionResult({"list": [{"numbers": [1]}] * 2}, None)


async def test_root_fields_of_a_mutation_wait_for_one_another() -> None:
    order = []

    def field(name: str) -> Callable[..., Awaitable[int]]:
        async def change(info: object) -> int:
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")
            return 1

        return change

    await start("mutation { a b x: a }", {"a": field("a"), "b": field("b")})
    assert order == ["a begins", "a ends", "b begins", "b ends", "a begins", "a ends"]


@pytest.mark.parametrize(
    "text",
    [
        "{ a }",
        "{ a b }",
        "{ list { a b } }",
        "{ list { c { a } } numbers }",
        "mutation { a b }",
        "{ more a }",
    ],
)
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_a_cancelled_caller_leaves_no_task_and_no_coroutine(text: str, turns: int) -> None:
    begun, ended = [], []

    async def forever(info: object = None) -> int:
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)
        return 1

    async def later(info: object) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"a": forever}

    async def stream(info: object) -> AsyncIterator[int]:
        yield 1
        await forever()

    person = {"a": forever, "b": forever, "c": later}
    root = {**person, "list": [person] * 3, "numbers": lambda info: [forever(), forever()], "more": stream}
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(start(text, root))
    for _ in range(turns):
        await asyncio.sleep(0)
    if not turns:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert len(begun) == len(ended)


class Stop(BaseException):
    """What no executor may take for a field's error."""


@pytest.mark.parametrize(
    "text", ["{ a }", "{ c { a } }", "{ numbers a }", "{ b a }", "{ list { a } }", "mutation { b a }"]
)
@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_what_is_no_exception_goes_through_to_the_caller(text: str, turns: int) -> None:

    async def stop(info: object) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def slow(info: object = None) -> int:
        for _ in range(6):
            await asyncio.sleep(0)
        return 1

    person: dict[str, Any] = {"a": stop, "b": slow, "numbers": lambda info: [slow(), slow()]}
    root = {**person, "c": person, "list": [{"a": slow}, {"a": stop}, {"a": slow}]}
    before = asyncio.all_tasks()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(start(text, root), 10)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Stop])
def test_what_is_no_exception_goes_through_when_nothing_waits(kind: type[BaseException]) -> None:
    def stop(info: object) -> int:
        raise kind

    with pytest.raises(kind):
        start("{ c { a } }", {"c": {"a": stop}})


async def test_a_chain_of_waiting_fields_needs_no_task_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await tasks_of("{ c { c { c { a } } } }", monkeypatch) == 0


async def test_fields_that_need_not_wait_need_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await tasks_of("{ a b c { a b } }", monkeypatch) == 0


async def test_a_waiting_list_needs_a_task_for_each_item_and_a_second_waiting_field_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await tasks_of("{ a b }", monkeypatch, turns=1) == 1
    assert await tasks_of("{ list { a } }", monkeypatch) == 5


async def tasks_of(text: str, monkeypatch: pytest.MonkeyPatch, turns: int = 0) -> int:
    made = []
    loop = asyncio.get_running_loop()
    create = loop.create_task

    def counted(*arguments: Any, **words: Any) -> Any:
        made.append(1)
        return create(*arguments, **words)

    async def number(info: object) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return 1

    async def person(info: object) -> dict[str, Any]:
        return {"c": person, "a": number}

    root = {"a": number, "b": number, "c": person, "list": [{"a": number}] * 5}
    with monkeypatch.context() as patched:
        patched.setattr(loop, "create_task", counted)
        result = await start(text, root)
    assert result.errors is None
    return len(made)


async def test_a_long_run_lets_others_run() -> None:
    """Nothing in it waits, and still a task beside it gets its turns, between the levels."""
    wide: dict[str, Any] = {"list": [{"c": {"c": {"a": 1, "b": 2}}} for _ in range(3_000)]}
    turns = 0

    async def beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(beside())
    result = await start("{ list { c { c { a b } } } }", wide)
    other.cancel()
    assert result == ExecutionResult({"list": [{"c": {"c": {"a": 1, "b": 2}}}] * 3_000}, None)
    assert turns >= 2


def test_a_long_run_without_an_event_loop_returns_at_once() -> None:
    wide: dict[str, Any] = {"list": [{"c": {"a": 1}} for _ in range(6_000)]}
    assert start("{ list { c { a } } }", wide) == ExecutionResult({"list": wide["list"]}, None)


async def test_failures_of_a_long_run_are_told_as_of_a_short_one() -> None:
    def fails(*_: object) -> int:
        raise ValueError("no")

    wide = {"list": [{"c": {"a": 1}} for _ in range(4_000)] + [{"c": {"a": fails}}], "b": 2}
    result = await start("{ list { c { a } } b }", wide)
    assert [error.path for error in result.errors] == [["list", 4_000, "c", "a"]]
    assert result.data["b"] == 2
