"""Cases whose operations hypothesis-graphql writes: against the toy schemas, and against Maydan's printed one."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLSchema, GraphQLUnionType, build_schema, parse
from hypothesis import strategies as st
from hypothesis_graphql import mutations as written_mutations
from hypothesis_graphql import nodes, queries

from tests.execution.behaviours import World
from tests.execution.cases import Case
from tests.execution.toys import resolve, root_of, toy

PRINTED = Path(__file__).parents[2] / "schema" / "schema.graphql"


@lru_cache
def printed() -> GraphQLSchema:
    """Maydan's schema without any of its code."""
    return build_schema(PRINTED.read_text())


def members_of(schema: GraphQLSchema) -> dict[str, list[str]]:
    """The object types that stand behind each abstract type."""
    return {
        type_.name: [possible.name for possible in schema.get_possible_types(type_)]
        for type_ in schema.type_map.values()
        if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType))
    }


def resolve_type(value: Any, info: Any, _type: object) -> Any:
    """Tells the type of a value of an abstract type."""
    return info.context.resolve_type(value, True)


@lru_cache
def written(number: int | None, kind: str) -> Any:
    """A strategy for operations; no number is Maydan's schema."""
    schema = printed() if number is None else toy(number).schema
    scalars = {"DateTime": st.just(nodes.String("2026-01-01T00:00:00.000000Z")), "Odd": st.just(nodes.Int(7))}
    write = queries if kind == "query" else written_mutations
    known = {name: strategy for name, strategy in scalars.items() if name in schema.type_map}
    return write(schema, custom_scalars=known, allow_null=True)


def generated_case(number: int | None, kind: str, text: str, seed: int, waits: bool, wild: float) -> Case:
    """The case of an operation that hypothesis-graphql wrote."""
    schema = printed() if number is None else toy(number).schema
    members = members_of(schema)

    def world() -> World:
        found = World(seed, waits=waits, wild=wild)
        found.members = members
        return found

    chance_seed = f"root {seed}"
    return Case(
        f"{'Maydan' if number is None else f'toy schema {number}'} with seed {seed} and wildness {wild}",
        schema,
        parse(text),
        kind,
        {},
        world,
        lambda world: root_of(world, kind.title(), world.chance(chance_seed)),
        waits,
        {"field_resolver": resolve, "type_resolver": resolve_type},
    )
