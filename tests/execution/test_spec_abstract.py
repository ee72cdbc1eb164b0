"""Interfaces and unions, as GraphQL's reference implementation tests them: how the type of a value is found."""

from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from tests.execution.asking import Given, ask, soon

SDL = """
interface Pet { name: String }
type Dog implements Pet { name: String, woofs: Boolean, friends: [Pet] }
type Cat implements Pet { name: String, meows: Boolean }
type Stone { name: String }
union DogOrCat = Dog | Cat
type Query { pet: Pet, pets: [Pet], one: DogOrCat, stone: Stone }
"""
DOG, CAT = Given(name="Odie", woofs=True, kind="Dog"), Given(name="Garfield", meows=False, kind="Cat")
PETS = "{ pets { __typename name ... on Dog { woofs } ...C } } fragment C on Cat { meows }"
SEEN = {
    "pets": [
        {"__typename": "Dog", "name": "Odie", "woofs": True},
        {"__typename": "Cat", "name": "Garfield", "meows": False},
    ]
}


def schema_with(resolve_type: Any = None, is_type_of: Any = None) -> GraphQLSchema:
    schema: Any = build_schema(SDL)
    for name in ("Pet", "DogOrCat"):
        schema.type_map[name].resolve_type = resolve_type
    for name in ("Dog", "Cat", "Stone"):
        type_: GraphQLObjectType = schema.type_map[name]
        if is_type_of:
            type_.is_type_of = lambda value, info, name=name: is_type_of(value, name)
    return schema  # type: ignore[no-any-return]  # it is one


WAYS: dict[str, dict[str, Any]] = {
    "resolve_type": {"resolve_type": lambda value, info, type_: value.kind},
    "resolve_type, awaited": {"resolve_type": lambda value, info, type_: soon(value.kind)},
    "is_type_of": {"is_type_of": lambda value, name: value.kind == name},
    "is_type_of, awaited": {"is_type_of": lambda value, name: soon(value.kind == name)},
}


@pytest.mark.parametrize("way", WAYS)
async def test_each_value_has_the_fields_of_its_type(way: str) -> None:
    assert await ask(schema_with(**WAYS[way]), PETS, {"pets": [DOG, CAT]}) == (SEEN, [])
    assert await ask(schema_with(**WAYS[way]), "{ one { ... on Pet { name } } }", {"one": CAT}) == (
        {"one": {"name": "Garfield"}},
        [],
    )


async def test_a_value_may_name_its_type() -> None:
    named = [{"__typename": "Dog", "name": "Odie", "woofs": True}, {"__typename": "Cat", "name": "Garfield"}]
    data, errors = await ask(SDL, PETS, {"pets": named})
    assert errors == []
    assert data["pets"][1] == {"__typename": "Cat", "name": "Garfield", "meows": None}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "Abstract type 'Pet' must resolve to an Object type at runtime for field 'Query.pet'."),
        ("Fish", "Abstract type 'Pet' was resolved to a type 'Fish' that does not exist inside the schema."),
        ("String", "Abstract type 'Pet' was resolved to a non-object type 'String'."),
        ("Pet", "Abstract type 'Pet' was resolved to a non-object type 'Pet'."),
        ("Stone", "Runtime Object type 'Stone' is not a possible type for 'Pet'."),
        (["Dog"], "received '['Dog']', which is not a valid Object type name."),
        (ValueError("returned"), "which is not a valid Object type name."),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
async def test_a_wrong_answer_is_told(answer: Any, text: str, waits: bool) -> None:
    async def given() -> Any:
        return answer

    schema = schema_with(resolve_type=lambda value, info, type_: given() if waits else answer)
    data, errors = await ask(schema, "{ pet { name } }", {"pet": DOG})
    assert data == {"pet": None}
    assert [path for _, path in errors] == [["pet"]]
    assert text in errors[0][0]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_type_that_cannot_be_found_fails_one_item(waits: bool) -> None:
    async def raise_it() -> Any:
        raise RuntimeError("cannot tell")

    def resolve_type(value: Any, info: Any, type_: Any) -> Any:
        if value is CAT:
            if waits:
                return raise_it()
            raise RuntimeError("cannot tell")
        return soon("Dog") if waits else "Dog"

    assert await ask(schema_with(resolve_type), PETS, {"pets": [DOG, CAT, DOG]}) == (
        {"pets": [SEEN["pets"][0], None, SEEN["pets"][0]]},
        [("cannot tell", ["pets", 1])],
    )


@pytest.mark.parametrize("answer", [False, None, soon])
async def test_an_object_that_is_not_of_its_fields_type(answer: Any) -> None:
    schema = schema_with(is_type_of=lambda value, name: soon(False) if answer is soon else answer)
    data, errors = await ask(schema, "{ stone { name } }", {"stone": DOG})
    assert data == {"stone": None}
    assert errors == [("Expected value of type 'Stone' but got: <Given instance>.", ["stone"])]


async def test_a_resolve_type_is_told_the_field_and_not_the_item() -> None:
    paths = []

    def resolve_type(value: Any, info: Any, type_: Any) -> str:
        paths.append((info.path.as_list(), info.field_name, type_.name))
        return "Dog"

    await ask(schema_with(resolve_type), "{ pets { name } }", {"pets": [DOG, DOG]})
    assert paths == [(["pets"], "pets", "Pet")] * 4


async def test_introspection_knows_the_possible_types() -> None:
    union = '__type(name: "DogOrCat") { kind possibleTypes { name } fields { name } }'
    text = f"{{ {union} __schema {{ queryType {{ name }} }} }}"
    assert await ask(SDL, text) == (
        {
            "__type": {"kind": "UNION", "possibleTypes": [{"name": "Dog"}, {"name": "Cat"}], "fields": None},
            "__schema": {"queryType": {"name": "Query"}},
        },
        [],
    )


async def test_fragments_apply_by_interface_and_by_type_and_at_any_depth() -> None:
    root = {"pet": Given(name="Odie", kind="Dog", friends=[CAT, None, DOG], woofs=False)}
    text = (
        "{ pet { ... on Dog { friends { ... on Pet { name ... on Cat { meows } } ... on Dog { woofs } } } } }"
    )
    assert await ask(schema_with(lambda value, *_: value.kind), text, root) == (
        {"pet": {"friends": [{"name": "Garfield", "meows": False}, None, {"name": "Odie", "woofs": True}]}},
        [],
    )
