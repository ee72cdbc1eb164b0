"""Fields of Strawberry types that this executor resolves for all their parents at once.

Both kinds work under any other executor as well, one parent at a time.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

import strawberry
from graphql import GraphQLField
from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

# What a field's metadata holds: a Batch, or the attribute whose attributes it shows.
BATCH = "execution.batch"
WITHIN = "execution.within"


class Parents(list[Any]):
    """All parents of a field, in place of the one that a resolver is usually given."""


class Batch(NamedTuple):
    """A batch resolver."""

    resolve: Callable[..., Any]


def batch_field(
    *,
    name: str | None = None,
    description: str | None = None,
    deprecation_reason: str | None = None,
    extensions: Sequence[FieldExtension] = (),
    metadata: Mapping[Any, Any] | None = None,
) -> Callable[[Any], Any]:
    """Make a field of a static method that takes all parents and gives all values.

    The method's first parameter is the list of parents, never empty; an `info: strawberry.Info` and the field's
    arguments may follow. It returns, or its coroutine does, a list with one value for each parent, in their order;
    an exception in place of a value fails that parent's field alone. The annotation `list[X]` makes a field of
    type X. `info.path` is that of the first parent's field; field extensions see `Parents` as their source.

    Raises TypeError when the method is not annotated so.
    """

    def make(method: Any) -> Any:
        batch = Batch(method.__func__ if isinstance(method, staticmethod) else method)
        return strawberry.field(
            resolver=_resolver(batch),
            name=name,
            description=description,
            deprecation_reason=deprecation_reason,
            extensions=list(extensions),
            metadata={**(metadata or {}), BATCH: batch},
        )

    return make


def attribute_field(*, within: str, description: str | None = None) -> Any:
    """Make a field of an attribute of an attribute: `name: str = attribute_field(within="row")` shows `row.name`."""

    def read(root: Any, info: strawberry.Info) -> Any:
        return getattr(getattr(root, within), info.python_name)

    return strawberry.field(resolver=read, description=description, metadata={WITHIN: within})


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """Strawberry's definition of a built schema's field; None when Strawberry did not make it."""
    definition = (field.extensions or {}).get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _resolver(batch: Batch) -> Any:
    """What Strawberry is given: takes one parent, or Parents, as `self`."""
    resolve = batch.resolve
    signature = inspect.signature(resolve)
    parents, *others = signature.parameters.values()
    returned = signature.return_annotation
    if get_origin(returned) not in (list, Sequence):
        raise TypeError(
            f"{resolve.__qualname__} must be annotated to return list[…], one value for each parent."
        )
    (value,) = get_args(returned)

    def resolve_one_or_all(self: Any, **arguments: Any) -> Any:
        if type(self) is Parents:
            return resolve(self, **arguments)
        return _only(resolve([self], **arguments), resolve)

    async def await_one_or_all(self: Any, **arguments: Any) -> Any:
        if type(self) is Parents:
            return await resolve(self, **arguments)
        return _only(await resolve([self], **arguments), resolve)

    resolver: Any = await_one_or_all if inspect.iscoroutinefunction(resolve) else resolve_one_or_all
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(resolver, attribute, getattr(resolve, attribute))
    resolver.__signature__ = signature.replace(
        parameters=[parents.replace(name="self", annotation=Any), *others], return_annotation=value
    )
    resolver.__annotations__ = {
        **{
            other.name: other.annotation
            for other in others
            if other.annotation is not inspect.Parameter.empty
        },
        "return": value,
    }
    return resolver


def _only(values: Sequence[Any], resolve: Callable[..., Any]) -> Any:
    if len(values) != 1:
        raise wrong_count(resolve.__qualname__, len(values), 1)
    if isinstance(values[0], Exception):
        raise values[0]
    return values[0]


def wrong_count(name: str, values: int, parents: int) -> Exception:
    """The error of a batch resolver that did not give one value for each parent."""
    return RuntimeError(f"The batch resolver of {name} gave {values} values for {parents} parents.")
