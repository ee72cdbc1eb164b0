"""What the classes behind Strawberry's types tell, so that it need not be asked of each object."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLObjectType
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

# Whether all these objects certainly are of a type; if not, is_type_of must tell.
Certainty = Callable[[Sequence[Any]], bool]


def certainty_of(type_: GraphQLObjectType) -> Certainty:
    """How to be certain of objects of this type without a call of is_type_of for each."""
    if type_.is_type_of is None:
        return lambda objects: True
    definition = (type_.extensions or {}).get("strawberry-definition")
    if not isinstance(definition, StrawberryObjectDefinition) or definition.is_type_of is not None:
        return lambda objects: False
    # Strawberry's own is_type_of says yes to instances of the type's class, unless they were cast to another type.
    classes = {definition.origin}
    return lambda objects: (
        classes.issuperset(map(type, objects))
        and not any([hasattr(one, TYPE_CAST_ATTRIBUTE) for one in objects])
    )
