"""How long lists may be, as their arguments say: a number, or what the variables say later."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    BooleanValueNode,
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.utilities.get_default_value_ast import get_default_value_ast

from execution.costs import IDS, PAGE, PageSize, Prices, Size


class Sizes:
    """The sizes of one operation's lists. `defaults` are its variables'."""

    def __init__(self, prices: Prices, defaults: Mapping[str, Any]) -> None:
        self._prices = prices
        self._defaults = defaults

    def of_list(self, definition: GraphQLField, node: FieldNode, some: int) -> Size:
        """How long a list that is no connection's may be."""
        if "first" in definition.args or "last" in definition.args:
            return self.page(definition, node)
        by_id = [
            name
            for name, argument in definition.args.items()
            if _is_list(argument.type) and get_named_type(argument.type).name == "ID"
        ]
        if not by_id:
            return some
        known, names = 0, []
        for argument in node.arguments or ():
            if argument.name.value not in by_id:
                continue
            value = argument.value
            if isinstance(value, VariableNode):
                names.append((value.name.value, self._defaults.get(value.name.value)))
            else:
                known += len(value.values) if isinstance(value, ListValueNode) else 1
        return (IDS, known, tuple(names), 0, 0) if names else max(known, 1)

    def page(self, definition: GraphQLField, node: FieldNode) -> Size:
        """How long a connection is: its `first` or `last`, the greater of both where both are (wrongly) given."""
        longest = self._prices.longest_page
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        known, names = -1, []
        for name in ("first", "last"):
            argument = definition.args.get(name)
            if argument is None:
                continue
            value = given.get(name)
            default = _default(argument)
            if isinstance(value, VariableNode):
                names.append((value.name.value, self._defaults.get(value.name.value, default)))
                continue
            count = default if value is None else plain(value)
            if count is None:
                continue
            wrong = type(count) is not int or not 0 <= count <= longest
            known = max(known, longest if wrong else count)
        if names:
            size: PageSize = (PAGE, known, tuple(names), self._prices.page, longest)
            return size
        return known if known >= 0 else self._prices.page


def plain(value: ValueNode) -> Any:
    """A literal as a value that is plain enough to be pickled; what cannot be read is as wrong as it can be."""
    if isinstance(value, NullValueNode):
        return None
    if isinstance(value, BooleanValueNode):
        return value.value
    if isinstance(value, IntValueNode):
        return int(value.value) if len(value.value) < 10 else -1
    if isinstance(value, ListValueNode):
        return (None,) * len(value.values)
    return -1


def lists_of(definition: GraphQLField) -> int:
    """How many lists are wrapped round a field's values."""
    type_: Any = definition.type
    found = 0
    while is_list_type(type_) or is_non_null_type(type_):
        found += is_list_type(type_)
        type_ = type_.of_type
    return found


def _default(argument: GraphQLArgument) -> Any:
    value = get_default_value_ast(argument)
    return None if value is None else plain(value)


def _is_list(type_: Any) -> bool:
    return is_list_type(type_.of_type if is_non_null_type(type_) else type_)


def shows_items(name: str) -> bool:
    """Whether a connection's field of this name is its list of items."""
    return name in ("edges", "nodes")


def is_connection(type_: GraphQLNamedType) -> bool:
    """Relay's convention: a name that ends so, and edges (some have nodes, too)."""
    return (
        is_object_type(type_)
        and type_.name.endswith("Connection")
        and any(shows_items(name) and lists_of(field) for name, field in type_.fields.items())
    )
