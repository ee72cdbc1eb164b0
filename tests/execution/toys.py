"""Toy schemas for the oracle, made by a seed: every type of GraphQL, every nullability, lists three deep."""

import random
from functools import lru_cache
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
)
from graphql.pyutils import Undefined

from tests.execution.behaviours import Chest, Source, World

OBJECTS = ["A", "B", "C", "D"]
COMPOSITE = [*OBJECTS, "Node", "Named", "AB", "Any"]
LEAVES = ["Int", "Float", "String", "Boolean", "ID", "Colour", "Shape", "Odd"]
ARGUMENTS = [
    "(n: Int = 5)",
    "(n: Int! = 5, b: Boolean)",
    "(c: Colour! = RED, s: Shape)",
    '(f: Filter = {text: "d", sizes: [1]}, l: [Int!])',
    "(ll: [[Int]] = [[1], [2]], l: [Int!]! = [3])",
    "(p: Pick, o: Odd, i: ID)",
]
INPUTS = """
enum Colour { RED GREEN BLUE }
enum Shape { ROUND SQUARE }
scalar Odd
input Filter { text: String = "t", sizes: [Int!] = [1], colour: Colour = GREEN, inner: Filter, must: Int! = 2 }
input Pick @oneOf { text: String, number: Int }
"""


def signature(name: str, chance: random.Random) -> str:
    """A random type around a named one."""
    text = name + chance.choice(["", "", "!"])
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 3] if name in LEAVES else [0, 0, 1, 1, 2])):
        text = f"[{text}]" + chance.choice(["", "", "!"])
    return text


def definition(seed: int) -> str:
    """The SDL of a schema. A field's name decides its type, so that operations can merge whatever they like."""
    chance = random.Random(f"schema {seed}")
    pool: dict[str, str] = {}
    for kind in [*LEAVES, *LEAVES, *COMPOSITE, *COMPOSITE]:
        arguments = chance.choice(ARGUMENTS) if chance.random() < 0.3 else ""
        pool[f"f{len(pool)}"] = f"{arguments}: {signature(kind, chance)}"
    names = list(pool)

    def some(low: int, high: int) -> set[str]:
        return set(chance.sample(names, chance.randint(low, high)))

    def body(fields: set[str]) -> str:
        return "{ " + " ".join(f"{name}{pool[name]}" for name in names if name in fields) + " }"

    node = some(2, 4)
    named = node | some(1, 3)
    parts = [INPUTS]
    parts.append(f"interface Node {body(node)}")
    parts.append(f"interface Named implements Node {body(named)}")
    parts.append(f"type A implements Node & Named {body(named | some(6, 12))}")
    parts.append(f"type B implements Node & Named {body(named | some(6, 12))}")
    parts.append(f"type C implements Node {body(node | some(6, 12))}")
    parts.append(f"type D {body(some(4, 10))}")
    parts.append(f"type Loner {body(some(2, 3))}")
    parts += ["union AB = A | B", "union Any = A | C | D"]
    parts.append(f"type Query {body(some(14, len(names)))}")
    parts.append(f"type Mutation {body(some(8, 14))}")
    parts.append(f"type Subscription {body(some(8, 14))}")
    return "\n".join(parts)


class Toy:
    """A built schema, and what its functions find in the context: the World of the case."""

    def __init__(self, seed: int) -> None:
        self.text = definition(seed)
        self.schema = build_schema(self.text)
        self.members = {
            name: [type_.name for type_ in self.schema.get_possible_types(_abstract(self.schema, name))]
            for name in ("Node", "Named", "AB", "Any")
        }
        chance = random.Random(f"functions {seed}")
        shape, odd = self.schema.type_map["Shape"], self.schema.type_map["Odd"]
        assert isinstance(shape, GraphQLEnumType)
        assert isinstance(odd, GraphQLScalarType)
        for number, value in enumerate(shape.values.values()):
            value.value = [number]
        shape.__dict__.pop("_value_lookup", None)
        odd.coerce_output_value = coerce_odd
        for type_ in list(self.schema.type_map.values()):
            if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
                self._equip(type_, chance)
            elif isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)) and chance.random() < 0.6:
                waits = chance.random() < 0.5
                type_.resolve_type = lambda value, info, _type, waits=waits: info.context.resolve_type(
                    value, waits
                )

    def _equip(self, type_: GraphQLObjectType, chance: random.Random) -> None:
        if type_.name in OBJECTS and chance.random() < 0.5:
            waits = chance.random() < 0.5
            type_.is_type_of = lambda value, info, name=type_.name, waits=waits: info.context.is_type_of(
                value, name, waits
            )
        for field in type_.fields.values():
            if chance.random() < 0.8:
                field.resolve = resolve


def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """The resolver of most fields, and the one that executors are given for the rest."""
    world: World = info.context
    return world.call(source, info, arguments)


def coerce_odd(value: Any) -> Any:
    """A scalar whose values decide what becomes of them."""
    if value == "!raise":
        raise ValueError("cannot be told")
    return {"!none": None, "!undefined": Undefined}.get(value, value) if isinstance(value, str) else value


def root_of(world: World, name: str, chance: random.Random) -> Any:
    """A root value."""
    source = Source(world, "root", name)
    return chance.choice([None, source, Chest(source, None)])


def _abstract(schema: GraphQLSchema, name: str) -> Any:
    return schema.type_map[name]


@lru_cache(maxsize=64)
def toy(seed: int) -> Toy:
    """The toy schema of this seed."""
    return Toy(seed)
