"""What every noun uses: the info class, arguments, Node and PageInfo."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import strawberry

from execution import attribute_field, batch_field
from resolvers.context import Context
from resolvers.paging import Item, Page, encode_cursor, encode_cursors

Row = TypeVar("Row")
Info = strawberry.Info[Context, None]

First = Annotated[
    int | None,
    strawberry.argument(description="How many items, from 0 to 100; 20 when absent. Goes with `after`."),
]
After = Annotated[
    str | None,
    strawberry.argument(description="Continue below this cursor (an `endCursor`, or an edge's `cursor`)."),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="How many items right above `before`; without it, from the oldest end. 0 to 100."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(description="Only what stands above this cursor: in a timeline, what is newer."),
]


ID = "Unique across all types, and opaque: store it, compare it, never take it apart."


@strawberry.interface(description="Something with an ID that can be fetched again with `node(id:)`.")
class Node:
    @batch_field(description=ID)
    @staticmethod
    def id(nodes: "Sequence[Node]") -> list[strawberry.ID]:
        raise NotImplementedError("every type that is a Node has its own")


class OverRow(Protocol[Row]):
    """A type that shows a row."""

    row: Row


def rows_of(objects: Iterable[OverRow[Row]]) -> list[Row]:
    """The rows that the objects show."""
    return [shown.row for shown in objects]


def stored(description: str) -> Any:
    """A field that shows what the type's row holds under the field's name."""
    return attribute_field(within="row", description=description)


@strawberry.type(description="Where a page stands in its list. Both flags are right in both directions.")
class PageInfo:
    page: strawberry.Private[Page[Any]]
    kind: strawberry.Private[str]

    @batch_field(description="Whether something that the viewer may see follows below this page.")
    @staticmethod
    def has_next_page(infos: "Sequence[PageInfo]") -> list[bool]:
        return [info.page.has_next for info in infos]

    @batch_field(description="Whether something that the viewer may see stands above this page.")
    @staticmethod
    def has_previous_page(infos: "Sequence[PageInfo]") -> list[bool]:
        return [info.page.has_previous for info in infos]

    @batch_field(
        description="The first edge's cursor: give it as `before` for what is above. Null on an empty page."
    )
    @staticmethod
    def start_cursor(infos: "Sequence[PageInfo]") -> list[str | None]:
        return [
            encode_cursor(info.kind, info.page.items[0].position) if info.page.items else None
            for info in infos
        ]

    @batch_field(
        description="The last edge's cursor: give it as `after` for the next page. Null on an empty page."
    )
    @staticmethod
    def end_cursor(infos: "Sequence[PageInfo]") -> list[str | None]:
        return [
            encode_cursor(info.kind, info.page.items[-1].position) if info.page.items else None
            for info in infos
        ]


class Edge(Protocol):
    """An edge over an item of a page."""

    item: Item[Any]
    kind: str


def cursors_of(edges: Sequence[Edge]) -> list[str]:
    """The cursors of edges in lists of one kind."""
    return encode_cursors(edges[0].kind, [edge.item.position for edge in edges])
