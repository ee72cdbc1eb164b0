"""Accounts and lists of them."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers import users
from resolvers.ids import time_of, user_gid
from resolvers.paging import Page
from resolvers.visibility import VisibleUser
from schema.base import After, First, Info, Moment, Node, PageInfo, cursors_of

if TYPE_CHECKING:
    from schema.post import PostConnection


@strawberry.type(
    description=(
        "An account. An account that blocks the viewer is as if it did not exist. To an anonymous viewer all "
        "viewer flags are false."
    )
)
class User(Node):
    handle: str = strawberry.field(
        description="The unique name, without @: 3 to 30 characters of a-z, 0-9 and _, always lower case."
    )
    display_name: str = strawberry.field(description="The name to show, in any script, up to 50 characters.")
    bio: str | None = strawberry.field(description="What they say about themselves, up to 300 characters.")
    avatar_url: str | None = strawberry.field(description="Where their picture is; null when they have none.")
    created_at: Moment = strawberry.field(description="When they signed up.")
    follower_count: int = strawberry.field(description="How many accounts follow them, whoever looks.")
    following_count: int = strawberry.field(description="How many accounts they follow, whoever looks.")
    post_count: int = strawberry.field(
        description="How many posts and replies they have written; reposts and deleted posts do not count."
    )
    row: strawberry.Private[VisibleUser]

    @staticmethod
    def of(row: VisibleUser) -> "User":
        """The account as clients see it."""
        return User(
            id=strawberry.ID(user_gid(row.id)),
            handle=row.handle,
            display_name=row.display_name,
            bio=row.bio,
            avatar_url=row.avatar_url,
            created_at=Moment(time_of(row.id)),
            follower_count=row.follower_count,
            following_count=row.following_count,
            post_count=row.post_count,
            row=row,
        )

    @staticmethod
    def maybe(row: VisibleUser | None) -> "User | None":
        """The account, None when it is not there for the viewer."""
        return None if row is None else User.of(row)

    @strawberry.field(description="Whether the viewer follows this account.")
    async def viewer_is_following(self, info: Info) -> bool:
        return await users.viewer_is_following(info.context, self.row)

    @strawberry.field(description="Whether this account follows the viewer.")
    async def is_following_viewer(self, info: Info) -> bool:
        return await users.is_following_viewer(info.context, self.row)

    @strawberry.field(
        description="Whether the viewer blocks this account. It is still found then; its posts are not."
    )
    async def viewer_is_blocking(self, info: Info) -> bool:
        return await users.viewer_is_blocking(info.context, self.row)

    @strawberry.field(description="Their own posts, newest first, without replies and reposts.")
    async def posts(
        self, info: Info, first: First = None, after: After = None
    ) -> Annotated["PostConnection", strawberry.lazy("schema.post")] | None:
        from schema.post import PostConnection

        page = await users.posts_page(info.context, self.row, first, after)
        return PostConnection.of(page, users.OWN_POSTS)

    @strawberry.field(description="Who follows them, newest follower first.")
    async def followers(
        self, info: Info, first: First = None, after: After = None
    ) -> "UserConnection | None":
        page = await users.followers_page(info.context, self.row, first, after)
        return UserConnection.of(page, users.FOLLOWERS)

    @strawberry.field(description="Whom they follow, the newest first.")
    async def following(
        self, info: Info, first: First = None, after: After = None
    ) -> "UserConnection | None":
        page = await users.following_page(info.context, self.row, first, after)
        return UserConnection.of(page, users.FOLLOWING)


@strawberry.type(description="An account in a list.")
class UserEdge:
    cursor: str = strawberry.field(description="This place in the list, for `after`.")
    node: User | None = strawberry.field(
        description="The account. Null only together with an error that says why it could not be loaded."
    )


@strawberry.type(description="A page of accounts.")
class UserConnection:
    edges: list[UserEdge] = strawberry.field(description="The accounts of this page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")

    @staticmethod
    def of(page: Page[VisibleUser], kind: str) -> "UserConnection":
        """The page as a connection."""
        cursors = cursors_of(kind, page)
        edges = [
            UserEdge(cursor=cursor, node=User.of(item.node))
            for cursor, item in zip(cursors, page.items, strict=True)
        ]
        return UserConnection(edges=edges, page_info=PageInfo.of(page, cursors))
