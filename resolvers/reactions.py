"""Likes and reposts. Doing twice is doing once; undoing what is not there succeeds."""

from collections.abc import Awaitable, Callable

from dataloaders.database import Statements
from dataloaders.entries import ENTRIES
from dataloaders.posts import POSTS
from dataloaders.rows import EntryRow, PostIdRow, PostRow, UserIdRow
from dataloaders.ties import TIES
from resolvers.context import Context, Viewer
from resolvers.errors import not_found
from resolvers.events import ENTRY_ADDED, ENTRY_REMOVED, announce_changed_post, announce_entry
from resolvers.ids import post_key_of
from resolvers.messages import Message
from resolvers.visibility import VisiblePost, visible_post

Change = Callable[[Statements, Viewer, PostRow], Awaitable[bool]]


async def like_post(ctx: Context, post_gid: str) -> VisiblePost:
    """The viewer likes the post."""
    return await _change(ctx, post_gid, _like)


async def unlike_post(ctx: Context, post_gid: str) -> VisiblePost:
    """The viewer likes the post no longer."""
    return await _change(ctx, post_gid, _unlike)


async def repost(ctx: Context, post_gid: str) -> VisiblePost:
    """The viewer brings the post to their followers."""
    return await _change(ctx, post_gid, _repost)


async def undo_repost(ctx: Context, post_gid: str) -> VisiblePost:
    """The viewer takes their repost back."""
    return await _change(ctx, post_gid, _undo_repost)


async def _change(ctx: Context, post_gid: str, change: Change) -> VisiblePost:
    """Reach the post through the gate, change it under its lock, announce, and read it as it is now."""
    viewer = ctx.require_viewer()
    key = post_key_of(post_gid)
    if key is None or await visible_post(ctx, key) is None:
        raise not_found(Message.POST_NOT_FOUND, "postId")
    async with ctx.db.transaction() as tx:
        # The post's row is the lock under which its counter and its event stay in step.
        post = await tx.maybe(PostRow, POSTS["lock_post"], *key)
        blocked = await tx.maybe(UserIdRow, TIES["blocked_either_way"], viewer.id, key.author_id)
        if post is None or blocked:
            raise not_found(Message.POST_NOT_FOUND, "postId")
        if await change(tx, viewer, post):
            await announce_changed_post(tx, key)
    ctx.changed()
    ctx.services.bus.ring()
    visible = await visible_post(ctx, key)
    if visible is None:
        raise not_found(Message.POST_NOT_FOUND, "postId")
    return visible


async def _like(tx: Statements, viewer: Viewer, post: PostRow) -> bool:
    if await tx.maybe(PostIdRow, POSTS["insert_like"], viewer.id, *post.key) is None:
        return False
    await tx.run(POSTS["count_like"], *post.key, 1)
    return True


async def _unlike(tx: Statements, viewer: Viewer, post: PostRow) -> bool:
    if await tx.maybe(PostIdRow, POSTS["delete_like"], viewer.id, *post.key) is None:
        return False
    await tx.run(POSTS["count_like"], *post.key, -1)
    return True


async def _repost(tx: Statements, viewer: Viewer, post: PostRow) -> bool:
    entry = await tx.maybe(EntryRow, ENTRIES["insert_repost"], viewer.id, *post.key, post.reply_to_author_id)
    if entry is None:
        return False
    await tx.run(ENTRIES["insert_reposter"], *post.key, viewer.id, entry.id)
    await tx.run(POSTS["count_repost"], *post.key, 1)
    await announce_entry(tx, ENTRY_ADDED, entry)
    return True


async def _undo_repost(tx: Statements, viewer: Viewer, post: PostRow) -> bool:
    entry = await tx.maybe(EntryRow, ENTRIES["delete_repost"], viewer.id, *post.key)
    if entry is None:
        return False
    await tx.run(ENTRIES["delete_reposter"], *post.key, viewer.id)
    await tx.run(POSTS["count_repost"], *post.key, -1)
    await announce_entry(tx, ENTRY_REMOVED, entry)
    return True
