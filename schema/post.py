"""Posts and lists of them."""

from enum import Enum
from typing import Annotated

import strawberry

from resolvers import posts
from resolvers.ids import post_gid, time_of
from resolvers.paging import Page
from resolvers.visibility import VisiblePost
from schema.base import After, First, Info, Moment, Node, PageInfo, cursors_of
from schema.user import User


@strawberry.enum(description="Which way a text runs: the direction of its first strong character.")
class TextDirection(Enum):
    LTR = strawberry.enum_value("LTR", description="From left to right, such as English.")
    RTL = strawberry.enum_value("RTL", description="From right to left, such as Arabic.")
    NEUTRAL = strawberry.enum_value(
        "NEUTRAL", description="Nothing but emoji, digits or signs; take the app's own direction."
    )


@strawberry.type(
    description=(
        "A post. A post that was deleted, or is hidden from the viewer by a block, is as if it did not exist."
    )
)
class Post(Node):
    text: str = strawberry.field(
        description="What it says: plain text, Unicode NFC, lines separated by LF, 1 to 500 characters."
    )
    text_direction: TextDirection = strawberry.field(
        description="Which way a client must lay the text out. Mentions, URLs and # do not count."
    )
    created_at: Moment = strawberry.field(description="When it was posted.")
    is_reply: bool = strawberry.field(
        description="Whether it is a reply. True for ever, also when what it answers was deleted or may not be seen."
    )
    like_count: int = strawberry.field(description="How many accounts like it, whoever looks.")
    repost_count: int = strawberry.field(description="How many accounts reposted it, whoever looks.")
    reply_count: int = strawberry.field(
        description="How many direct replies it has that were not deleted, whoever looks."
    )
    row: strawberry.Private[VisiblePost]

    @staticmethod
    def of(row: VisiblePost) -> "Post":
        """The post as clients see it."""
        return Post(
            id=strawberry.ID(post_gid(row.key)),
            text=row.text,
            text_direction=TextDirection(row.direction),
            created_at=Moment(time_of(row.id)),
            is_reply=row.reply_to_id is not None,
            like_count=row.like_count,
            repost_count=row.repost_count,
            reply_count=row.reply_count,
            row=row,
        )

    @staticmethod
    def maybe(row: VisiblePost | None) -> "Post | None":
        """The post, None when it is not there for the viewer."""
        return None if row is None else Post.of(row)

    @strawberry.field(description="Who wrote it.")
    async def author(self, info: Info) -> User:
        return User.of(await posts.author_of(info.context, self.row))

    @strawberry.field(
        description=(
            "What it answers. Null when it is not a reply, or when the viewer cannot see that post (any more): "
            "`isReply` tells which."
        )
    )
    async def reply_to(self, info: Info) -> Annotated["Post", strawberry.lazy("schema.post")] | None:
        return Post.maybe(await posts.reply_to(info.context, self.row))

    @strawberry.field(description="Direct replies, oldest first.")
    async def replies(
        self, info: Info, first: First = None, after: After = None
    ) -> Annotated["PostConnection", strawberry.lazy("schema.post")] | None:
        page = await posts.replies_page(info.context, self.row, first, after)
        return PostConnection.of(page, posts.REPLIES)

    @strawberry.field(description="Whether the viewer likes it.")
    async def viewer_has_liked(self, info: Info) -> bool:
        return await posts.viewer_has_liked(info.context, self.row)

    @strawberry.field(description="Whether the viewer reposted it.")
    async def viewer_has_reposted(self, info: Info) -> bool:
        return await posts.viewer_has_reposted(info.context, self.row)

    @strawberry.field(
        description=(
            "The key that `createPost` was given, for its author alone and for 24 hours: an app recognises its own "
            "draft by it in a page or an event."
        )
    )
    def idempotency_key(self, info: Info) -> str | None:
        return posts.key_for_author(info.context, self.row)


@strawberry.type(description="A post in a list.")
class PostEdge:
    cursor: str = strawberry.field(description="This place in the list, for `after`.")
    node: Post | None = strawberry.field(
        description="The post. Null only together with an error that says why it could not be loaded."
    )


@strawberry.type(description="A page of posts.")
class PostConnection:
    edges: list[PostEdge] = strawberry.field(description="The posts of this page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")

    @staticmethod
    def of(page: Page[VisiblePost], kind: str) -> "PostConnection":
        """The page as a connection."""
        cursors = cursors_of(kind, page)
        edges = [
            PostEdge(cursor=cursor, node=Post.of(item.node))
            for cursor, item in zip(cursors, page.items, strict=True)
        ]
        return PostConnection(edges=edges, page_info=PageInfo.of(page, cursors))
