"""Posts: reading them and their replies, writing and deleting them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dataloaders.database import Statements
from dataloaders.entries import ENTRIES
from dataloaders.posts import POSTS
from dataloaders.rows import (
    EntryRow,
    IdRow,
    KeyedPostRow,
    Pair,
    Position,
    PostKey,
    PostRow,
    SlicedPostRow,
    TieRow,
    UserIdRow,
    time_of,
)
from dataloaders.slices import Slice
from dataloaders.ties import TIES
from dataloaders.users import USERS
from resolvers.context import Context, Viewer
from resolvers.errors import Refusal, UserErrorCode, not_found
from resolvers.events import ENTRY_ADDED, announce_changed_post, announce_entry, announce_removed_post
from resolvers.ids import post_key_of
from resolvers.messages import Message
from resolvers.paging import Page, page_request, read_page
from resolvers.text import TextError, check_idempotency_key, normalize_post, text_direction
from resolvers.text_refusals import text_refusal
from resolvers.visibility import (
    VisibleEntry,
    VisiblePost,
    VisibleUser,
    own_entry,
    own_post,
    visible_post,
    visible_posts,
    visible_users,
)

REPLIES = "r"
# How long a repeated createPost is recognised.
KEY_LIFETIME = timedelta(hours=24)
# What an ID that is none leads to: no post has this key, and it is treated as any other that is not there.
NOWHERE = PostKey(0, 0)


class Draft(NamedTuple):
    """A post to be: its text as typed, the ID of what it answers, the client's key for it."""

    text: str
    reply_to: str | None = None
    idempotency_key: str | None = None


class NewPost(NamedTuple):
    """A post that was written, and its entry in the author's home timeline."""

    post: VisiblePost
    entry: VisibleEntry


async def post_by_key(ctx: Context, key: PostKey) -> VisiblePost | None:
    """The post, None when it is not there for the viewer."""
    return await visible_post(ctx, key)


async def authors_of(ctx: Context, posts: Sequence[VisiblePost]) -> list[VisibleUser]:
    """Who wrote the posts. Raises LookupError if somebody vanished in between."""
    authors = [author for author in await visible_users(ctx, [post.author_id for post in posts]) if author]
    if len(authors) != len(posts):
        raise LookupError("the author of a visible post is not visible")
    return authors


async def answered_by(ctx: Context, posts: Sequence[VisiblePost]) -> list[VisiblePost | None]:
    """What each post answers, None when it answers nothing or that is not there for the viewer."""
    keys = [post.reply_to for post in posts]
    wanted = [key for key in keys if key is not None]
    found = dict(zip(wanted, await visible_posts(ctx, wanted), strict=True))
    return [None if key is None else found[key] for key in keys]


async def viewer_has_liked(ctx: Context, posts: Sequence[VisiblePost]) -> list[bool]:
    """Whether the viewer likes each post."""
    keys = [post[:2] for post in posts]
    side = await _viewer_side(ctx, keys)
    return [key in side and side[key].liked for key in keys]


async def viewer_has_reposted(ctx: Context, posts: Sequence[VisiblePost]) -> list[bool]:
    """Whether the viewer reposted each post."""
    keys = [post[:2] for post in posts]
    side = await _viewer_side(ctx, keys)
    return [key in side and side[key].reposted for key in keys]


async def _viewer_side(ctx: Context, keys: Sequence[Pair]) -> Mapping[int | Pair, TieRow]:
    """What the viewer did with the posts; nothing when anonymous."""
    return {} if ctx.viewer is None else await ctx.loaders.viewer_side.load_mapping(keys)


def keys_for_author(ctx: Context, posts: Sequence[VisiblePost]) -> list[str | None]:
    """The idempotency keys, for the author alone and while they hold."""
    return [
        post.idempotency_key if post.author_id == ctx.viewer_id and _key_holds(post.id) else None
        for post in posts
    ]


class _Replies:
    """The replies to a post, oldest first."""

    descending = False

    def __init__(self, ctx: Context, post: VisiblePost) -> None:
        self._ctx, self._post = ctx, post

    def positions(self, rows: Sequence[SlicedPostRow]) -> list[Position]:
        return [Position(row.id, row.author_id) for row in rows]

    async def fetch(self, start: Position, down: bool, limit: int) -> list[SlicedPostRow]:
        return await self._ctx.loaders.replies.load(Slice(self._post.key, start, down, limit))

    async def admit(self, rows: Sequence[SlicedPostRow]) -> list[VisiblePost | None]:
        return await visible_posts(self._ctx, [PostKey(row.author_id, row.id) for row in rows])


async def replies_page(
    ctx: Context, post: VisiblePost, first: int | None, after: str | None
) -> Page[VisiblePost]:
    """A page of the direct replies, oldest first."""
    return await read_page(_Replies(ctx, post), page_request(REPLIES, first, after))


