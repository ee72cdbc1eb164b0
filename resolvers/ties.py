"""Following and blocking.

Both accounts' rows are locked in key order, so the counters are true and nobody deadlocks.
"""

from dataloaders.database import Statements
from dataloaders.rows import IdRow, SinceRow, UserIdRow
from dataloaders.ties import TIES
from dataloaders.users import USERS
from resolvers.context import Context, Viewer
from resolvers.errors import Refusal, UserErrorCode, not_found
from resolvers.events import announce_ties
from resolvers.ids import user_id_of
from resolvers.messages import Message
from resolvers.visibility import VisibleUser, unblocked_account, visible_user


async def follow_user(ctx: Context, user_gid: str) -> VisibleUser:
    """The viewer follows the account. Following twice is following once."""
    viewer, user = await _found(ctx, user_gid)
    if user.id == viewer.id:
        raise Refusal(UserErrorCode.INVALID, Message.FOLLOW_SELF, "userId")
    async with ctx.db.transaction() as tx:
        await _lock(tx, viewer.id, user.id)
        # The gate was asked before the lock; a block may have come since.
        if await tx.maybe(UserIdRow, TIES["blocked_either_way"], viewer.id, user.id):
            if await tx.maybe(UserIdRow, TIES["viewer_blocks"], viewer.id, user.id):
                raise Refusal(UserErrorCode.CONFLICT, Message.FOLLOW_BLOCKED, "userId")
            raise not_found(Message.USER_NOT_FOUND, "userId")
        since = await tx.maybe(SinceRow, TIES["insert_following"], viewer.id, user.id)
        if since is not None:
            await tx.run(TIES["insert_follower"], user.id, viewer.id, since.since_id)
            await tx.run(USERS["count_follow"], viewer.id, user.id, 1)
            await announce_ties(tx, viewer.id, block=False)
    return await _after(ctx, user.id)


async def unfollow_user(ctx: Context, user_gid: str) -> VisibleUser:
    """The viewer follows the account no longer. Undoing what is not there succeeds."""
    viewer, user = await _found(ctx, user_gid)
    if user.id != viewer.id:
        async with ctx.db.transaction() as tx:
            await _lock(tx, viewer.id, user.id)
            if await _unfollow(tx, viewer.id, user.id):
                await announce_ties(tx, viewer.id, block=False)
    return await _after(ctx, user.id)


async def block_user(ctx: Context, user_gid: str) -> VisibleUser:
    """The viewer blocks the account: follows end both ways, and neither sees the other's posts from now on."""
    viewer, user = await _found(ctx, user_gid)
    if user.id == viewer.id:
        raise Refusal(UserErrorCode.INVALID, Message.BLOCK_SELF, "userId")
    async with ctx.db.transaction() as tx:
        await _lock(tx, viewer.id, user.id)
        since = await tx.maybe(SinceRow, TIES["insert_block"], viewer.id, user.id)
        if since is not None:
            await tx.run(TIES["insert_blocked_by"], user.id, viewer.id, since.since_id)
            await _unfollow(tx, viewer.id, user.id)
            await _unfollow(tx, user.id, viewer.id)
            await announce_ties(tx, viewer.id, user.id, block=True)
    return await _after(ctx, user.id)


async def unblock_user(ctx: Context, user_gid: str) -> VisibleUser:
    """The viewer blocks the account no longer. Works by ID also when both block each other."""
    viewer = ctx.require_viewer()
    user_id = user_id_of(user_gid)
    if user_id is None:
        raise not_found(Message.USER_NOT_FOUND, "userId")
    lifted = None
    if user_id != viewer.id:
        async with ctx.db.transaction() as tx:
            await _lock(tx, viewer.id, user_id)
            lifted = await tx.maybe(SinceRow, TIES["delete_block"], viewer.id, user_id)
            if lifted is not None:
                await tx.run(TIES["delete_blocked_by"], user_id, viewer.id)
                await announce_ties(tx, viewer.id, user_id, block=True)
    ctx.changed()
    ctx.services.bus.ring()
    user = await visible_user(ctx, user_id)
    if user is None and lifted is not None:
        user = await unblocked_account(ctx, user_id)
    if user is None:
        raise not_found(Message.USER_NOT_FOUND, "userId")
    return user


async def _found(ctx: Context, user_gid: str) -> tuple[Viewer, VisibleUser]:
    """The viewer and the account they name, if it is there for them."""
    viewer = ctx.require_viewer()
    user_id = user_id_of(user_gid)
    user = None if user_id is None else await visible_user(ctx, user_id)
    if user is None:
        raise not_found(Message.USER_NOT_FOUND, "userId")
    return viewer, user


async def _lock(tx: Statements, *user_ids: int) -> None:
    await tx.many(IdRow, USERS["lock_users"], list(user_ids))


async def _unfollow(tx: Statements, follower_id: int, followee_id: int) -> bool:
    if await tx.maybe(SinceRow, TIES["delete_following"], follower_id, followee_id) is None:
        return False
    await tx.run(TIES["delete_follower"], followee_id, follower_id)
    await tx.run(USERS["count_follow"], follower_id, followee_id, -1)
    return True


async def _after(ctx: Context, user_id: int) -> VisibleUser:
    """Ring the bus and read the account as it is now."""
    ctx.changed()
    ctx.services.bus.ring()
    user = await visible_user(ctx, user_id)
    if user is None:
        raise not_found(Message.USER_NOT_FOUND, "userId")
    return user
