"""The arguments of a field in an operation: what no variable changes is coerced once, not in each run.

Only values of GraphQL's own scalars that nobody can change are kept. Whatever else there is (enums, input objects,
lists, custom scalars) and whatever is wrong, graphql-core's get_argument_values coerces, or refuses, in each run.
"""

from typing import Any, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    VariableNode,
    get_named_type,
    is_specified_scalar_type,
)
from graphql.execution import Executor
from graphql.execution.values import VariableValues, get_argument_values
from graphql.type import is_non_null_type, is_required_argument

AnyExecutor: TypeAlias = "Executor[Any]"

# Types whose values no resolver can change.
UNCHANGING = {str, int, float, bool, type(None)}
_NO_VARIABLES = VariableValues({}, {})


class _Absent:
    """In place of a value: the argument is left out, or `REQUIRED`, which is an error."""


OMITTED, REQUIRED = _Absent(), _Absent()


class _Step(NamedTuple):
    """One argument: the value of a variable, or without it (or without a variable) what is known."""

    name: str
    known: Any
    variable: str | None
    refuses_null: bool


class Arguments:
    """Coerces a field's arguments."""

    def __init__(self, definition: GraphQLField, node: FieldNode) -> None:
        self._definition, self._node = definition, node
        self._steps = _steps(definition, node)

    def __call__(self, executor: AnyExecutor) -> dict[str, Any]:
        """The coerced arguments. Raises GraphQLError."""
        if self._steps is not None:
            given = executor.variable_values.coerced
            values = {}
            for name, known, variable, refuses_null in self._steps:
                value = known if variable is None else given.get(variable, known)
                if value is REQUIRED or (value is None and refuses_null):
                    break  # the error is graphql-core's
                if value is not OMITTED:
                    values[name] = value
            else:
                return values
        return get_argument_values(
            self._definition,
            self._node,
            executor.variable_values,
            hide_suggestions=executor.hide_suggestions,
        )


def _steps(definition: GraphQLField, node: FieldNode) -> list[_Step] | None:
    """How to come by each argument; None when graphql-core must coerce them each time."""
    sent = {argument.name.value: argument.value for argument in node.arguments or ()}
    steps = []
    for name, argument in definition.args.items():
        value = sent.get(name)
        variable = value.name.value if isinstance(value, VariableNode) else None
        if variable is not None and is_required_argument(argument):
            known: Any = REQUIRED
        else:
            known = _known(definition, name, argument, node)
            if known is REQUIRED:
                return None
        out_name = argument.out_name or name
        steps.append(_Step(out_name, known, variable, is_non_null_type(argument.type)))
    return steps


def _known(definition: GraphQLField, name: str, argument: GraphQLArgument, node: FieldNode) -> Any:
    """What an argument is without variables: a value, OMITTED, or REQUIRED where that cannot be kept."""
    if not is_specified_scalar_type(get_named_type(argument.type)):
        return REQUIRED
    alone = GraphQLField(definition.type, args={name: argument})
    try:
        values = list(get_argument_values(alone, node, _NO_VARIABLES).values())
    except GraphQLError:
        return REQUIRED
    if not values:
        return OMITTED
    return values[0] if type(values[0]) in UNCHANGING else REQUIRED
