"""What an operation costs grows with what it answers, and in no worse way."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
import strawberry
from graphql import build_schema, execute, parse
from graphql.execution import Executor

from execution import BreadthFirstExecutor, StrawberryBreadthFirstExecutor, batch_field

SCHEMA = build_schema(
    "type Query { list: [Item!]!, mixed: [Thing] } union Thing = Item type Item { a: Int, b: String!, below: [Item!] }"
)
PLAIN = "{ list { a b below { a } } }"


def calls_of(work: Callable[[], Any]) -> int:
    """How many Python functions are called."""
    count = 0

    def watch(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def items(size: int) -> dict[str, Any]:
    item = {"a": 1, "b": "x", "below": [{"a": 2}], "__typename": "Item"}
    return {"list": [item] * size, "mixed": [item] * size}


FAILING = {"a": "no number", "b": None, "__typename": "Item"}


@pytest.mark.parametrize(
    ("text", "root"),
    [
        (PLAIN, items),
        ("{ mixed { ... on Item { a b } } }", items),
        ("{ mixed { ... on Item { a } } }", lambda size: {"mixed": [FAILING] * size}),
        ("{ mixed { ... on Item { b } } }", lambda size: {"mixed": [FAILING] * size}),
        ("{ list { a } }", lambda size: {"list": (item for item in items(size)["list"])}),
    ],
)
def test_ten_times_the_items_cost_ten_times_the_calls(text: str, root: Callable[[int], Any]) -> None:
    document = parse(text)

    def cost(size: int) -> int:
        made = root(size)
        return calls_of(lambda: execute(SCHEMA, document, made, executor_class=BreadthFirstExecutor))

    cost(1)  # the plan is compiled
    fixed = cost(0)
    assert 8 < (cost(1_000) - fixed) / (cost(100) - fixed) < 12


@strawberry.type
class Leaf:
    """Plain attributes."""

    id: int
    name: str

    @batch_field()
    @staticmethod
    async def twice(leaves: list["Leaf"]) -> list[int]:
        return [leaf.id * 2 for leaf in leaves]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def leaves(self, count: int) -> list[Leaf]:
        return [Leaf(id=number, name="x") for number in range(count)]


def test_plain_attributes_and_batches_cost_a_few_calls_for_all_objects() -> None:
    schema = strawberry.Schema(Query, execution_context_class=StrawberryBreadthFirstExecutor)
    document = parse("query ($n: Int!) { leaves(count: $n) { id name twice } }")

    def cost(size: int) -> int:
        def work() -> None:
            result: Any = execute(
                schema._schema,
                document,
                variable_values={"n": size},
                executor_class=StrawberryBreadthFirstExecutor,
            )
            assert asyncio.run(result).errors is None

        return calls_of(work)

    cost(1)
    # For each leaf: it is made, and its dictionary is; nothing is asked of it one by one.
    assert (cost(1_000) - cost(500)) / 500 < 6


def test_it_costs_less_than_walking_depth_first() -> None:
    document, root = parse(PLAIN), items(200)
    for executor_class in (Executor, BreadthFirstExecutor):
        execute(SCHEMA, document, root, executor_class=executor_class)
    stock, ours = [
        calls_of(lambda chosen=chosen: execute(SCHEMA, document, root, executor_class=chosen))  # type: ignore[misc]  # bound now
        for chosen in (Executor, BreadthFirstExecutor)
    ]
    assert ours < stock
