"""An operation's variables are those that graphql-core coerces, or its errors."""

from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, parse
from graphql.execution import get_variable_values
from graphql.execution.values import VariableValues

from execution.variables import Variables

SCHEMA = build_schema("""
    enum Size { SMALL LARGE }
    input Point { x: Int = 1, y: Int! }
    scalar Anything
    type Query { field: Int }
""")
TYPES = ("String", "ID", "Boolean", "Int", "Float", "[Int]", "Size", "Point", "Anything", "Unheard", "Query")
VALUES: list[Any] = [
    *(None, "text", "SMALL", "7", True, False, 0, 7, -(2**31), 2**31 - 1, 2**31, -(2**31) - 1, 1.0, 1.5, 2.0**40),
    *(float("nan"), float("inf"), [], [1], [None], {}, {"y": 2}, {"x": 1.5, "y": 2}, {"a": [1]}),
]  # fmt: skip


def told(found: VariableValues | list[GraphQLError]) -> object:
    if isinstance(found, VariableValues):
        values = {name: (type(value), repr(value)) for name, value in found.coerced.items()}
        return values, {name: repr(source.value) for name, source in found.sources.items()}
    return [str(error) for error in found]


def check(declared: str, inputs: dict[str, Any], most: int = 5) -> None:
    (operation,) = parse(f"query ({declared}) {{ field }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    definitions = operation.variable_definitions or ()
    for hide in (True, False):
        expected = get_variable_values(SCHEMA, definitions, inputs, max_errors=most, hide_suggestions=hide)
        found = Variables(SCHEMA, definitions, max_errors=most)(inputs, hide_suggestions=hide)
        assert told(found) == told(expected)


@pytest.mark.parametrize("type_", TYPES)
def test_they_are_those_of_graphql_core(type_: str) -> None:
    for declared in (f"$v: {type_}", f"$v: {type_}!", f"$v: {type_} = null"):
        check(declared, {})
        for value in VALUES:
            check(declared, {"v": value, "unknown": 1})


def test_one_that_is_not_ready_among_others() -> None:
    check("$a: String, $b: Int = 3, $c: ID!", {"a": "text", "c": "id"})
    check("$a: String, $b: Float, $c: ID!", {"a": None, "b": 1, "c": "id"})
    check("$a: String, $b: Float!, $c: ID!", {"a": 1, "c": None}, most=1)
