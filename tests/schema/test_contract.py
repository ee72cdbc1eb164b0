"""The printed schema contains what other people's clients rely on (core.graphql), and every part of it is described."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    is_specified_scalar_type,
)

from schema.build import executable, sdl

CORE = Path(__file__).with_name("core.graphql")
PRINTED = Path(__file__).parents[2] / "schema" / "schema.graphql"

ROOTS = ("Query", "Mutation", "Subscription")


@pytest.fixture(scope="module")
def core() -> GraphQLSchema:
    return build_schema(CORE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def printed() -> GraphQLSchema:
    return build_schema(sdl())


def own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    """The types that a schema defines itself."""
    for name, type_ in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(type_):
            yield type_


def kind_of(type_: GraphQLNamedType) -> str:
    """Which kind of type it is, subclasses of an implementation aside."""
    kinds = (
        GraphQLObjectType,
        GraphQLInterfaceType,
        GraphQLInputObjectType,
        GraphQLEnumType,
        GraphQLScalarType,
        GraphQLUnionType,
    )
    return next(kind.__name__ for kind in kinds if isinstance(type_, kind))


def lines_of(schema: GraphQLSchema) -> set[str]:
    """What a schema promises, one sentence for each promise: kinds, fields, arguments, values and interfaces."""
    lines: set[str] = set()
    for type_ in own_types(schema):
        name = type_.name
        lines.add(f"{kind_of(type_)} {name}")
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            lines |= {f"{name} implements {interface.name}" for interface in type_.interfaces}
            for field_name, field in type_.fields.items():
                lines.add(f"{name}.{field_name}: {field.type}")
                lines |= {f"{name}.{field_name}({key}: {arg.type})" for key, arg in field.args.items()}
        elif isinstance(type_, GraphQLInputObjectType):
            lines |= {f"{name}.{key}: {field.type}" for key, field in type_.fields.items()}
        elif isinstance(type_, GraphQLEnumType):
            lines |= {f"{name}.{value}" for value in type_.values}
        elif isinstance(type_, GraphQLScalarType):
            lines.add(f"{name} @specifiedBy {type_.specified_by_url}")
    return lines


def test_the_printed_schema_contains_the_contract(core: GraphQLSchema, printed: GraphQLSchema) -> None:
    promised = lines_of(core)
    assert len(promised) > 200, "the contract was not read"
    assert sorted(promised - lines_of(printed)) == []


def test_what_is_executed_is_what_is_printed(printed: GraphQLSchema) -> None:
    assert lines_of(executable) == lines_of(printed)


def test_no_change_from_the_contract_breaks_a_client(core: GraphQLSchema, printed: GraphQLSchema) -> None:
    assert [change.description for change in find_breaking_changes(core, printed)] == []


def test_what_may_be_left_out_may_be_left_out(core: GraphQLSchema, printed: GraphQLSchema) -> None:
    """Arguments and input fields that the contract does not have are optional, whatever else they are."""
    required: list[str] = []
    for type_ in own_types(printed):
        known = core.type_map.get(type_.name)
        if isinstance(type_, GraphQLInputObjectType) and isinstance(known, GraphQLInputObjectType):
            required += [
                f"{type_.name}.{key}"
                for key, field in type_.fields.items()
                if key not in known.fields and str(field.type).endswith("!")
            ]
        if isinstance(type_, GraphQLObjectType) and isinstance(known, GraphQLObjectType):
            required += [
                f"{type_.name}.{name}({key})"
                for name, field in type_.fields.items()
                if name in known.fields
                for key, argument in field.args.items()
                if key not in known.fields[name].args and str(argument.type).endswith("!")
            ]
    assert required == []


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("  viewer: User\n", "Query.viewer: User"),
        ("(first: Int, after: String, last: Int, before: String)", "Query.homeTimeline(first: Int)"),
        ("  text: String!\n", "Post.text: String!"),
        ("RTL ", "TextDirection.RTL"),
        ("type Post implements Node", "Post implements Node"),
    ],
)
def test_a_loss_is_noticed(core: GraphQLSchema, loss: str, told: str) -> None:
    """The comparison itself: a schema that lost something is told apart."""
    text = CORE.read_text(encoding="utf-8")
    assert loss in text
    poorer = build_schema(text.replace(loss, loss.replace(" implements Node", "") if "Node" in loss else ""))
    assert told in lines_of(core) - lines_of(poorer)
    assert find_breaking_changes(core, poorer) != []


def described(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Everything that a reader of the manual looks at, with what it says."""

    def arguments(path: str, found: dict[str, GraphQLArgument]) -> Iterator[tuple[str, str | None]]:
        for name, argument in found.items():
            yield f"{path}({name})", argument.description

    for type_ in own_types(schema):
        yield type_.name, type_.description
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field.description
                yield from arguments(f"{type_.name}.{name}", field.args)
        elif isinstance(type_, GraphQLInputObjectType):
            for name, item in type_.fields.items():
                yield f"{type_.name}.{name}", item.description
        elif isinstance(type_, GraphQLEnumType):
            for name, value in type_.values.items():
                yield f"{type_.name}.{name}", value.description


def test_everything_is_described(printed: GraphQLSchema) -> None:
    """A sentence each: it begins like one and ends like one."""
    found = dict(described(printed))
    assert len(found) > 200
    assert [path for path, text in found.items() if not (text or "").strip()] == []
    unfinished = [path for path, text in found.items() if not re.search(r"[.…)]$", (text or "").strip())]
    assert unfinished == []


def test_nothing_says_what_it_is_in_another_types_words(printed: GraphQLSchema) -> None:
    """Each type has a description of its own; copies are how descriptions rot."""
    texts = [type_.description for type_ in own_types(printed) if type_.name not in ROOTS]
    assert len(texts) == len(set(texts))


def test_the_committed_print_is_the_codes() -> None:
    assert PRINTED.read_text(encoding="utf-8") == sdl(), "run `make schema` and commit schema/schema.graphql"
