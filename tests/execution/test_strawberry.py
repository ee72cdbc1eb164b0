"""What only Strawberry's schemas have: enums, casts, properties, extensions, and the executor it is given."""

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
import strawberry
from strawberry.extensions import SchemaExtension

import execution.executor
from execution import StrawberryBreadthFirstExecutor, attribute_field
from execution.run import Run


@strawberry.enum
class Twin(Enum):
    """Members that are equal to one another."""

    ONE = 1
    TWO = 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Twin)

    def __hash__(self) -> int:
        return 0


@dataclass
class Shade:
    """A value that cannot be hashed."""

    tone: str


@strawberry.enum
class Paint(Shade, Enum):
    """Members that cannot be hashed."""

    DARK = "dark"
    PALE = "pale"

    __hash__ = None  # type: ignore[assignment]  # that is the point


@strawberry.type
class Row:
    """Attributes of which one is a property that fails."""

    number: int

    @strawberry.field
    def twins(self) -> list[Twin]:
        return [Twin.ONE, Twin.TWO, Twin.ONE]

    @strawberry.field
    def paints(self) -> list[Paint]:
        return [Paint.DARK, Paint.PALE]


READ: list[int] = []


class Odd:
    """Stands for a Row, though its attributes do what they like."""

    def __init__(self, number: int) -> None:
        self.own = number

    @property
    def number(self) -> Any:
        READ.append(self.own)
        if self.own == 1:
            raise StopIteration
        if self.own == 2:
            raise ValueError("odd")

        async def later() -> int:
            return self.own

        return later()


@strawberry.type
class Shown:
    """Shows attributes of an attribute."""

    row: strawberry.Private[Any]
    number: int | None = attribute_field(within="row")


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def rows(self) -> list[Row]:
        return [Row(number=5)]

    @strawberry.field
    def odd(self) -> list[Row | None]:
        return [Odd(number) for number in (0, 1, 3, 2, 4)]  # type: ignore[misc]  # as an ORM's rows would be

    @strawberry.field
    def shown(self) -> list[Shown]:
        return [Shown(row=Row(number=7)), Shown(row=None)]


class Watching(SchemaExtension):
    """An extension that wraps the operation, and not each field."""

    def on_execute(self) -> Iterator[None]:
        yield


class Wrapping(SchemaExtension):
    """An extension that wraps each field."""

    def resolve(self, _next: Any, root: Any, info: Any, *arguments: Any, **words: Any) -> Any:
        found = _next(root, info, *arguments, **words)
        return found + 1 if isinstance(found, int) else found


OURS = strawberry.Schema(Query, execution_context_class=StrawberryBreadthFirstExecutor)


def both(text: str, extensions: Any = ()) -> Any:
    """The answer of both executors."""
    answers = []
    for chosen in (None, StrawberryBreadthFirstExecutor):
        schema = strawberry.Schema(Query, execution_context_class=chosen, extensions=list(extensions))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result: Any = asyncio.run(schema.execute(text))
        answers.append((result.data, [(error.message, error.path) for error in result.errors or ()]))
    assert answers[0][0] == answers[1][0]
    assert sorted(answers[0][1], key=repr) == sorted(answers[1][1], key=repr)
    return answers[1]


def test_it_is_this_executor_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    class Counted(Run):
        def __init__(self, executor: Any) -> None:
            runs.append(executor)
            super().__init__(executor)

    monkeypatch.setattr(execution.executor, "Run", Counted)
    asyncio.run(OURS.execute("{ rows { number } }"))
    assert len(runs) == 1
    watched = strawberry.Schema(
        Query, execution_context_class=StrawberryBreadthFirstExecutor, extensions=[Watching]
    )
    asyncio.run(watched.execute("{ rows { number } }"))
    assert len(runs) == 2
    wrapped = strawberry.Schema(
        Query, execution_context_class=StrawberryBreadthFirstExecutor, extensions=[Wrapping]
    )
    result = asyncio.run(wrapped.execute("{ rows { number } }"))
    assert len(runs) == 2
    assert result.data == {"rows": [{"number": 6}]}


def test_enums_whose_members_are_equal() -> None:
    both("{ rows { twins } }")


def test_enums_whose_members_cannot_be_hashed() -> None:
    both("{ rows { paints } }")


def test_each_property_is_read_once_whatever_the_others_do() -> None:
    READ.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, errors = both("{ odd { number } }")
    assert data == {"odd": [{"number": 0}, None, {"number": 3}, None, {"number": 4}]}
    assert errors == [("", ["odd", 1, "number"]), ("odd", ["odd", 3, "number"])]
    assert READ == [0, 1, 3, 2, 4] * 2


def test_attributes_of_attributes() -> None:
    data, errors = both("{ shown { number } }")
    assert data == {"shown": [{"number": 7}, {"number": None}]}
    assert errors == [("'NoneType' object has no attribute 'number'", ["shown", 1, "number"])]


def test_without_an_event_loop() -> None:
    result = OURS.execute_sync("{ rows { number twins } }")
    assert result.errors is None
    assert result.data is not None
    assert result.data["rows"][0]["number"] == 5
