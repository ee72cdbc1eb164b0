"""What the fields of the oracle's toy schemas do: drawn by a seed from type, field and source, never from a clock.

Both executors ask the same questions of the same sources, so both see the same values, exceptions and awaitables.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLUnionType,
)
from graphql.pyutils import Undefined

Made = Callable[[], Any]


class Text(str):
    """A string, but not exactly."""

    __slots__ = ()


class Number(int):
    """An integer, but not exactly."""


class Later:
    """Awaitable without being a coroutine or a future."""

    def __init__(self, make: Made, turns: int) -> None:
        self.make, self.turns = make, turns

    def __await__(self) -> Generator[Any, None, Any]:
        for _ in range(self.turns):
            yield None
        return self.make()


class Source:
    """A parent object. What it does follows from its identity."""

    is_source = True

    def __init__(self, world: "World", identity: str, typename: str) -> None:
        self.world, self.identity, self.typename = world, identity, typename

    def __repr__(self) -> str:
        return f"<{self.typename} {self.identity}>"

    @property
    def _Source__typename(self) -> Any:
        return self.world.claimed_type(self)

    def __getattr__(self, name: str) -> Any:
        """What graphql-core's default resolver looks for: a function of this field's name."""
        if not name.startswith("f") or not name[1:].isdigit():
            raise AttributeError(name)
        return lambda info, **arguments: self.world.call(self, info, arguments)


class Chest(dict[str, Any]):
    """A parent object that is a mapping."""

    def __init__(self, source: Source, typename: object) -> None:
        super().__init__({} if typename is None else {"__typename": typename})
        self.source = source

    def __repr__(self) -> str:
        return f"<chest {self.source!r}>"

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, default) if key == "__typename" else getattr(self.source, key)


GOOD: dict[str, list[Any]] = {
    "Int": [0, 1, -7, 2**31 - 1, -(2**31)],
    "Float": [0.5, -1.0, 3.25, 1e300],
    "String": ["", "word", "سوق"],
    "Boolean": [True, False],
    "ID": ["a1", "7"],
    "Odd": ["as it is", 3, 1.5, {"a": [1]}, [1, 2]],
}
STRANGE_NUMBERS: list[Any] = [
    2**31,
    -(2**31) - 1,
    10**400,
    1.0,
    2.5,
    float("nan"),
    float("inf"),
    True,
    Number(2**40),
    "12",
]
STRANGE: list[Any] = [
    *STRANGE_NUMBERS,
    1,
    0,
    "",
    "word",
    Text("text"),
    Number(5),
    [],
    {},
    b"bytes",
    ("RED",),
    {"a"},
    GraphQLError,
    "!raise",
    "!none",
    "!undefined",
]


class World:
    """One case: the seed, how wild it is, and the calls that were made in it."""

    def __init__(self, seed: int, *, waits: bool, wild: float) -> None:
        self.seed, self.waits, self.wild = seed, waits, wild
        self.calls: list[tuple[Any, ...]] = []

    def chance(self, *key: object) -> random.Random:
        """A generator of choices that belong to this key."""
        return random.Random(f"{self.seed}|{key}")

    def call(self, source: object, info: GraphQLResolveInfo[Any], arguments: dict[str, Any]) -> Any:
        """What a resolver does."""
        path: list[Any] = []
        step = info.path
        at: Any = step
        while at is not None:
            path.append((at.key, at.typename))
            at = at.prev
        told = (str(info.return_type), len(info.field_nodes), info.operation.operation.value)
        given = repr(sorted(arguments.items()))
        self.calls.append((info.parent_type.name, info.field_name, given, tuple(reversed(path)), told))
        for value in arguments.values():
            if (
                type(value) is list and 77 in value
            ):  # never from a variable or a default, which calls may share
                value.append(78)
        identity = _identity(source)
        return self.value(info.return_type, f"{identity}.{info.field_name}({given})")

    def value(self, type_: Any, identity: str, depth: int = 0, inside: bool = False) -> Any:
        """A value for this type, or what comes in its place."""
        chance = self.chance(type_, identity)
        if self.waits and chance.random() < (0.15 if inside else 0.3):
            return self.awaitable(lambda: self.plain(type_, identity, chance, depth), chance)
        return self.plain(type_, identity, chance, depth)

    def awaitable(self, make: Made, chance: random.Random) -> Awaitable[Any]:
        """Something to be awaited that does this."""
        turns = chance.choice([0, 0, 1, 3])
        kind = chance.randrange(4)
        if kind == 0:
            return Later(make, turns)
        if kind == 1:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(_settle, future, make)
            return future
        return _coroutine(make, turns)

    def plain(self, type_: Any, identity: str, chance: random.Random, depth: int) -> Any:
        """A value that need not be awaited; may raise."""
        draw = chance.random()
        nullable = not isinstance(type_, GraphQLNonNull)
        if nullable:
            if draw < 0.1 + self.wild * 0.1:
                return None if draw < 0.09 else Undefined
        elif draw < self.wild * 0.04:
            return chance.choice([None, Undefined])
        if draw > 1 - self.wild * 0.12:
            return self.failure(identity, chance)
        if nullable:
            return self.present(type_, identity, chance, depth)
        return self.present(type_.of_type, identity, chance, depth)

    def failure(self, identity: str, chance: random.Random) -> Any:
        """Raise, or give an exception in place of a value."""
        kind = chance.randrange(8)
        if kind == 0:
            return ValueError(f"returned by {identity}")
        if kind == 1:
            return GraphQLError(f"told by {identity}", extensions={"code": "ODD"})
        if kind == 2 and not self.waits:
            raise GraphQLError("from elsewhere", path=["else", 0])
        if kind == 3:
            raise StopIteration
        if kind == 4:
            raise AttributeError(f"no {identity}")
        raise RuntimeError(f"raised by {identity}")

    def present(self, type_: Any, identity: str, chance: random.Random, depth: int) -> Any:
        """A value that is there."""
        if isinstance(type_, GraphQLList):
            return self.items(type_.of_type, identity, chance, depth)
        numeric = type_.name in ("Int", "Float")
        if chance.random() < self.wild * (0.3 if numeric else 0.1):
            return chance.choice(STRANGE_NUMBERS if numeric and chance.random() < 0.7 else STRANGE)
        if isinstance(type_, GraphQLEnumType):
            return chance.choice(list(type_.values.values())).value
        if isinstance(type_, GraphQLObjectType):
            return self.object(type_.name, identity, chance)
        if isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType)):
            return self.object(chance.choice(self.members[type_.name]), identity, chance)
        return chance.choice(GOOD.get(type_.name, GOOD["String"]))

    members: dict[str, list[str]]

    def object(self, name: str, identity: str, chance: random.Random) -> Any:
        """A parent object of the type with this name."""
        source = Source(self, identity, name)
        return Chest(source, self.claimed_type(source)) if chance.random() < 0.15 else source

    def items(self, type_: Any, identity: str, chance: random.Random, depth: int) -> Any:
        """A list, or another thing that has items, or neither."""
        size = chance.choice([0, 1, 2, 3] if depth == 0 else [0, 1, 2])

        def make(index: int) -> Any:
            return _caught(lambda: self.value(type_, f"{identity}[{index}]", depth + 1, inside=True))

        def generator(broken: bool) -> Iterator[Any]:
            for index in range(size):
                yield make(index)
            if broken:
                raise RuntimeError(f"{identity} broke off")

        async def stream(broken: bool) -> Any:
            for index in range(size):
                if chance.random() < 0.5:
                    await asyncio.sleep(0)
                yield make(index)
            if broken:
                raise RuntimeError(f"{identity} broke off")

        kind = chance.random()
        if kind < 0.55:
            return [make(index) for index in range(size)]
        if kind < 0.65:
            return tuple([make(index) for index in range(size)])
        if kind < 0.72:
            return generator(False)
        if kind < 0.76:
            return generator(self.wild > 0)
        if kind < 0.80:
            return dict(enumerate([make(index) for index in range(size)])).values()
        if kind < 0.84:
            return deque([make(index) for index in range(size)])
        if kind < 0.94 and self.waits:
            return stream(self.wild > 0 and kind < 0.88)
        if kind > 1 - self.wild * 0.05:
            return chance.choice(["a string", {"a": 1}, 5, b"bytes", object])
        return [make(index) for index in range(size)]

    def claimed_type(self, source: Any) -> Any:
        """What a parent object says its type is."""
        identity, typename = _identity(source), getattr(_of(source), "typename", None)
        chance = self.chance("claims", identity)
        if chance.random() >= self.wild * 0.15:
            return typename
        return chance.choice([None, "Missing", "Node", "Colour", "String", "Loner", "Query"])

    def resolve_type(self, source: Any, waits: bool) -> Any:
        """What a resolve_type function answers."""
        chance = self.chance("resolves", _identity(source))

        def answer() -> Any:
            if chance.random() < self.wild * 0.1:
                if chance.random() < 0.5:
                    raise RuntimeError(f"no type for {_identity(source)}")
                return chance.choice([5, GraphQLError("an answer"), Undefined, ["A"]])
            return self.claimed_type(source)

        if self.waits and waits and chance.random() < 0.5:
            return self.awaitable(answer, chance)
        return answer()

    def is_type_of(self, source: Any, name: str, waits: bool) -> Any:
        """What an is_type_of function answers."""
        chance = self.chance("is", name, _identity(source))

        def answer() -> Any:
            draw = chance.random()
            if draw < self.wild * 0.06:
                raise RuntimeError(f"cannot say whether {_identity(source)} is {name}")
            if draw < self.wild * 0.12:
                return chance.choice([None, 0, "yes", ValueError("an answer"), Undefined])
            return getattr(_of(source), "typename", None) == name

        if self.waits and waits and chance.random() < 0.4:
            return self.awaitable(answer, chance)
        return answer()


def _of(source: Any) -> Any:
    return source.source if isinstance(source, Chest) else source


def _identity(source: Any) -> str:
    found = _of(source)
    return found.identity if hasattr(type(found), "is_source") else repr(found)


def _caught(make: Made) -> Any:
    try:
        return make()
    except Exception as error:
        return error


async def _coroutine(make: Made, turns: int) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    return make()


def _settle(future: "asyncio.Future[Any]", make: Made) -> None:
    if future.cancelled():
        return
    try:
        future.set_result(make())
    except StopIteration:
        future.set_exception(RuntimeError("a future cannot hold StopIteration"))
    except Exception as error:
        future.set_exception(error)
    future.exception()  # seen: in a parent that is nulled nobody may ask for it
