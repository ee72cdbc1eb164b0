"""The gate: the only place where a stored row becomes one that the viewer may see.

The rules are pure functions that give their reason. Lists, look-ups, replies, timelines and live events all come
through here; schema types can be built from nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, NewType, TypeVar

from dataloaders.rows import (
    EntryKey,
    EntryRow,
    Pair,
    PostKey,
    PostRow,
    Relation,
    RelationRow,
    TieRow,
    UserRow,
)
from dataloaders.ties import relations
from resolvers.context import Context, Reader, Viewer

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


async def ties_to(
    ctx: Context, user_ids: Iterable[int], posts: Sequence[Pair] = (), *, whole: bool = False
) -> Mapping[int | Pair, TieRow]:
    """The viewer's ties to accounts, by their ids; it may have more than was asked for.

    Without those that cannot be: of anonymous viewers, and to oneself. What the viewer did with the posts is read in
    the same statement when the operation is going to ask for it. `whole`: see Loader.load_mapping.
    """
    if ctx.viewer is None:
        return {}
    others: set[int | Pair] = set(user_ids)
    others.discard(ctx.viewer.id)
    if ctx.reads_marks:
        others.update(posts)
    return await ctx.loaders.viewer_side.load_mapping(others, whole=whole)


async def _hidden_authors(
    ctx: Context, ids: Iterable[int], posts: Sequence[Pair], *, whole: bool = False
) -> set[int]:
    """Those of the accounts whose posts are hidden from the viewer."""
    asked = set(ids)
    ties = await ties_to(ctx, asked, posts, whole=whole)
    return {id for id in asked if why_post_hidden(ties.get(id)) is not None}


async def visible_users(ctx: Context, ids: Sequence[int], *, whole: bool = False) -> list[VisibleUser | None]:
    """The accounts as far as the viewer may find them, in the order asked. `whole`: see Loader.load_mapping."""
    if not ids:
        return []
    known = await ctx.loaders.users.load_mapping(ids, whole=whole)
    rows = [known[id] for id in ids]
    ties = await ties_to(ctx, ids, whole=whole)
    return [
        VisibleUser(row) if row is not None and why_user_hidden(ties.get(row.id)) is None else None
        for row in rows
    ]


async def visible_user(ctx: Context, id: int) -> VisibleUser | None:
    """The account, None when it is not there for the viewer."""
    return (await visible_users(ctx, [id]))[0]


async def visible_posts(ctx: Context, keys: Sequence[PostKey]) -> list[VisiblePost | None]:
    """The posts as far as the viewer may see them, in the order asked."""
    if not keys:
        return []
    rows = await ctx.loaders.posts.load_many(keys)
    hidden = await _hidden_authors(ctx, [key.author_id for key in keys], keys)
    return [VisiblePost(row) if row is not None and row.author_id not in hidden else None for row in rows]


async def visible_post(ctx: Context, key: PostKey) -> VisiblePost | None:
    """The post, None when it is not there for the viewer."""
    return (await visible_posts(ctx, [key]))[0]


async def visible_entries(ctx: Context, rows: Sequence[EntryRow]) -> list[VisibleEntry | None]:
    """The entries whose post may be seen and whose actor is not hidden either, in the order given."""
    if not rows:
        return []
    keys = [row[2:4] for row in rows]
    # Of authors and actors at once: who brought a post in costs no statement of its own.
    people = [row.actor_id for row in rows] + [row.post_author_id for row in rows]
    hidden = await _hidden_authors(ctx, people, keys, whole=len(rows) > 1)
    posts = await ctx.loaders.posts.load_many(keys)
    make = tuple.__new__  # half the price of calling the class
    return [
        make(VisibleEntry, (row, post))
        if post is not None and post.author_id not in hidden and row.actor_id not in hidden
        else None
        for row, post in zip(rows, posts, strict=True)
    ]


async def visible_entry(ctx: Context, key: EntryKey) -> VisibleEntry | None:
    """The entry, None when it is not there for the viewer."""
    row = await ctx.loaders.entries.load(key)
    return None if row is None else (await visible_entries(ctx, [row]))[0]


R = TypeVar("R", bound=Reader)
# Why posts are hidden, as bits: the same rule as why_post_hidden.
_HIDING = int(Relation.BLOCKED_BY_VIEWER | Relation.BLOCKS_VIEWER)
_FOLLOWED = int(Relation.FOLLOWED_BY_VIEWER)
NOBODY: Mapping[int, int] = {}
# In the order of a TieRow. As numbers: an enum's arithmetic took a seventh of replaying.
_BITS = [int(relation) for relation in Relation]
_NOTHING = [False] * len(_BITS)


class Sight:
    """What several viewers may see of some posts: read once for all, and asked for whom something is."""

    def __init__(
        self, posts: Mapping[Pair, PostRow | None], found: Iterable[RelationRow], *, followed: bool
    ) -> None:
        self._posts = posts
        self._followed = followed
        # By account or post, then by viewer: bits of Relation.
        self._relations: dict[int | Pair, dict[int, int]] = {}
        for viewer_id, user_id, post_id, what in found:
            key = user_id if post_id is None else (user_id, post_id)
            of_key = self._relations.setdefault(key, {})
            of_key[viewer_id] = of_key.get(viewer_id, 0) | what

    def relation(self, key: int | Pair) -> Mapping[int, int]:
        """What stands between viewers and an account or a post, by viewer; of who is not there nothing does."""
        return self._relations.get(key, NOBODY)

    def knowing(self, readers: Sequence[R], *user_ids: int) -> Sequence[R]:
        """Those from whom the posts of none of these accounts are hidden."""
        hidden = {
            viewer
            for user_id in user_ids
            for viewer, what in self.relation(user_id).items()
            if what & _HIDING and viewer != user_id
        }
        return [reader for reader in readers if reader.viewer_id not in hidden] if hidden else readers

    def following(self, readers: Sequence[R], user_id: int) -> Sequence[R]:
        """Those who follow the account, and itself. Raises ValueError where it was not read who does."""
        if not self._followed:
            raise ValueError("who follows the accounts was not read")
        ties = self.relation(user_id)
        return [
            reader
            for reader in readers
            if reader.viewer_id is not None
            and (reader.viewer_id == user_id or ties.get(reader.viewer_id, 0) & _FOLLOWED)
        ]

    def post(self, key: PostKey, readers: Sequence[R]) -> tuple[VisiblePost | None, Sequence[R]]:
        """The post and those who see it; None when it is gone."""
        post = self._posts[key]
        return (None, ()) if post is None else (VisiblePost(post), self.knowing(readers, key.author_id))

    def entry(self, row: EntryRow, readers: Sequence[R]) -> tuple[VisibleEntry | None, Sequence[R]]:
        """The entry and those who may see its post and who brought it in; None when the post is gone."""
        post = self._posts[row[2:4]]
        if post is None:
            return None, ()
        seeing = self.knowing(readers, row.post_author_id, row.actor_id)
        return VisibleEntry(row, VisiblePost(post)), seeing

    def ties(self, viewer_id: int, keys: Iterable[int | Pair]) -> dict[int | Pair, TieRow]:
        """What stands between a viewer and these accounts and posts, as a loader would know it."""
        return {key: _tie(key, self.relation(key).get(viewer_id, 0)) for key in keys}


def _tie(key: int | Pair, what: int) -> TieRow:
    user_id, post_id = key if isinstance(key, tuple) else (key, None)
    return TieRow(user_id, post_id, *([bool(what & bit) for bit in _BITS] if what else _NOTHING))


async def sight_of(
    ctx: Context,
    viewers: Sequence[int],
    users: Iterable[int],
    posts: Iterable[Pair],
    asked_of: Iterable[Pair] | None = None,
    *,
    followed: bool = False,
) -> Sight:
    """Read what these viewers may see of these accounts' posts, in two statements however many there are.

    `asked_of`: posts of which, and of whose authors, it is going to be asked what the viewers did; None when it is not.
    `followed`: it is going to be asked who follows the accounts.
    """
    keys = list(dict.fromkeys(posts))
    rows = dict(zip(keys, await ctx.loaders.posts.load_many(keys), strict=True)) if keys else {}
    found: list[RelationRow] = []
    about = sorted(set(users))
    if viewers and about:
        async with ctx.db.turn() as db:
            marked = sorted(set(asked_of or ()))
            marks = asked_of is not None
            found = await relations(db, viewers, about, marked, marks=marks, followed=followed)
    return Sight(rows, found, followed=followed)


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
