"""Scalars that leave some values alone, and infos of one's own class: as Strawberry answers, with fewer calls."""

import asyncio
from dataclasses import dataclass
from typing import Any, NewType

import strawberry
from strawberry.schema.config import StrawberryConfig

from execution import StrawberryBreadthFirstExecutor, batch_field, keeps

WRITTEN: list[object] = []
COLUMNS: dict[str, list[Any]] = {
    "ready": ["1 m", "2 m", None],
    "mixed": ["1 m", 2, 13],
    "made": [1, 2, 13],
}

Length = NewType("Length", str)


@keeps(str)
def write(value: object) -> str:
    """A length with its unit."""
    WRITTEN.append(value)
    if value == 13:
        raise ValueError("unlucky")
    return value if isinstance(value, str) else f"{value} m"


@strawberry.type
class Board:
    """Has a length."""

    number: strawberry.Private[int]

    @batch_field()
    @staticmethod
    def length(boards: "list[Board]", column: str) -> list[Length | None]:
        return [COLUMNS[column][board.number] for board in boards]


@dataclass
class OwnInfo(strawberry.Info[Any, Any]):
    """Knows one thing more."""

    more: str = ""

    def __post_init__(self) -> None:
        self.more = f"{self.field_name} more"


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def boards(self) -> list[Board]:
        return [Board(number=number) for number in range(3)]

    @strawberry.field
    def told(self, info: OwnInfo) -> str:
        return f"{info.more}, {info.path.key}"


def both(document: str) -> tuple[Any, list[object], list[object]]:
    """The data, which is the same by both, and what each of them had to write."""
    found, calls = [], []
    config = StrawberryConfig(
        scalar_map={Length: strawberry.scalar(name="Length", serialize=write)}, info_class=OwnInfo
    )
    for executor in (None, StrawberryBreadthFirstExecutor):
        given: dict[str, Any] = {} if executor is None else {"execution_context_class": executor}
        WRITTEN.clear()
        result = asyncio.run(strawberry.Schema(Query, config=config, **given).execute(document))
        found.append((result.data, [(error.message, error.path) for error in result.errors or ()]))
        calls.append(list(WRITTEN))
    assert found[0] == found[1]
    return found[0], calls[0], calls[1]


def test_what_is_kept_is_not_written() -> None:
    found, stock, ours = both('{ boards { length(column: "ready") } }')
    assert found == ({"boards": [{"length": "1 m"}, {"length": "2 m"}, {"length": None}]}, [])
    assert stock == ["1 m", "2 m"]
    assert ours == []


def test_anything_else_among_it_is() -> None:
    for column in ("mixed", "made"):
        _, stock, ours = both(f'{{ boards {{ length(column: "{column}") }} }}')
        assert stock == ours == COLUMNS[column]


def test_infos_of_a_class_of_ones_own() -> None:
    found, _, _ = both("{ told again: told }")
    assert found == ({"told": "told more, told", "again": "told more, again"}, [])
