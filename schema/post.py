"""Posts and lists of them."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, cast

import strawberry

from execution import batch_field
from resolvers import posts as writing
from resolvers.ids import post_gids
from resolvers.paging import Item, Page
from resolvers.visibility import VisiblePost
from schema.base import ID, After, First, Info, Node, PageInfo, cursors_of, rows_of, stored
from schema.moments import Moment, moments_of
from schema.user import User


@strawberry.enum(description="Which way a text runs: the direction of its first strong character.")
class TextDirection(Enum):
    LTR = strawberry.enum_value("LTR", description="From left to right, such as English.")
    RTL = strawberry.enum_value("RTL", description="From right to left, such as Arabic.")
    NEUTRAL = strawberry.enum_value(
        "NEUTRAL", description="Nothing but emoji, digits or signs; take the app's own direction."
    )


# By how it is stored, so that the enum need not be called for each post.
DIRECTIONS: dict[str, TextDirection] = {direction.name: direction for direction in TextDirection}


@strawberry.type(
    description=(
        "A post. A post that was deleted, or is hidden from the viewer by a block, is as if it did not exist."
    )
)
class Post(Node):
    row: strawberry.Private[VisiblePost]

    text: str = stored("What it says: plain text, Unicode NFC, lines separated by LF, 1 to 500 characters.")
    like_count: int = stored("How many accounts like it, whoever looks.")
    repost_count: int = stored("How many accounts reposted it, whoever looks.")
    reply_count: int = stored("How many direct replies it has that were not deleted, whoever looks.")

    @staticmethod
    def maybe(row: VisiblePost | None) -> "Post | None":
        """The post, None when it is not there for the viewer."""
        return None if row is None else Post(row=row)

    @batch_field(description=ID)
    @staticmethod
    def id(posts: "Sequence[Post]") -> list[strawberry.ID]:
        return cast(list[strawberry.ID], post_gids([post.row[:2] for post in posts]))

    @batch_field(description="Which way a client must lay the text out. Mentions, URLs and # do not count.")
    @staticmethod
    def text_direction(posts: "Sequence[Post]") -> list[TextDirection]:
        return [DIRECTIONS[post.row.direction] for post in posts]

    @batch_field(description="When it was posted.")
    @staticmethod
    def created_at(posts: "Sequence[Post]") -> list[Moment]:
        return moments_of([post.row.id for post in posts])

    @batch_field(
        description="Whether it is a reply. True for ever, also when what it answers was deleted or may not be seen."
    )
    @staticmethod
    def is_reply(posts: "Sequence[Post]") -> list[bool]:
        return [post.row.reply_to_id is not None for post in posts]

    @batch_field(description="Who wrote it.")
    @staticmethod
    async def author(posts: "Sequence[Post]", info: Info) -> list[User]:
        return [User(row=row) for row in await writing.authors_of(info.context, rows_of(posts))]

    @batch_field(
        description=(
            "What it answers. Null when it is not a reply, or when the viewer cannot see that post (any more): "
            "`isReply` tells which."
        )
    )
    @staticmethod
    async def reply_to(
        posts: "Sequence[Post]", info: Info
    ) -> list[Annotated["Post", strawberry.lazy("schema.post")] | None]:
        return [Post.maybe(row) for row in await writing.answered_by(info.context, rows_of(posts))]

    @strawberry.field(description="Direct replies, oldest first.")
    async def replies(
        self, info: Info, first: First = None, after: After = None
    ) -> Annotated["PostConnection", strawberry.lazy("schema.post")] | None:
        page = await writing.replies_page(info.context, self.row, first, after)
        return PostConnection(page=page, kind=writing.REPLIES)

    @batch_field(description="Whether the viewer likes it.")
    @staticmethod
    async def viewer_has_liked(posts: "Sequence[Post]", info: Info) -> list[bool]:
        return await writing.viewer_has_liked(info.context, rows_of(posts))

    @batch_field(description="Whether the viewer reposted it.")
    @staticmethod
    async def viewer_has_reposted(posts: "Sequence[Post]", info: Info) -> list[bool]:
        return await writing.viewer_has_reposted(info.context, rows_of(posts))

    @batch_field(
        description=(
            "The key that `createPost` was given, for its author alone and for 24 hours: an app recognises its own "
            "draft by it in a page or an event."
        )
    )
    @staticmethod
    def idempotency_key(posts: "Sequence[Post]", info: Info) -> list[str | None]:
        return writing.keys_for_author(info.context, rows_of(posts))


@strawberry.type(description="A post in a list.")
class PostEdge:
    item: strawberry.Private[Item[VisiblePost]]
    kind: strawberry.Private[str]

    @batch_field(description="This place in the list, for `after`.")
    @staticmethod
    def cursor(edges: "Sequence[PostEdge]") -> list[str]:
        return cursors_of(edges)

    @batch_field(
        description="The post. Null only together with an error that says why it could not be loaded."
    )
    @staticmethod
    def node(edges: "Sequence[PostEdge]") -> list[Post | None]:
        return [Post(row=edge.item.node) for edge in edges]


@strawberry.type(description="A page of posts.")
class PostConnection:
    page: strawberry.Private[Page[VisiblePost]]
    kind: strawberry.Private[str]

    @batch_field(description="The posts of this page, in the list's order.")
    @staticmethod
    def edges(pages: "Sequence[PostConnection]") -> list[list[PostEdge]]:
        return [[PostEdge(item=item, kind=page.kind) for item in page.page.items] for page in pages]

    @batch_field(description="Where this page stands in the list.")
    @staticmethod
    def page_info(pages: "Sequence[PostConnection]") -> list[PageInfo]:
        return [PageInfo(page=page.page, kind=page.kind) for page in pages]
