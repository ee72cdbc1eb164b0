"""Directives, variables, mutations and subscriptions, as GraphQL's reference implementation tests them."""

import asyncio
from collections.abc import AsyncIterator
from inspect import isawaitable
from typing import Any

import pytest
from graphql import ExecutionResult, build_schema, execute, parse, subscribe

from execution import BreadthFirstExecutor
from tests.execution.asking import answer_of, ask, soon

SCHEMA = """
enum Colour { RED GREEN }
input Inner { n: Int! = 3, c: Colour }
input Outer { text: String! , list: [String], inner: Inner }
input Pick @oneOf { a: String, b: Int }
type Query { a: String, b: String, d: Query, takes(o: Outer, l: [String!], ll: [[Int]], c: Colour, p: Pick): String }
type Mutation { first: Box, second: Box, must: Int!, plain: Int }
type Box { n: Int }
type Subscription { event(n: Int): Box, must: Int! }
"""
ROOT = {"a": "a", "b": "b", "takes": lambda info, **given: repr(sorted(given.items()))}


@pytest.mark.parametrize(
    ("directives", "there"),
    [
        ("@include(if: true)", True),
        ("@include(if: false)", False),
        ("@skip(if: true)", False),
        ("@skip(if: false)", True),
        ("@include(if: true) @skip(if: false)", True),
        ("@include(if: true) @skip(if: true)", False),
        ("@include(if: false) @skip(if: true)", False),
        ("@include(if: $yes)", True),
        ("@skip(if: $yes)", False),
    ],
)
@pytest.mark.parametrize(
    "shape", ["{ a b %s }", "{ a ... %s { b } }", "{ a ...F %s }", "{ a ... on Query %s { b } }"]
)
async def test_skip_and_include(directives: str, there: bool, shape: str) -> None:
    text = f"query ($yes: Boolean! = true) {shape % directives} fragment F on Query {{ b }}"
    assert await ask(SCHEMA, text, ROOT) == ({"a": "a", "b": "b"} if there else {"a": "a"}, [])


async def test_when_all_is_skipped_there_is_an_empty_object() -> None:
    assert await ask(SCHEMA, "{ a @skip(if: true) }", ROOT) == ({}, [])
    assert await ask(SCHEMA, "{ d { a @skip(if: true) } }", {"d": {}}) == ({"d": {}}, [])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('o: {text: "x"}', "[('o', {'text': 'x'})]"),
        (
            'o: {text: "x", list: "one", inner: {c: RED}}',
            "[('o', {'text': 'x', 'list': ['one'], 'inner': {'n': 3, 'c': 'RED'}})]",
        ),
        ('l: "x"', "[('l', ['x'])]"),
        ("ll: [[1], null, 2]", "[('ll', [[1], None, [2]])]"),
        ("l: $l", "[('l', ['v'])]"),
        ('l: [$s, "y"]', "[('l', ['given', 'y'])]"),
        ("c: $c", "[('c', 'GREEN')]"),
        ("c: $absent", "[]"),
        ("c: $null", "[('c', None)]"),
        ('p: {a: "x"}', "[('p', {'a': 'x'})]"),
        ("o: {text: $s, inner: {n: 1, c: $absent}}", "[('o', {'text': 'given', 'inner': {'n': 1}})]"),
    ],
)
async def test_arguments_of_all_kinds(written: str, expected: str) -> None:
    head = 'query ($l: [String!] = "v", $s: String! = "given", $c: Colour = GREEN, $absent: Colour, $null: Colour)'
    data, errors = await ask(SCHEMA, f"{head} {{ takes({written}) }}", ROOT, variable_values={"null": None})
    assert errors == []
    assert data == {"takes": expected}


@pytest.mark.parametrize(
    "written", ["c: BLUE", "l: [null]", "o: {}", "p: {}", 'p: {a: "x", b: 1}', "p: {a: null}", "o: {text: 5}"]
)
async def test_arguments_that_cannot_be_are_told_at_their_field(written: str) -> None:
    data, errors = await ask(SCHEMA, f"{{ a takes({written}) }}", ROOT)
    assert data == {"a": "a", "takes": None}
    assert [path for _, path in errors] == [["takes"]]


@pytest.mark.parametrize("value", [{}, {"v": None}, {"v": ["x", None]}, {"v": 5}])
async def test_variables_that_cannot_be_are_told_before_anything_runs(value: dict[str, Any]) -> None:
    data, errors = await ask(SCHEMA, "query ($v: [String!]!) { takes(l: $v) }", ROOT, variable_values=value)
    assert data is None
    assert errors
    assert all(path is None for _, path in errors)


