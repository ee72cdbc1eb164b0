"""What every noun uses: the info class, scalars, Node and PageInfo."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NewType, TypeVar

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from resolvers.context import Context
from resolvers.paging import Page, encode_cursor

Info = strawberry.Info[Context, None]
Shown = TypeVar("Shown")

# A datetime that the schema calls DateTime; a name of its own, so that no other scalar takes its place.
Moment = NewType("Moment", datetime)


def format_moment(value: datetime) -> str:
    """RFC 3339, UTC, always microseconds, so that text order is time order."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_moment(value: Any) -> datetime:
    """The moment a client sent. Raises GraphQLError when it is not RFC 3339."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GraphQLError("A DateTime is written as in RFC 3339: 2026-11-22T09:30:00.123456Z.")
    return moment


MOMENT: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description=(
        "A moment, RFC 3339, always UTC and always with microseconds: `2026-11-22T09:30:00.123456Z`. "
        "Text order is time order."
    ),
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=format_moment,
    parse_value=parse_moment,
)

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


@strawberry.interface(description="Something with an ID that can be fetched again with `node(id:)`.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Unique across all types, and opaque: store it, compare it, never take it apart."
    )


@strawberry.type(description="Where a page stands in its list. Both flags are right in both directions.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether something that the viewer may see follows below this page."
    )
    has_previous_page: bool = strawberry.field(
        description="Whether something that the viewer may see stands above this page."
    )
    start_cursor: str | None = strawberry.field(
        description="The first edge's cursor: give it as `before` for what is above. Null on an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The last edge's cursor: give it as `after` for the next page. Null on an empty page."
    )

    @staticmethod
    def of(page: Page[Any], cursors: Sequence[str]) -> "PageInfo":
        """The page's place, from the page and its edges' cursors."""
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


def cursors_of(kind: str, page: Page[Any]) -> list[str]:
    """The cursors of the page's items in lists of this kind."""
    return [encode_cursor(kind, item.position) for item in page.items]
