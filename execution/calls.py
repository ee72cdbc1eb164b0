"""Calling Strawberry's resolvers without what Strawberry wraps around each call, where that would change nothing."""

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import strawberry
from graphql import GraphQLField, GraphQLSchema
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from strawberry.types.field import StrawberryField

if TYPE_CHECKING:
    from execution.plans import Field
    from execution.run import Block, Run

# Strawberry gives values of these types to resolvers as graphql-core coerced them.
_AS_COERCED: frozenset[object] = frozenset({str, int, float, bool, strawberry.ID})
# Strawberry's names for the resolvers that it makes of those of fields.
_WRAPPERS = ("_resolver", "_async_resolver")


class DirectCall(NamedTuple):
    """How to call a field's resolver: `names` are the Python names of its arguments by their GraphQL names."""

    function: Callable[..., Any]
    takes_self: bool
    source_names: tuple[str, ...]
    info_name: str | None
    names: Mapping[str, str]

    def __call__(self, source: Any, info: Any, arguments: Mapping[str, Any]) -> Any:
        names = self.names
        given = {names[name]: value for name, value in arguments.items()}
        for name in self.source_names:
            given[name] = source
        if self.info_name is not None:
            given[self.info_name] = info
        return self.function(source, **given) if self.takes_self else self.function(**given)


InfoClass = Callable[["Run", "Block", "Field", StrawberryField, int], strawberry.Info]


def lazy_info_class(schema: GraphQLSchema) -> InfoClass:
    """A class of infos, told the run, block, planned field, definition, and which of the block's objects is asked.

    They make graphql-core's own only when more than the context is asked for; those of a class that is made in a way
    of its own are made as Strawberry makes them.
    """
    return _lazy(schema._strawberry_schema.config.info_class)  # type: ignore[attr-defined]  # as Info.schema finds it


@cache
def _lazy(info_class: Any) -> InfoClass:
    is_plain = info_class.__init__ is strawberry.Info.__init__ and not hasattr(info_class, "__post_init__")

    class LazyInfo(info_class):  # type: ignore[misc]  # a base that the schema chooses
        def __init__(
            self, run: "Run", block: "Block", field: "Field", definition: StrawberryField, index: int
        ) -> None:
            self._run, self._block, self._planned, self._index = run, block, field, index
            if is_plain:
                self._field = definition
            else:
                super().__init__(_raw_info=self._raw_info, _field=definition)

        @cached_property
        def _raw_info(self) -> Any:
            path = self._run.spots(self._block, self._planned).path(self._index)
            return self._run.info(self._planned, path)

        if info_class.context is strawberry.Info.context:

            @property
            def context(self) -> Any:
                return self._run.executor.context_value

    return LazyInfo


def is_bare(schema: GraphQLSchema, field: StrawberryField) -> bool:
    """Whether nothing stands between the field and its resolver: no extension, no exception handler."""
    converter = getattr(getattr(schema, "_strawberry_schema", None), "schema_converter", None)
    handlers = getattr(converter, "_exception_handler_specs", True)
    return not field.extensions and not handlers


def direct_call(schema: GraphQLSchema, definition: GraphQLField, field: StrawberryField) -> DirectCall | None:
    """The direct call of a field's resolver; None when only Strawberry can call it."""
    resolver = field.base_resolver
    wrapper = getattr(definition.resolve, "__name__", None)
    if (
        resolver is None
        or definition.subscribe is not None
        or wrapper not in _WRAPPERS
        or not is_bare(schema, field)
    ):
        return None
    converter = schema._strawberry_schema.config.name_converter  # type: ignore[attr-defined]  # is_bare saw it
    names: dict[str, str] = {}
    for argument in field.arguments:
        type_ = argument.type
        if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
            type_ = type_.of_type
        if type_ not in _AS_COERCED:
            return None
        names[converter.from_argument(argument)] = argument.python_name
    sources = (resolver.root_parameter, resolver.parent_parameter)
    return DirectCall(
        resolver,
        resolver.self_parameter is not None,
        tuple(parameter.name for parameter in sources if parameter is not None),
        None if resolver.info_parameter is None else resolver.info_parameter.name,
        names,
    )
