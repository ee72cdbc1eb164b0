"""Asks both executors the same, and gives the answer when they agree."""

from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLSchema, build_schema, execute, parse
from graphql.execution import Executor

from execution import BreadthFirstExecutor
from tests.execution.cases import stock_left_alone

Answer = tuple[Any, list[tuple[Any, ...]]]


async def ask(schema: GraphQLSchema | str, text: str, root: Any = None, /, **more: Any) -> Answer:
    """The data, and each error's message and path, of both executors. With `places` the places of errors too."""
    built = build_schema(schema) if isinstance(schema, str) else schema
    places = more.pop("places", False)
    answers = []
    for executor_class in (Executor, BreadthFirstExecutor):
        with stock_left_alone(generation=1):
            result: Any = execute(built, parse(text), root, executor_class=executor_class, **more)
            if isawaitable(result):
                result = await result
        answers.append(answer_of(result, places))
    stock, ours = answers
    assert ours[0] == stock[0]
    assert list(ours[0] or ()) == list(stock[0] or ())
    assert sorted(ours[1], key=repr) == sorted(stock[1], key=repr)
    return ours


def answer_of(result: ExecutionResult, places: bool = False) -> Answer:
    """What of a result is compared."""
    errors = [
        (
            error.message,
            error.path,
            *([[(place.line, place.column) for place in error.locations or ()]] if places else []),
        )
        for error in result.errors or ()
    ]
    return result.data, errors


class Given:
    """An object with these attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


async def soon(value: Any) -> Any:
    """The value, awaited; an exception is raised."""
    if isinstance(value, Exception):
        raise value
    return value
