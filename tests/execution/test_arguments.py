"""A field's arguments are those that graphql-core coerces, or its error."""

from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, parse
from graphql.execution.values import VariableValues, get_argument_values

from execution.arguments import Arguments

SCHEMA = build_schema("""
    enum Size { SMALL LARGE }
    input Point { x: Int = 1, y: Int! }
    scalar Anything
    type Query {
      field(
        plain: Int, text: String = "usual", id: ID! = "one", needed: Boolean!, many: [Int!] = [1, 2]
        size: Size = SMALL, point: Point, any: Anything, real: Float
      ): Int
    }
""")
DEFINITION = SCHEMA.query_type.fields["field"]  # type: ignore[union-attr]  # it has a query type
GIVEN: dict[str, list[str | None]] = {
    "plain": ["1", "null", "$v", '"no number"', "99999999999"],
    "text": ['"other"', "null", "$v"],
    "id": ["7", "$v", "null"],
    "needed": ["true", "$v", "null", None],
    "many": ["[3]", "3", "$v", "[$v]"],
    "size": ["LARGE", "$v", "NO_SUCH"],
    "point": ["{ y: 2 }", "{ x: $v, y: 2 }", "{}", "$v"],
    "any": ["{ a: [1, $v] }", "1"],
    "real": ["1", "1.5", "$v"],
}
VARIABLES: list[dict[str, Any]] = [{}, {"v": None}, {"v": 3}, {"v": "text"}, {"v": True}]


class Asked:
    """As much of an executor as arguments need."""

    hide_suggestions = False

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variable_values = VariableValues({}, variables)


def outcome(call: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any] | None, str | None]:
    try:
        return call(), None
    except GraphQLError as error:
        return None, str(error)


def node_of(arguments: str) -> Any:
    (operation,) = parse(f"{{ field({arguments}) }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set.selections[0]


def check(sent: str, variables: dict[str, Any]) -> None:
    asked: Any = Asked(variables)
    node = node_of(sent)
    arguments = Arguments(DEFINITION, node)
    expected = outcome(lambda: get_argument_values(DEFINITION, node, asked.variable_values))
    for _ in range(2):  # the first time changes nothing
        assert outcome(lambda: arguments(asked)) == expected


@pytest.mark.parametrize("name", GIVEN)
def test_they_are_those_of_graphql_core(name: str) -> None:
    needed = "" if name == "needed" else "needed: false "
    for given in GIVEN[name]:
        for variables in VARIABLES:
            check(needed + ("plain: 1" if given is None else f"{name}: {given}"), variables)


def test_what_can_be_changed_is_made_anew() -> None:
    arguments, asked = Arguments(DEFINITION, node_of("needed: true many: [1]")), Asked({})
    found: Any = arguments(asked)  # type: ignore[arg-type]  # all that it needs
    found["many"].append(3)
    found["text"] = "changed"
    expected = {"text": "usual", "id": "one", "needed": True, "many": [1], "size": "SMALL"}
    assert arguments(asked) == expected  # type: ignore[arg-type]  # all that it needs
