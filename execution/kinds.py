"""What kind of value a Python type's values are to an executor."""

from enum import Enum
from types import CoroutineType, NoneType

from graphql.pyutils import UndefinedType


class Kind(Enum):
    """A value as such, null, an exception that stands for a failure, or something to be awaited."""

    VALUE = 0
    NULL = 1
    ERROR = 2
    AWAITABLE = 3


# Forgotten when it is full, so that types made while running do not gather here.
_MAX_KNOWN = 4_096
_known: dict[type, Kind] = {}


def kind_of(type_: type) -> Kind:
    """The kind of this type's values."""
    kind = _known.get(type_)
    if kind is None:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        kind = _known[type_] = _find(type_)
    return kind


def _find(type_: type) -> Kind:
    if type_ is NoneType or issubclass(type_, UndefinedType):
        return Kind.NULL
    if issubclass(type_, Exception):
        return Kind.ERROR
    if issubclass(type_, CoroutineType) or hasattr(type_, "__await__"):
        return Kind.AWAITABLE
    return Kind.VALUE
