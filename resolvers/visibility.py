"""The gate: the only place where a stored row becomes one that the viewer may see.

The rules are pure functions that give their reason. Lists, look-ups, replies, timelines and live events all come
through here; schema types can be built from nothing else.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, NewType

from dataloaders.rows import EntryKey, EntryRow, PostKey, PostRow, TieRow, UserRow
from resolvers.context import Context, Viewer

# Made only in this file.
VisibleUser = NewType("VisibleUser", UserRow)
VisiblePost = NewType("VisiblePost", PostRow)


class VisibleEntry(NamedTuple):
    """A timeline entry that the viewer may see, with its post. Made only in this file."""

    row: EntryRow
    post: VisiblePost


class Hidden(StrEnum):
    """Why something is not shown."""

    BLOCKED_BY_THEM = "they block the viewer"
    BLOCKED_BY_VIEWER = "the viewer blocks them"


def why_user_hidden(tie: TieRow | None) -> Hidden | None:
    """An account that blocks the viewer is not found by them; one that the viewer blocks is."""
    if tie is not None and tie.blocks_viewer:
        return Hidden.BLOCKED_BY_THEM
    return None


def why_post_hidden(tie: TieRow | None) -> Hidden | None:
    """A post is hidden by a block in either direction. `tie` is the viewer's to its author, None for none."""
    if tie is not None and tie.blocks_viewer:
        return Hidden.BLOCKED_BY_THEM
    if tie is not None and tie.blocked_by_viewer:
        return Hidden.BLOCKED_BY_VIEWER
    return None


async def ties_to(ctx: Context, user_ids: Sequence[int]) -> list[TieRow | None]:
    """The viewer's ties; None where there can be none: anonymous viewers, and the viewer themself."""
    if ctx.viewer is None:
        return [None] * len(user_ids)
    viewer_id = ctx.viewer.id
    others = [id for id in user_ids if id != viewer_id]
    found = dict(zip(others, await ctx.loaders.ties.load_many(others), strict=True)) if others else {}
    return [found.get(id) for id in user_ids]


async def visible_users(ctx: Context, ids: Sequence[int]) -> list[VisibleUser | None]:
    """The accounts as far as the viewer may find them, in the order asked."""
    if not ids:
        return []
    rows = await ctx.loaders.users.load_many(ids)
    ties = await ties_to(ctx, ids)
    return [
        VisibleUser(row) if row is not None and why_user_hidden(tie) is None else None
        for row, tie in zip(rows, ties, strict=True)
    ]


async def visible_user(ctx: Context, id: int) -> VisibleUser | None:
    """The account, None when it is not there for the viewer."""
    return (await visible_users(ctx, [id]))[0]


async def visible_posts(ctx: Context, keys: Sequence[PostKey]) -> list[VisiblePost | None]:
    """The posts as far as the viewer may see them, in the order asked."""
    if not keys:
        return []
    rows = await ctx.loaders.posts.load_many(keys)
    ties = await ties_to(ctx, [key.author_id for key in keys])
    return [
        VisiblePost(row) if row is not None and why_post_hidden(tie) is None else None
        for row, tie in zip(rows, ties, strict=True)
    ]


async def visible_post(ctx: Context, key: PostKey) -> VisiblePost | None:
    """The post, None when it is not there for the viewer."""
    return (await visible_posts(ctx, [key]))[0]


async def visible_entries(ctx: Context, rows: Sequence[EntryRow]) -> list[VisibleEntry | None]:
    """The entries whose post may be seen and whose actor is not hidden either, in the order given."""
    if not rows:
        return []
    # Of authors and actors at once: who brought a post in costs no statement of its own.
    ties = await ties_to(ctx, [row.actor_id for row in rows] + [row.post_author_id for row in rows])
    posts = await visible_posts(ctx, [row.post_key for row in rows])
    return [
        VisibleEntry(row, post) if post is not None and why_post_hidden(tie) is None else None
        for row, post, tie in zip(rows, posts, ties[: len(rows)], strict=True)
    ]


async def visible_entry(ctx: Context, key: EntryKey) -> VisibleEntry | None:
    """The entry, None when it is not there for the viewer."""
    row = await ctx.loaders.entries.load(key)
    return None if row is None else (await visible_entries(ctx, [row]))[0]


def own_post(row: PostRow, author: Viewer) -> VisiblePost:
    """A post that its author just wrote or changed: always seen by them. Raises ValueError for another's."""
    if row.author_id != author.id:
        raise ValueError("only the author sees a post without the gate")
    return VisiblePost(row)


async def unblocked_account(ctx: Context, id: int) -> VisibleUser | None:
    """The account that the viewer just unblocked by its ID, though it may block them in turn.

    The viewer held its ID and had blocked it, so nothing is given away; its posts stay hidden.
    """
    row = await ctx.loaders.users.load(id)
    return None if row is None else VisibleUser(row)


def own_account(row: UserRow, viewer_id: int) -> VisibleUser:
    """The viewer's own account. Raises ValueError for another's."""
    if row.id != viewer_id:
        raise ValueError("only their own account is seen by somebody without the gate")
    return VisibleUser(row)


def own_entry(row: EntryRow, post: VisiblePost, author: Viewer) -> VisibleEntry:
    """The entry of a post that the viewer just wrote. Raises ValueError for another's."""
    if row.actor_id != author.id or row.post_key != post.key:
        raise ValueError("only the author's own entry is seen without the gate")
    return VisibleEntry(row, post)
