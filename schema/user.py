"""Accounts and lists of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import strawberry

from execution import batch_field
from resolvers import users as accounts
from resolvers.ids import user_gids
from resolvers.paging import Item, Page
from resolvers.visibility import VisibleUser
from schema.base import ID, After, First, Info, Node, PageInfo, cursors_of, rows_of, stored
from schema.moments import Moment, moments_of

if TYPE_CHECKING:
    from schema.post import PostConnection


@strawberry.type(
    description=(
        "An account. An account that blocks the viewer is as if it did not exist. To an anonymous viewer all "
        "viewer flags are false."
    )
)
class User(Node):
    row: strawberry.Private[VisibleUser]

    handle: str = stored(
        "The unique name, without @: 3 to 30 characters of a-z, 0-9 and _, always lower case."
    )
    display_name: str = stored("The name to show, in any script, up to 50 characters.")
    bio: str | None = stored("What they say about themselves, up to 300 characters.")
    avatar_url: str | None = stored("Where their picture is; null when they have none.")
    follower_count: int = stored("How many accounts follow them, whoever looks.")
    following_count: int = stored("How many accounts they follow, whoever looks.")
    post_count: int = stored(
        "How many posts and replies they have written; reposts and deleted posts do not count."
    )

    @staticmethod
    def maybe(row: VisibleUser | None) -> "User | None":
        """The account, None when it is not there for the viewer."""
        return None if row is None else User(row=row)

    @batch_field(description=ID)
    @staticmethod
    def id(users: "Sequence[User]") -> list[strawberry.ID]:
        return cast(list[strawberry.ID], user_gids([user.row.id for user in users]))

    @batch_field(description="When they signed up.")
    @staticmethod
    def created_at(users: "Sequence[User]") -> list[Moment]:
        return moments_of([user.row.id for user in users])

    @batch_field(description="Whether the viewer follows this account.")
    @staticmethod
    async def viewer_is_following(users: "Sequence[User]", info: Info) -> list[bool]:
        return await accounts.viewer_is_following(info.context, rows_of(users))

    @batch_field(description="Whether this account follows the viewer.")
    @staticmethod
    async def is_following_viewer(users: "Sequence[User]", info: Info) -> list[bool]:
        return await accounts.is_following_viewer(info.context, rows_of(users))

    @batch_field(
        description="Whether the viewer blocks this account. It is still found then; its posts are not."
    )
    @staticmethod
    async def viewer_is_blocking(users: "Sequence[User]", info: Info) -> list[bool]:
        return await accounts.viewer_is_blocking(info.context, rows_of(users))

    @strawberry.field(description="Their own posts, newest first, without replies and reposts.")
    async def posts(
        self, info: Info, first: First = None, after: After = None
    ) -> Annotated["PostConnection", strawberry.lazy("schema.post")] | None:
        from schema.post import PostConnection

        page = await accounts.posts_page(info.context, self.row, first, after)
        return PostConnection(page=page, kind=accounts.OWN_POSTS)

    @strawberry.field(description="Who follows them, newest follower first.")
    async def followers(
        self, info: Info, first: First = None, after: After = None
    ) -> "UserConnection | None":
        page = await accounts.followers_page(info.context, self.row, first, after)
        return UserConnection(page=page, kind=accounts.FOLLOWERS)

    @strawberry.field(description="Whom they follow, the newest first.")
    async def following(
        self, info: Info, first: First = None, after: After = None
    ) -> "UserConnection | None":
        page = await accounts.following_page(info.context, self.row, first, after)
        return UserConnection(page=page, kind=accounts.FOLLOWING)


@strawberry.type(description="An account in a list.")
class UserEdge:
    item: strawberry.Private[Item[VisibleUser]]
    kind: strawberry.Private[str]

    @batch_field(description="This place in the list, for `after`.")
    @staticmethod
    def cursor(edges: "Sequence[UserEdge]") -> list[str]:
        return cursors_of(edges)

    @batch_field(
        description="The account. Null only together with an error that says why it could not be loaded."
    )
    @staticmethod
    def node(edges: "Sequence[UserEdge]") -> list[User | None]:
        return [User(row=edge.item.node) for edge in edges]


@strawberry.type(description="A page of accounts.")
class UserConnection:
    page: strawberry.Private[Page[VisibleUser]]
    kind: strawberry.Private[str]

    @batch_field(description="The accounts of this page, in the list's order.")
    @staticmethod
    def edges(pages: "Sequence[UserConnection]") -> list[list[UserEdge]]:
        return [[UserEdge(item=item, kind=page.kind) for item in page.page.items] for page in pages]

    @batch_field(description="Where this page stands in the list.")
    @staticmethod
    def page_info(pages: "Sequence[UserConnection]") -> list[PageInfo]:
        return [PageInfo(page=page.page, kind=page.kind) for page in pages]