async def create_post(ctx: Context, draft: Draft) -> NewPost:
    """Write a post, or give the one back that this idempotency key made before."""
    author = ctx.require_viewer()
    text, key = _checked(draft)
    parent = None if draft.reply_to is None else post_key_of(draft.reply_to) or NOWHERE
    async with ctx.db.turn() as db:
        post = await _made_before(db, author, key, text, parent)
    if post is None:
        if parent is not None and await visible_post(ctx, parent) is None:
            raise not_found(Message.REPLY_TO_NOT_FOUND, "replyToId")
        async with ctx.db.transaction() as tx:
            post = await _write(tx, author, text, parent, key)
        ctx.services.bus.ring()
    ctx.changed()
    visible = own_post(post, author)
    entry = EntryRow(author.id, post.id, author.id, post.id, post.reply_to_author_id)
    return NewPost(visible, own_entry(entry, visible, author))


def _checked(draft: Draft) -> tuple[str, str | None]:
    """The text and the key as stored. Raises Refusal."""
    try:
        text = normalize_post(draft.text)
    except TextError as error:
        raise text_refusal(error, "text") from error
    try:
        key = None if draft.idempotency_key is None else check_idempotency_key(draft.idempotency_key)
    except TextError as error:
        raise Refusal(UserErrorCode.INVALID, Message.KEY_INVALID, "idempotencyKey") from error
    return text, key


async def _write(
    tx: Statements, author: Viewer, text: str, parent: PostKey | None, key: str | None
) -> PostRow:
    # The author's row is the lock under which a key is looked up again and one author's events keep their order.
    await tx.many(IdRow, USERS["lock_users"], [author.id])
    before = await _made_before(tx, author, key, text, parent)
    if before is not None:
        return before
    if key is not None:
        await tx.run(POSTS["forget_idempotency_key"], author.id, key)
    if parent is not None:
        # A block takes the author's lock as well, so one that came since the gate was asked is seen here.
        blocked = await tx.maybe(UserIdRow, TIES["blocked_either_way"], author.id, parent.author_id)
        if blocked or await tx.maybe(PostRow, POSTS["lock_post"], *parent) is None:
            raise not_found(Message.REPLY_TO_NOT_FOUND, "replyToId")
    post = await tx.one(
        PostRow, POSTS["insert_post"], author.id, text, text_direction(text), *(parent or (None, None)), key
    )
    entry = EntryRow(author.id, post.id, author.id, post.id, post.reply_to_author_id)
    await tx.run(ENTRIES["insert_entry"], *entry)
    await tx.run(USERS["count_post"], author.id, 1)
    if parent is not None:
        await tx.run(POSTS["insert_reply"], *parent, post.id, author.id)
        await tx.run(POSTS["count_reply"], *parent, 1)
        await announce_changed_post(tx, parent)
    await announce_entry(tx, ENTRY_ADDED, entry)
    return post


async def _made_before(
    db: Statements, author: Viewer, key: str | None, text: str, parent: PostKey | None
) -> PostRow | None:
    """The post that this key made in the last 24 hours, None when there is none. Raises Refusal."""
    if key is None:
        return None
    row = await db.maybe(KeyedPostRow, POSTS["post_by_idempotency_key"], author.id, key)
    if row is None or not _key_holds(row.id):
        return None
    if row.deleted:
        raise not_found(Message.KEY_DELETED, "idempotencyKey")
    post = PostRow(*row[:-1])
    if post.text != text or post.reply_to != parent:
        raise Refusal(UserErrorCode.CONFLICT, Message.KEY_USED, "idempotencyKey")
    return post


def _key_holds(post_id: int) -> bool:
    return datetime.now(UTC) - time_of(post_id) < KEY_LIFETIME


async def delete_post(ctx: Context, post_gid: str) -> PostKey:
    """Delete the viewer's own post. Repeating it succeeds. Replies to it stay, reposts of it vanish."""
    author = ctx.require_viewer()
    key = post_key_of(post_gid)
    if key is None:
        raise not_found(Message.POST_NOT_FOUND, "postId")
    if key.author_id != author.id:
        if await visible_post(ctx, key) is None:
            raise not_found(Message.POST_NOT_FOUND, "postId")
        raise Refusal(UserErrorCode.FORBIDDEN, Message.NOT_YOUR_POST, "postId")
    async with ctx.db.transaction() as tx:
        await _bury(tx, author, key)
    ctx.changed()
    ctx.services.bus.ring()
    return key


async def _bury(tx: Statements, author: Viewer, key: PostKey) -> None:
    await tx.many(IdRow, USERS["lock_users"], [author.id])
    stored = await tx.maybe(PostRow, POSTS["post_as_stored"], *key)
    if stored is None:
        if await tx.maybe(IdRow, POSTS["was_deleted"], *key) is None:
            raise not_found(Message.POST_NOT_FOUND, "postId")
        return
    # Who acts on two posts locks them in key order: the parent may be counted by somebody else right now.
    locks = sorted({key} | ({stored.reply_to} if stored.reply_to else set()))
    locked = {lock: await tx.maybe(PostRow, POSTS["lock_post"], *lock) for lock in locks}
    post = locked[key]
    if post is None:
        return
    await tx.run(POSTS["bury_post"], *key)
    await tx.run(ENTRIES["delete_entry"], *key)
    await tx.run(USERS["count_post"], author.id, -1)
    if post.reply_to is not None:
        await tx.run(POSTS["delete_reply"], *post.reply_to, post.id, post.author_id)
        if locked.get(post.reply_to) is not None:
            await tx.run(POSTS["count_reply"], *post.reply_to, -1)
            await announce_changed_post(tx, post.reply_to)
    await announce_removed_post(tx, post)
