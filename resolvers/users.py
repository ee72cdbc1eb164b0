"""Accounts: look-ups, and their lists of posts, followers and followed."""

from collections.abc import Sequence

from dataloaders.loader import Loader
from dataloaders.rows import Position, PostKey, SlicedPostRow, SlicedUserRow
from dataloaders.slices import Slice
from resolvers.context import Context
from resolvers.paging import Page, page_request, read_page
from resolvers.text import fold_handle
from resolvers.visibility import (
    VisiblePost,
    VisibleUser,
    ties_to,
    visible_posts,
    visible_user,
    visible_users,
)

OWN_POSTS = "o"
FOLLOWERS = "f"
FOLLOWING = "g"


async def viewer_account(ctx: Context) -> VisibleUser | None:
    """The viewer's own account, None when anonymous."""
    return None if ctx.viewer is None else await visible_user(ctx, ctx.viewer.id)


async def user_by_id(ctx: Context, id: int) -> VisibleUser | None:
    """The account, None when it is not there for the viewer."""
    return await visible_user(ctx, id)


async def user_by_handle(ctx: Context, handle: str) -> VisibleUser | None:
    """The account with this handle in any case, None when it is not there for the viewer."""
    folded = fold_handle(handle)
    id = None if folded is None else await ctx.loaders.user_ids.load(folded)
    return None if id is None else await visible_user(ctx, id)


async def viewer_is_following(ctx: Context, users: Sequence[VisibleUser]) -> list[bool]:
    """Whether the viewer follows each account."""
    ties = await ties_to(ctx, [user.id for user in users])
    return [user.id in ties and ties[user.id].followed_by_viewer for user in users]


async def is_following_viewer(ctx: Context, users: Sequence[VisibleUser]) -> list[bool]:
    """Whether each account follows the viewer."""
    ties = await ties_to(ctx, [user.id for user in users])
    return [user.id in ties and ties[user.id].follows_viewer for user in users]


async def viewer_is_blocking(ctx: Context, users: Sequence[VisibleUser]) -> list[bool]:
    """Whether the viewer blocks each account."""
    ties = await ties_to(ctx, [user.id for user in users])
    return [user.id in ties and ties[user.id].blocked_by_viewer for user in users]


class _OwnPosts:
    descending = True

    def __init__(self, ctx: Context, user: VisibleUser) -> None:
        self._ctx, self._user = ctx, user

    def positions(self, rows: Sequence[SlicedPostRow]) -> list[Position]:
        return [Position(row.id, row.author_id) for row in rows]

    async def fetch(self, start: Position, down: bool, limit: int) -> list[SlicedPostRow]:
        # One account's posts differ by id alone; a position that includes its own post starts just beside it.
        author = self._user.id
        if down and start.tie > author:
            start = Position(min(start.id, 2**63 - 2) + 1, author)
        elif not down and start.tie < author:
            start = Position(start.id - 1, author)
        return await self._ctx.loaders.own_posts.load(Slice((author,), start, down, limit))

    async def admit(self, rows: Sequence[SlicedPostRow]) -> list[VisiblePost | None]:
        return await visible_posts(self._ctx, [PostKey(row.author_id, row.id) for row in rows])


class _Accounts:
    """Followers or followed, newest first."""

    descending = True

    def __init__(self, ctx: Context, user: VisibleUser, loader: Loader[Slice, list[SlicedUserRow]]) -> None:
        self._ctx, self._user, self._loader = ctx, user, loader

    def positions(self, rows: Sequence[SlicedUserRow]) -> list[Position]:
        return [Position(row.id, row.user_id) for row in rows]

    async def fetch(self, start: Position, down: bool, limit: int) -> list[SlicedUserRow]:
        return await self._loader.load(Slice((self._user.id,), start, down, limit))

    async def admit(self, rows: Sequence[SlicedUserRow]) -> list[VisibleUser | None]:
        return await visible_users(self._ctx, [row.user_id for row in rows])


async def posts_page(
    ctx: Context, user: VisibleUser, first: int | None, after: str | None
) -> Page[VisiblePost]:
    """A page of the account's own posts, no replies and no reposts, newest first."""
    return await read_page(_OwnPosts(ctx, user), page_request(OWN_POSTS, first, after))


async def followers_page(
    ctx: Context, user: VisibleUser, first: int | None, after: str | None
) -> Page[VisibleUser]:
    """A page of who follows the account, newest first."""
    return await read_page(_Accounts(ctx, user, ctx.loaders.followers), page_request(FOLLOWERS, first, after))


async def following_page(
    ctx: Context, user: VisibleUser, first: int | None, after: str | None
) -> Page[VisibleUser]:
    """A page of whom the account follows, newest first."""
    return await read_page(_Accounts(ctx, user, ctx.loaders.following), page_request(FOLLOWING, first, after))
