"""Prepared operations answer what graphql-core's execute and subscribe answer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, build_schema, parse

from execution import BreadthFirstExecutor
from execution.prepared import PreparedOperation
from tests.execution.asking import answer_of, ask, soon

SCHEMA = build_schema(
    """
    type Query { a(n: Int = 1): Int, b: Query, must: Int! }
    type Subscription { a: Int }
    """
)


def prepared(text: str, name: str | None = None) -> PreparedOperation:
    return PreparedOperation(SCHEMA, parse(text), name, BreadthFirstExecutor)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ a b { a } }", None),
        ("query ($n: Int!) { a(n: $n) }", {"n": 4}),
        ("query ($n: Int!) { a(n: $n) }", {}),
        ("query ($n: Int!) { a(n: $n) }", {"n": "x"}),
        (
            "query ($s: Boolean!) { a @skip(if: $s) b { ...F } } fragment F on Query { x: a @include(if: $s) }",
            {"s": True},
        ),
        ("{ must a }", None),
        ("mutation { a }", None),
    ],
)
async def test_a_prepared_operation_answers_as_any_does_each_time(text: str, variables: Any) -> None:
    def root() -> dict[str, Any]:
        return {"a": lambda info, n: soon(n), "b": {"a": lambda info, n: n + 1}, "must": None}

    expected = await ask(SCHEMA, text, root(), variable_values=variables)
    operation = prepared(text)
    for _ in range(3):
        assert answer_of(await operation.execute(None, variables, root())) == expected


async def test_the_named_operation_is_found() -> None:
    text = "query One { a } query Two { b { a } }"
    assert (await prepared(text, "One").execute(None, None, {"a": 1})).data == {"a": 1}
    with pytest.raises(GraphQLError, match="Must provide operation name"):
        prepared(text)
    with pytest.raises(GraphQLError, match="Unknown operation named 'Three'"):
        prepared(text, "Three")
    with pytest.raises(GraphQLError, match="Must provide an operation"):
        prepared("fragment F on Query { a }")


async def test_a_prepared_subscription_answers_each_event() -> None:
    async def events(info: object) -> AsyncIterator[Any]:
        yield {"a": 1}
        yield {"a": soon(2)}

    stream = await prepared("subscription { a }").subscribe(None, None, {"a": events})
    assert not isinstance(stream, ExecutionResult)
    assert [result.data async for result in stream] == [{"a": 1}, {"a": 2}]


async def test_a_prepared_subscription_that_cannot_begin_says_why() -> None:
    found = await prepared("subscription { a }").subscribe(None, None, {"a": 5})
    assert isinstance(found, ExecutionResult)
    assert found.data is None
    wrong = await prepared("subscription ($n: Int!) { a }").subscribe(None, {}, {"a": 5})
    assert isinstance(wrong, ExecutionResult)
    assert "$n" in str(wrong.errors)
