"""Timelines: entries, and their pages."""

from collections.abc import Sequence
from typing import cast

import strawberry

from execution import batch_field
from resolvers import timelines
from resolvers.ids import entry_gids
from resolvers.live import page_cursor
from resolvers.paging import Page, encode_cursors
from resolvers.visibility import VisibleEntry
from schema.base import ID, Info, Node, PageInfo, rows_of
from schema.moments import Moment, moments_of
from schema.post import Post
from schema.user import User


@strawberry.type(
    description=(
        "One coming of a post into timelines: as its author posted it, or one repost of it. A post may be in a "
        "timeline several times, an entry only once: key lists and caches by the entry. Its id is the same in every "
        "timeline, page and event."
    )
)
class TimelineEntry(Node):
    row: strawberry.Private[VisibleEntry]

    @batch_field(description=ID)
    @staticmethod
    def id(entries: "Sequence[TimelineEntry]") -> list[strawberry.ID]:
        return cast(list[strawberry.ID], entry_gids([entry.row.row[:2] for entry in entries]))

    @batch_field(description="The post that came in.")
    @staticmethod
    def post(entries: "Sequence[TimelineEntry]") -> list[Post]:
        return [Post(row=entry.row.post) for entry in entries]

    @batch_field(description="When it was posted or reposted.")
    @staticmethod
    def entered_at(entries: "Sequence[TimelineEntry]") -> list[Moment]:
        return moments_of([entry.row.row.id for entry in entries])

    @batch_field(description="Who reposted it. Null when the entry is the post itself.")
    @staticmethod
    async def reposted_by(entries: "Sequence[TimelineEntry]", info: Info) -> list[User | None]:
        users = await timelines.reposters_of(info.context, rows_of(entries))
        return [None if user is None else User(row=user) for user in users]


@strawberry.type(description="An entry in a timeline; what may differ between timelines stands here.")
class TimelineEdge:
    row: strawberry.Private[VisibleEntry]
    kind: strawberry.Private[str]

    @batch_field(description="This place in the timeline, for `after` and `before`.")
    @staticmethod
    def cursor(edges: "Sequence[TimelineEdge]") -> list[str]:
        rows = [edge.row.row for edge in edges]
        return encode_cursors(edges[0].kind, [(row.id, row.actor_id) for row in rows])

    @batch_field(
        description=(
            "Pages are sorted by it, greatest first; sort live entries in by it. Compare as ASCII; unique in a "
            "timeline."
        )
    )
    @staticmethod
    def sort_key(edges: "Sequence[TimelineEdge]") -> list[str]:
        return timelines.sort_keys([edge.row.row for edge in edges])

    @batch_field(
        description="The entry. Null only together with an error that says why it could not be loaded."
    )
    @staticmethod
    def node(edges: "Sequence[TimelineEdge]") -> list[TimelineEntry | None]:
        return [TimelineEntry(row=edge.row) for edge in edges]


@strawberry.type(description="A page of a timeline, newest first.")
class TimelineConnection:
    page: strawberry.Private[Page[VisibleEntry]]
    kind: strawberry.Private[str]

    @batch_field(description="The entries of this page, newest first.")
    @staticmethod
    def edges(pages: "Sequence[TimelineConnection]") -> list[list[TimelineEdge]]:
        return [[TimelineEdge(row=item.node, kind=page.kind) for item in page.page.items] for page in pages]

    @batch_field(description="Where this page stands in the timeline.")
    @staticmethod
    def page_info(pages: "Sequence[TimelineConnection]") -> list[PageInfo]:
        return [PageInfo(page=page.page, kind=page.kind) for page in pages]

    @batch_field(
        description=(
            "Subscribe with this as `after`, and no event between this page and the subscription is missed. Taken "
            "once per operation, before anything is read. Keep the one of the page at the top: the one of a later "
            "page skips what happened in between."
        )
    )
    @staticmethod
    async def live_cursor(pages: "Sequence[TimelineConnection]", info: Info) -> list[str]:
        return [await page_cursor(info.context, page.kind) for page in pages]
