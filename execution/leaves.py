"""Scalars and enums: which values go into the response as they are, and how the others are coerced.

GraphQL's own scalars leave a value of their Python type alone, so a column of nothing else needs no call for each
value. What is said here of them is checked against graphql-core's scalars in the tests. Other scalars say so
themselves: see `keeps`.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeVar

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

Serialize = TypeVar("Serialize", bound=Callable[..., Any])
_KEPT = "execution_keeps"


def keeps(*types: type) -> Callable[[Serialize], Serialize]:
    """Say of a scalar's `serialize` that it returns values of exactly these Python types as they are.

    A resolver that has a whole column of them ready spares a call for each.
    """

    def mark(serialize: Serialize) -> Serialize:
        setattr(serialize, _KEPT, frozenset(types))
        return serialize

    return mark


class Leaf:
    """How values of a leaf type are told.

    `ready` are the Python types whose values need nothing where `fits` says so (None: always), `told` what is known
    already of values that live as long as the type, by their identity.
    """

    def __init__(
        self,
        coerce: Callable[[Any], Any],
        ready: frozenset[type] = frozenset(),
        fits: Callable[[Sequence[Any]], bool] | None = None,
        told: Mapping[int, Any] | None = None,
    ) -> None:
        self.coerce, self.ready, self.fits, self.told = coerce, ready, fits, told


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
    members = _members_of(type_)
    if members is not None:
        return _remembered(members, coerce)
    return Leaf(coerce, getattr(type_.coerce_output_value, _KEPT, frozenset()))


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


def _members_of(type_: GraphQLLeafType) -> type | None:
    """The class of a Strawberry enum."""
    definition: object = type_.extensions.get("strawberry-definition")
    if isinstance(type_, GraphQLEnumType) and isinstance(definition, StrawberryEnumDefinition):
        return definition.wrapped_cls
    return None


def _remembered(members: type, coerce: Callable[[Any], Any]) -> Leaf:
    """Remembers the names of an enum's members, which Strawberry looks for one by one."""
    # By identity: members may be equal to each other, or have no hash.
    names: dict[int, Any] = {}

    def name_of(value: Any) -> Any:
        if type(value) is not members:
            return coerce(value)
        name = names.get(id(value))
        if name is None:
            name = names[id(value)] = coerce(value)
        return name

    return Leaf(name_of, told=names)


def _are_32_bits(values: Sequence[Any]) -> bool:
    numbers = [value for value in values if value is not None] if None in values else values
    return not numbers or (max(numbers) <= GRAPHQL_MAX_INT and min(numbers) >= GRAPHQL_MIN_INT)


def _are_finite(values: Sequence[Any]) -> bool:
    return all(value is None or isfinite(value) for value in values)
