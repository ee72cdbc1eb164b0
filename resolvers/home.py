"""The home timeline: whose entries come in, and which of them. How they are read: home_entries.py."""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain, compress
from typing import NamedTuple

from dataloaders.entries import ENTRIES
from dataloaders.posts import columns, posts_with_reposts
from dataloaders.rows import ID_SHIFT, EntryRow, Pair, PostKey, PostRow, RepostRow
from resolvers.context import Context, Viewer
from resolvers.visibility import VisibleEntry, visible_entries

# A post that came in at most so long before is not brought in again by a repost.
REPOST_REST = timedelta(hours=24) // timedelta(microseconds=1)
# For several homes all reposts of a post are read, up to so many; of more, those by the accounts that come into any of
# the homes, which are more to look up.
FEW_REPOSTERS = 500


class Home(NamedTuple):
    """Whose entries come into the viewer's home timeline: whom they follow, and their own. Sorted."""

    viewer: Viewer
    actors: Collection[int]
    members: Collection[int]


class Members(Collection[int]):
    """Sorted accounts in eight bytes each, a tenth of what a set takes: live homes are many."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = array("q", ids)

    def __contains__(self, id: object) -> bool:
        at = bisect_left(self._ids, id)  # type: ignore[call-overload]  # only accounts are asked for
        return at < len(self._ids) and bool(self._ids[at] == id)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


async def home_of(ctx: Context) -> Home:
    """The viewer's home. Raises Unauthenticated."""
    viewer = ctx.require_viewer()
    actors = sorted([*await ctx.loaders.followed_by.load(viewer.id), viewer.id])
    return Home(viewer, actors, frozenset(actors))


async def live_home_of(ctx: Context) -> Home:
    """The same, kept for as long as its stream is open. Raises Unauthenticated."""
    home = await home_of(ctx)
    members = Members(home.actors)
    return Home(home.viewer, members, members)


def reply_comes_in(author_id: int, reply_to_author_id: int | None, home: Home) -> bool:
    """A reply comes in when it is the viewer's, or answers its own author, the viewer or somebody followed."""
    return (
        reply_to_author_id is None
        or author_id == home.viewer.id
        or reply_to_author_id == author_id
        or reply_to_author_id in home.members
    )


def post_qualifies(entry: EntryRow, home: Home) -> bool:
    """Whether the entry's post comes into this timeline by itself, not as a repost."""
    return entry.post_author_id in home.members and reply_comes_in(
        entry.post_author_id, entry.reply_to_author_id, home
    )


def rests(earlier_id: int, later_id: int) -> bool:
    """Whether the later one comes at most 24 hours after the earlier one."""
    return earlier_id < later_id and (later_id >> ID_SHIFT) - (earlier_id >> ID_SHIFT) <= REPOST_REST


def repost_is_covered(entry: EntryRow, home: Home, reposts: Iterable[RepostRow]) -> bool:
    """Whether the repost is left out: the post, or a repost by one of the home's accounts, came just before.

    `reposts` are the post's reposts by the home's accounts.
    """
    if post_qualifies(entry, home) and rests(entry.post_id, entry.id):
        return True
    return any(
        repost.actor_id != entry.actor_id
        and (
            rests(repost.entry_id, entry.id)
            or (repost.entry_id == entry.id and repost.actor_id < entry.actor_id)
        )
        for repost in reposts
    )


async def reposts_for(
    ctx: Context, homes: Sequence[Home], keys: Iterable[PostKey]
) -> dict[PostKey, list[RepostRow]]:
    """The reposts of the posts by these homes' accounts, and maybe by others."""
    found: dict[PostKey, list[RepostRow]] = defaultdict(list)
    wanted = sorted(set(keys))
    if not wanted:
        return found
    async with ctx.db.turn() as db:
        rows: list[RepostRow] | None = None
        if len(homes) > 1:
            rows = await db.many(RepostRow, ENTRIES["some_reposters"], *columns(wanted), FEW_REPOSTERS + 1)
            counts = Counter((row.author_id, row.post_id) for row in rows)
            if counts and max(counts.values()) > FEW_REPOSTERS:
                rows = None
        if rows is None:
            actors = sorted(set(chain.from_iterable(home.actors for home in homes)))
            rows = await db.many(RepostRow, ENTRIES["reposts_by_actors"], *columns(wanted), actors)
    for row in rows:
        found[PostKey(row.author_id, row.post_id)].append(row)
    return found


async def home_posts(ctx: Context, home: Home, keys: Iterable[Pair]) -> Mapping[Pair, list[RepostRow]]:
    """The reposts of the posts by the home's accounts, read together with the posts, which the loaders know then."""
    wanted = list(dict.fromkeys(keys))
    if not wanted:
        return {}
    async with ctx.db.turn() as db:
        rows = await posts_with_reposts(db, wanted, home.actors)
    # Those that are gone are known to be gone.
    posts: dict[Pair, PostRow | None] = dict.fromkeys(wanted)
    reposts: dict[Pair, list[RepostRow]] = {}
    for row in rows:
        key = row[:2]
        posts[key] = row.post
        if row.actor_ids:
            reposts[key] = row.reposts
    ctx.loaders.posts.prime(posts)
    authors = {row.author_id: row for row in rows}
    ctx.loaders.users.prime({id: row.author for id, row in authors.items()})
    return reposts


async def admit(ctx: Context, home: Home, entries: Sequence[EntryRow]) -> list[VisibleEntry | None]:
    """The entries as the home timeline shows them: the gate first, then the reply rule and the repost rule."""
    fits = [
        entry.actor_id in home.members
        and (
            entry.reply_to_author_id is None
            or entry.is_repost
            or reply_comes_in(entry.actor_id, entry.reply_to_author_id, home)
        )
        for entry in entries
    ]
    fitting = list(compress(entries, fits))
    reposts = await home_posts(ctx, home, [entry[2:4] for entry in fitting])
    visible = iter(await visible_entries(ctx, fitting))
    shown = [next(visible) if fit else None for fit in fits]
    return [
        None
        if entry is not None
        and entry.row.is_repost
        and repost_is_covered(entry.row, home, reposts.get(entry.row[2:4], ()))
        else entry
        for entry in shown
    ]
