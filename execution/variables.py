"""The variables of an operation: values of GraphQL's own scalars that are of their Python type are taken as they are.

Anything else (defaults, lists, enums, input objects, custom scalars, what must be converted, what is wrong) is
graphql-core's get_variable_values, for all variables of the request.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    VariableDefinitionNode,
)
from graphql.execution import get_variable_values
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.pyutils import Undefined
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT, get_nullable_type, is_non_null_type


def _is_32_bits(value: Any) -> bool:
    return type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT


# Which values each scalar takes as they are.
_AS_THEY_ARE: dict[object, Callable[[Any], bool]] = {
    GraphQLString: lambda value: type(value) is str,
    GraphQLID: lambda value: type(value) is str,
    GraphQLBoolean: lambda value: type(value) is bool,
    GraphQLInt: _is_32_bits,
    GraphQLFloat: lambda value: type(value) is float and isfinite(value),
}


class _Variable(NamedTuple):
    signature: GraphQLVariableSignature
    refuses_null: bool
    is_ready: Callable[[Any], bool]


class Variables:
    """Coerces an operation's variables."""

    def __init__(
        self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode], *, max_errors: int
    ) -> None:
        self._schema, self._definitions, self._max_errors = schema, definitions, max_errors
        self._known = [_known(schema, definition) for definition in definitions]

    def __call__(
        self, inputs: Mapping[str, Any], *, hide_suggestions: bool
    ) -> VariableValues | list[GraphQLError]:
        """The values, or what is wrong with them."""
        sources, coerced = {}, {}
        for variable in self._known:
            if variable is None:
                break
            name = variable.signature.name
            value = inputs.get(name, Undefined)
            if value is not Undefined:
                if variable.refuses_null if value is None else not variable.is_ready(value):
                    break
                coerced[name] = value
            elif variable.refuses_null:
                break
            sources[name] = VariableValueSource(variable.signature, value)
        else:
            return VariableValues(sources, coerced)
        return get_variable_values(
            self._schema,
            self._definitions,
            dict(inputs),
            max_errors=self._max_errors,
            hide_suggestions=hide_suggestions,
        )


def _known(schema: GraphQLSchema, definition: VariableDefinitionNode) -> _Variable | None:
    """A variable whose values may be ready; None for any other."""
    signature = get_variable_signature(schema, definition)
    if isinstance(signature, GraphQLError) or definition.default_value is not None:
        return None
    is_ready = _AS_THEY_ARE.get(get_nullable_type(signature.type))
    return None if is_ready is None else _Variable(signature, is_non_null_type(signature.type), is_ready)