@pytest.mark.parametrize("executor_class", [None, BreadthFirstExecutor])
async def test_a_mutation_makes_its_changes_one_after_the_other(executor_class: Any) -> None:
    state = {"n": 0}

    def change(info: object) -> Any:
        state["n"] += 1
        number = state["n"]

        async def box() -> Any:
            await asyncio.sleep(0)
            # What is below a change sees that change and no later one.
            return {"n": lambda info: soon(number * 10 + state["n"])}

        return box()

    root = {"first": change, "second": change}
    document = parse("mutation { a: first { n } b: second { n } c: first { n } }")
    result: Any = execute(build_schema(SCHEMA), document, root, executor_class=executor_class)
    assert answer_of(await result) == ({"a": {"n": 11}, "b": {"n": 22}, "c": {"n": 33}}, [])


@pytest.mark.parametrize("waits", [False, True])
async def test_a_failed_change_stops_the_rest_only_when_all_data_is_lost(waits: bool) -> None:
    done: list[str] = []

    def fail(info: Any) -> Any:
        done.append(info.field_name)
        if waits:
            return soon(RuntimeError("no"))
        raise RuntimeError("no")

    def plain(info: Any) -> int:
        done.append("plain")
        return 1

    root = {"must": fail, "first": fail, "plain": plain}
    assert await ask(SCHEMA, "mutation { first { n } plain }", root) == (
        {"first": None, "plain": 1},
        [("no", ["first"])],
    )
    assert done == ["first", "plain"] * 2
    done.clear()
    assert await ask(SCHEMA, "mutation { x: plain must plain first { n } }", root) == (
        None,
        [("no", ["must"])],
    )
    assert done == ["plain", "must"] * 2


async def follow(text: str, root: Any, executor_class: Any) -> Any:
    """What a subscription gives: its answers, and how it ended."""
    found: Any = subscribe(build_schema(SCHEMA), parse(text), root, executor_class=executor_class)
    found = await found if isawaitable(found) else found
    if isinstance(found, ExecutionResult):
        return answer_of(found)
    answers: list[Any] = []
    try:
        async for result in found:
            answers.append(answer_of(result))
    except RuntimeError as error:
        answers.append(str(error))
    return answers


async def followed(text: str, root: Any) -> Any:
    """The same under both executors."""
    stock, ours = [await follow(text, root, chosen) for chosen in (None, BreadthFirstExecutor)]
    assert stock == ours
    return ours


async def test_each_event_is_an_answer() -> None:
    async def events(info: object, n: int) -> AsyncIterator[Any]:
        for number in range(n):
            yield {"event": {"n": lambda info, number=number: soon(number)}}

    assert await followed("subscription { event(n: 3) { n } }", {"event": events}) == [
        ({"event": {"n": number}}, []) for number in range(3)
    ]


async def test_an_event_that_fails_is_told_and_the_next_one_comes() -> None:
    async def events(info: object) -> AsyncIterator[Any]:
        yield {"must": 1}
        yield {"must": None}
        yield {"must": RuntimeError("no")}
        yield {"must": 2}

    assert await followed("subscription { must }", {"must": events}) == [
        ({"must": 1}, []),
        (None, [("Cannot return null for non-nullable field Subscription.must.", ["must"])]),
        (None, [("no", ["must"])]),
        ({"must": 2}, []),
    ]


async def test_a_source_that_breaks_off_ends_the_subscription() -> None:
    async def events(info: object) -> AsyncIterator[Any]:
        yield {"must": 1}
        raise RuntimeError("gone")

    assert await followed("subscription { must }", {"must": events}) == [({"must": 1}, []), "gone"]


async def test_a_subscription_that_cannot_begin() -> None:
    def fail(info: object) -> None:
        raise RuntimeError("no")

    assert await followed("subscription { must }", {"must": fail}) == (None, [("no", ["must"])])
    data, errors = await followed("subscription { must }", {"must": lambda info: 5})
    assert data is None
    assert "must return AsyncIterable" in errors[0][0]


async def test_a_subscription_that_is_left_closes_its_source() -> None:
    closed = []

    async def events(info: object) -> AsyncIterator[Any]:
        try:
            while True:
                yield {"must": 1}
        finally:
            closed.append(True)

    stream: Any = subscribe(
        build_schema(SCHEMA),
        parse("subscription { must }"),
        {"must": events},
        executor_class=BreadthFirstExecutor,
    )
    assert (await anext(stream)).data == {"must": 1}
    await stream.aclose()
    assert closed == [True]
