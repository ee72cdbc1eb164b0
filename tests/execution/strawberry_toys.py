"""A toy schema that Strawberry builds: plain attributes, resolvers, interfaces, unions, casts, enums, input types."""

import random
from enum import Enum
from typing import Annotated, Any, ClassVar, Union

import strawberry
from graphql import GraphQLError, parse
from graphql.execution import Executor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution import StrawberryBreadthFirstExecutor
from tests.execution.behaviours import World
from tests.execution.cases import Case
from tests.execution.operations import Writer


@strawberry.enum
class Colour(Enum):
    """Two of its names are one member."""

    RED = "red"
    CRIMSON = "red"  # noqa: PIE796 - an alias is meant
    GREEN = 2


@strawberry.enum
class Level(Enum):
    """Its members are equal to each other."""

    LOW = 1
    HIGH = 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Level)

    def __hash__(self) -> int:
        return 1


@strawberry.input
class Filter:
    """An input type with defaults."""

    text: str | None = "t"
    sizes: list[int] = strawberry.field(default_factory=lambda: [1])
    colour: Colour | None = Colour.GREEN
    inner: Union["Filter", None] = None


class Toy:
    """What the types have in common: attributes are made up when they are read."""

    is_source: ClassVar[bool] = True
    world: ClassVar[Any]
    identity: ClassVar[Any]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity}>"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("f") or not name[1:].isdigit():
            raise AttributeError(name)
        own = vars(self)
        return own["world"].attribute(own["kind"], name, own["identity"])


class Foreign(Toy):
    """Not a type of the schema, though it has all attributes."""


def _ask(source: Any, info: strawberry.Info, **arguments: Any) -> Any:
    raw: Any = info._raw_info
    return info.context.call(source, raw, arguments)


@strawberry.interface
class Node(Toy):
    """An interface with plain attributes and resolvers."""

    f0: strawberry.ID
    f1: str | None

    @strawberry.field
    def f2(self, info: strawberry.Info) -> int | None:
        return _ask(self, info)  # type: ignore[no-any-return]  # whatever it is


@strawberry.interface
class Named(Node):
    """An interface below an interface."""

    f3: list[str | None] | None
    f4: Union["A", None]


@strawberry.type
class A(Named):
    """An object type."""

    f5: Colour
    f6: list[list[int | None]] | None
    f7: list["B"]

    @strawberry.field
    async def f8(self, info: strawberry.Info, n: int = 5, c: Colour | None = Colour.RED) -> str | None:
        return await _awaited(_ask(self, info, n=n, c=c))  # type: ignore[no-any-return]  # whatever it is


@strawberry.type
class B(Named):
    """Another one."""

    f9: Level | None
    f10: float | None
    f11: list[Node | None] | None

    @strawberry.field
    def f12(self, info: strawberry.Info, f: Filter | None = None, s: str | None = None) -> list[Named | None]:
        return _ask(self, info, f=f, s=s)  # type: ignore[no-any-return]  # whatever it is


@strawberry.type
class C:
    """An object type that belongs to a union only, and may be anything."""

    f13: bool
    f14: Annotated[Union[A, "C"], strawberry.union("AC")] | None
    f15: list[Annotated[Union[A, B, "C"], strawberry.union("Any")]] | None

    is_source: ClassVar[bool] = True
    __getattr__ = Toy.__getattr__
    __repr__ = Toy.__repr__

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> Any:
        """As the world wants it."""
        return info.context.is_type_of(value, "C", False)


class Root:
    """The fields that all roots have."""


def _fields() -> Any:
    @strawberry.field
    def f16(self: Any, info: strawberry.Info) -> A | None:
        return _ask(self, info)  # type: ignore[no-any-return]  # whatever it is

    @strawberry.field
    async def f17(self: Any, info: strawberry.Info, n: int | None = 3) -> list[Node | None]:
        return await _awaited(_ask(self, info, n=n))  # type: ignore[no-any-return]  # whatever it is

    @strawberry.field
    def f18(self: Any, info: strawberry.Info) -> list[list[B | None]] | None:
        return _ask(self, info)  # type: ignore[no-any-return]  # whatever it is

    @strawberry.field
    def f19(self: Any, info: strawberry.Info, f: Filter) -> C | None:
        return _ask(self, info, f=f)  # type: ignore[no-any-return]  # whatever it is

    @strawberry.field
    def f20(self: Any, info: strawberry.Info) -> Annotated[A | B | C, strawberry.union("Any")] | None:
        return _ask(self, info)  # type: ignore[no-any-return]  # whatever it is

    @strawberry.field
    async def f21(self: Any, info: strawberry.Info) -> int:
        return await _awaited(_ask(self, info))  # type: ignore[no-any-return]  # whatever it is

    return {"f16": f16, "f17": f17, "f18": f18, "f19": f19, "f20": f20, "f21": f21}


async def _awaited(value: Any) -> Any:
    return await value if hasattr(type(value), "__await__") else value


def _root(name: str) -> Any:
    return strawberry.type(type(name, (), _fields()))


schema = strawberry.Schema(_root("Query"), _root("Mutation"), types=[A, B, C])
CLASSES = {"A": A, "B": B, "C": C}


class StrawberryWorld(World):
    """Makes instances of Strawberry's classes, and what may stand for them."""

    members = {"Node": ["A", "B"], "Named": ["A", "B"], "AC": ["A", "C"], "Any": ["A", "B", "C"]}  # noqa: RUF012 - never changed

    def attribute(self, kind: str, name: str, identity: str) -> Any:
        """What an attribute of an object has."""
        type_: Any = schema._schema.type_map[kind]
        field = type_.fields.get(name)
        if field is None:
            raise AttributeError(name)
        return self.value(field.type, f"{identity}.{name}")

    def object(self, name: str, identity: str, chance: random.Random) -> Any:
        """An instance, a foreign object, or one cast to a type."""
        draw = chance.random()
        made: Any = CLASSES[name] if draw > self.wild * 0.2 else Foreign
        found = made.__new__(made)
        found.__dict__.update(world=self, identity=identity, kind=name, typename=name)
        if draw < self.wild * 0.1 or chance.random() < 0.1:
            strawberry.cast(CLASSES[chance.choice([name, name, "B"])], found)
        return found

    def failure(self, identity: str, chance: random.Random) -> Any:
        """As any world, but for what Strawberry's wrappers make of StopIteration in a coroutine."""
        if chance.random() < 0.3:
            raise GraphQLError(f"refused by {identity}", extensions={"code": "NO"})
        return super().failure(identity, chance)


def strawberry_case(seed: int) -> Case:
    """A case with the schema of Strawberry."""
    chance = random.Random(f"strawberry case {seed}")
    wild = chance.choice([0.0, 0.2, 0.6, 1.0])
    writer = Writer(schema._schema, chance)
    text, kind = writer.document()

    return Case(
        f"strawberry case {seed}",
        schema._schema,
        parse(text),
        kind,
        writer.variables,
        lambda: StrawberryWorld(seed, waits=True, wild=wild),
        lambda _world: None,
        True,
        {},
        _Stock,
        StrawberryBreadthFirstExecutor,
    )


class _Stock(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's own executor."""


assert issubclass(_Stock, Executor)
