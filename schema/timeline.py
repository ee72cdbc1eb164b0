"""Timelines: entries, and their pages."""

import strawberry

from resolvers import timelines
from resolvers.ids import entry_gid, time_of
from resolvers.live import page_cursor
from resolvers.paging import Page, encode_cursor
from resolvers.visibility import VisibleEntry
from schema.base import Info, Moment, Node, PageInfo, cursors_of
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
    post: Post = strawberry.field(description="The post that came in.")
    entered_at: Moment = strawberry.field(description="When it was posted or reposted.")
    row: strawberry.Private[VisibleEntry]

    @staticmethod
    def of(entry: VisibleEntry) -> "TimelineEntry":
        """The entry as clients see it."""
        return TimelineEntry(
            id=strawberry.ID(entry_gid(entry.row.key)),
            post=Post.of(entry.post),
            entered_at=Moment(time_of(entry.row.id)),
            row=entry,
        )

    @staticmethod
    def maybe(entry: VisibleEntry | None) -> "TimelineEntry | None":
        """The entry, None when it is not there for the viewer."""
        return None if entry is None else TimelineEntry.of(entry)

    @strawberry.field(description="Who reposted it. Null when the entry is the post itself.")
    async def reposted_by(self, info: Info) -> User | None:
        return User.maybe(await timelines.reposter_of(info.context, self.row))


@strawberry.type(description="An entry in a timeline; what may differ between timelines stands here.")
class TimelineEdge:
    cursor: str = strawberry.field(description="This place in the timeline, for `after` and `before`.")
    sort_key: str = strawberry.field(
        description=(
            "Pages are sorted by it, greatest first; sort live entries in by it. Compare as ASCII; unique in a "
            "timeline."
        )
    )
    node: TimelineEntry | None = strawberry.field(
        description="The entry. Null only together with an error that says why it could not be loaded."
    )

    @staticmethod
    def of(entry: VisibleEntry, kind: str) -> "TimelineEdge":
        """The entry's edge in timelines of this kind."""
        return TimelineEdge(
            cursor=encode_cursor(kind, timelines.position_of(entry.row)),
            sort_key=timelines.sort_key(entry.row),
            node=TimelineEntry.of(entry),
        )


@strawberry.type(description="A page of a timeline, newest first.")
class TimelineConnection:
    edges: list[TimelineEdge] = strawberry.field(description="The entries of this page, newest first.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the timeline.")
    kind: strawberry.Private[str]

    @strawberry.field(
        description=(
            "Subscribe with this as `after`, and no event between this page and the subscription is missed. Taken "
            "once per operation, before anything is read. Keep the one of the page at the top: the one of a later "
            "page skips what happened in between."
        )
    )
    async def live_cursor(self, info: Info) -> str:
        return await page_cursor(info.context, self.kind)

    @staticmethod
    def of(page: Page[VisibleEntry], kind: str) -> "TimelineConnection":
        """The page as a connection."""
        return TimelineConnection(
            edges=[TimelineEdge.of(item.node, kind) for item in page.items],
            page_info=PageInfo.of(page, cursors_of(kind, page)),
            kind=kind,
        )
