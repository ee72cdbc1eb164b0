"""Scalars and enums: which values go into the response as they are, and how the others are coerced.

GraphQL's own scalars leave a value of their Python type alone, so a column of nothing else needs no call for each
value. What is said here of them is checked against graphql-core's scalars in the tests.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined, inspect
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.types.enum import StrawberryEnumDefinition


class Leaf:
    """How values of a leaf type are told: `ready` are the Python types that may need nothing."""

    def __init__(
        self,
        coerce: Callable[[Any], Any],
        ready: frozenset[type] = frozenset(),
        fits: Callable[[Sequence[Any]], bool] = lambda values: True,
    ) -> None:
        self.coerce, self.ready, self.fits = coerce, ready, fits


def leaf_of(type_: GraphQLLeafType) -> Leaf:
    """How values of this type are told."""
    coerce = _coercion(type_)
    if type_ is GraphQLString or type_ is GraphQLID:
        return Leaf(coerce, frozenset({str}))
    if type_ is GraphQLBoolean:
        return Leaf(coerce, frozenset({bool}))
    if type_ is GraphQLInt:
        return Leaf(coerce, frozenset({int}), _are_32_bits)
    if type_ is GraphQLFloat:
        return Leaf(coerce, frozenset({float}), _are_finite)
    return Leaf(_remembered(type_, coerce))


def _coercion(type_: GraphQLLeafType) -> Callable[[Any], Any]:
    coerce_output_value = type_.coerce_output_value

    def coerce(value: Any) -> Any:
        coerced = coerce_output_value(value)
        if coerced is None or coerced is Undefined:
            raise TypeError(
                f"Expected `{inspect(type_)}.coerce_output_value({inspect(value)})`"
                f" to return non-nullable value, returned: {inspect(coerced)}"
            )
        return coerced

    return coerce


def _remembered(type_: GraphQLLeafType, coerce: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remembers the names of a Strawberry enum's members, which Strawberry looks for one by one."""
    definition: object = type_.extensions.get("strawberry-definition")
    if not isinstance(type_, GraphQLEnumType) or not isinstance(definition, StrawberryEnumDefinition):
        return coerce
    members: object = definition.wrapped_cls
    # By identity: members may be equal to each other, or have no hash.
    names: dict[int, Any] = {}

    def name_of(value: Any) -> Any:
        if type(value) is not members:
            return coerce(value)
        name = names.get(id(value))
        if name is None:
            name = names[id(value)] = coerce(value)
        return name

    return name_of


def _are_32_bits(values: Sequence[Any]) -> bool:
    numbers = [value for value in values if value is not None]
    return not numbers or (max(numbers) <= GRAPHQL_MAX_INT and min(numbers) >= GRAPHQL_MIN_INT)


def _are_finite(values: Sequence[Any]) -> bool:
    return all(value is None or isfinite(value) for value in values)
