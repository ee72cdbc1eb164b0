"""How a field's values are got from its parents: a constant, a plain attribute, a batch resolver, or one by one."""

from collections.abc import Callable, Sequence
from inspect import isawaitable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, TypeNameMetaFieldDef
from strawberry.types.field import StrawberryField

from execution.calls import DirectCall, InfoClass, direct_call, is_bare, lazy_info_class
from execution.fields import BATCH, WITHIN, Parents, definition_of, wrong_count

if TYPE_CHECKING:
    from execution.plans import Field
    from execution.run import Block, Run

# Gets a field's values, one for each of the block's objects; None when they come later, by way of a job.
Getter = Callable[["Run", "Block", "Field"], Sequence[Any] | None]


def getter_of(schema: GraphQLSchema, definition: GraphQLField, parent_type: GraphQLObjectType) -> Getter:
    """The cheapest way to get this field's values that does what Strawberry or graphql-core would do."""
    if definition is TypeNameMetaFieldDef:
        return _typename(parent_type.name)
    field = definition_of(definition)
    if field is None:
        return _one_by_one
    attribute = _attribute(schema, definition, field)
    if attribute is not None:
        return _plain(attribute)
    direct = direct_call(schema, definition, field)
    if BATCH not in field.metadata:
        return _one_by_one if direct is None else _one_by_one_directly(direct, field, schema)
    if direct is None:
        return _batch_through_strawberry
    batch: Callable[..., Any] = field.metadata[BATCH].resolve
    if direct.info_name is None and not direct.names:
        return _batch_of_parents(batch)
    return _batch(direct._replace(function=batch), field, schema)


def _attribute(schema: GraphQLSchema, definition: GraphQLField, field: StrawberryField) -> str | None:
    """The attribute that the field shows, dotted when within another; None when it does anything else."""
    if WITHIN in field.metadata and is_bare(schema, field):
        return f"{field.metadata[WITHIN]}.{field.python_name}"
    # Strawberry's name for the resolver of a field that has neither resolver, extension nor exception handler.
    name = getattr(definition.resolve, "__name__", None)
    if name == "_get_basic_result" and field.default_resolver is getattr:
        return field.python_name
    return None


def _typename(name: str) -> Getter:
    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any]:
        return [name] * len(block.sources)

    return get


def _plain(attribute: str) -> Getter:
    read = attrgetter(attribute)

    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any]:
        values: list[Any] = []
        sources = iter(block.sources)
        # Each is read once: what one property gave must not be thrown away because another one raised.
        while len(values) < len(block.sources):
            try:
                values.extend(map(read, sources))
            except Exception as error:
                values.append(error)
            else:
                if len(values) < len(block.sources):
                    values.append(StopIteration())  # raised by a property, it ends map
        return values

    return get


def _batch_of_parents(batch: Callable[..., Any]) -> Getter:
    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any] | None:
        try:
            outcome = batch(list(block.sources))
        except Exception as error:
            outcome = error
        return _values(run, block, field, outcome)

    return get


def _batch(call: DirectCall, definition: StrawberryField, schema: GraphQLSchema) -> Getter:
    make_info = lazy_info_class(schema)
    if call.info_name is not None and not call.names:
        return _batch_with_info(call.function, call.info_name, make_info, definition)

    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any] | None:
        try:
            info = make_info(run, block, field, definition, 0)
            outcome = call(list(block.sources), info, field.arguments(run.executor))
        except Exception as error:
            outcome = error
        return _values(run, block, field, outcome)

    return get


def _batch_with_info(
    batch: Callable[..., Any], info_name: str, make_info: InfoClass, definition: StrawberryField
) -> Getter:
    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any] | None:
        try:
            info = make_info(run, block, field, definition, 0)
            outcome = batch(list(block.sources), **{info_name: info})
        except Exception as error:
            outcome = error
        return _values(run, block, field, outcome)

    return get


def _batch_through_strawberry(run: "Run", block: "Block", field: "Field") -> Sequence[Any] | None:
    """As Strawberry calls any resolver: with its conversion of arguments, and its extensions."""
    resolve = field.definition.resolve
    assert resolve is not None
    try:
        info = run.info(field, run.spots(block, field).path(0))
        outcome = resolve(Parents(block.sources), info, **field.arguments(run.executor))
    except Exception as error:
        outcome = error
    return _values(run, block, field, outcome)


def _values(run: "Run", block: "Block", field: "Field", outcome: Any) -> Sequence[Any] | None:
    """What a batch resolver gave: values, or something to be awaited for them."""
    if type(outcome) is list and len(outcome) == len(block.sources):
        return outcome
    if isawaitable(outcome):
        run.later(outcome, lambda found: run.put(block, field, _one_for_each(found, block, field)), field)
        return None
    return _one_for_each(outcome, block, field)


def _one_for_each(outcome: Any, block: "Block", field: "Field") -> Sequence[Any]:
    count = len(block.sources)
    if isinstance(outcome, (list, tuple)):
        if len(outcome) == count:
            return outcome
        given = len(outcome)
    elif isinstance(outcome, Exception):
        return [outcome] * count
    else:
        given = 0
    return [wrong_count(f"{field.parent_type}.{field.nodes[0].name.value}", given, count)] * count


def _one_by_one(run: "Run", block: "Block", field: "Field") -> Sequence[Any]:
    """As graphql-core calls resolvers."""
    executor = run.executor
    resolve = field.definition.resolve or executor.field_resolver
    values: list[Any] = []
    arguments: dict[str, Any] | None = None
    for source, path in zip(block.sources, run.spots(block, field).paths, strict=True):
        try:
            given = field.arguments(executor) if arguments is None else arguments
            # Before the call: one that changes what it is given may raise after that.
            arguments = given if field.are_shared(given) else None
            values.append(resolve(source, run.info(field, path), **given))
        except Exception as error:
            values.append(error)
    return values


def _one_by_one_directly(call: DirectCall, definition: StrawberryField, schema: GraphQLSchema) -> Getter:
    """As Strawberry calls a resolver whose arguments need no conversion: they cannot be changed by it either."""
    make_info = lazy_info_class(schema)
    takes_info = call.info_name is not None

    def get(run: "Run", block: "Block", field: "Field") -> Sequence[Any]:
        values: list[Any] = []
        arguments: dict[str, Any] | None = None
        for index, source in enumerate(block.sources):
            try:
                if arguments is None:
                    arguments = field.arguments(run.executor)
                info = make_info(run, block, field, definition, index) if takes_info else None
                values.append(call(source, info, arguments))
            except Exception as error:
                values.append(error)
        return values

    return get
