"""Which events concern a timeline, and what each means to its viewer at the moment when it is delivered."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from dataloaders.log import log_of_owners, public_log
from dataloaders.rows import EntryKey, EntryRow, LogRow, PostKey, RepostRow
from resolvers import events as what
from resolvers.context import Context, Listener
from resolvers.home import Home, admit, home_of, home_reposts, rests
from resolvers.timelines import HOME, PUBLIC
from resolvers.visibility import (
    VisibleEntry,
    VisiblePost,
    ties_to,
    visible_entries,
    visible_posts,
    why_post_hidden,
)

# Posts whose newest change a stream remembers, so that it tells a change once; forgetting repeats it, no more.
REMEMBERED = 500


class Added(NamedTuple):
    """An entry came in; clients add or replace it by its id."""

    cursor: str
    entry: VisibleEntry


class Updated(NamedTuple):
    """A post's counters moved."""

    cursor: str
    post: VisiblePost


class Removed(NamedTuple):
    """An entry left; `post` is set when the post itself is gone."""

    cursor: str
    entry: EntryKey
    post: PostKey | None


Happening = Added | Updated | Removed


class Feed(Protocol):
    """One timeline's selection of events, and what they mean to its viewer."""

    kind: str

    async def load(self, listener: Listener) -> None:
        """Read whose events come in, and listen to them."""

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        """Events of this timeline from the log."""

    def resets(self, row: LogRow) -> bool:
        """Whether the event changes more than events can tell."""

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Happening]]:
        """What each event means to the viewer now; their cursors are filled in by the stream."""


class HomeFeed:
    """The home timeline: events of the accounts that the viewer follows, and their own."""

    kind = HOME

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._home: Home
        self._changes = Changes()

    async def load(self, listener: Listener) -> None:
        self._home = await home_of(self._ctx)
        listener.widen(self._home.actors)

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        async with self._ctx.db.turn() as db:
            return await log_of_owners(db, self._home.actors, after, up_to, limit)

    def resets(self, row: LogRow) -> bool:
        return row.kind == what.TIES_CHANGED and row.owner_id == self._home.viewer.id

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Happening]]:
        ctx, home = self._ctx, self._home
        entries = {
            row.number: what.entry_event(row).entry
            for row in rows
            if row.kind in (what.ENTRY_ADDED, what.ENTRY_REMOVED)
        }
        reposts = [entry for entry in entries.values() if entry.is_repost]
        standing = await home_reposts(ctx, home, (entry.post_key for entry in reposts))
        # What a repost uncovers when it goes, or covers when it was committed late.
        later = {
            number: [
                entry._replace(actor_id=other.actor_id, id=other.entry_id)
                for other in (standing[entry.post_key] if entry.is_repost else ())
                if rests(entry.id, other.entry_id)
            ]
            for number, entry in entries.items()
        }
        added = [entries[row.number] for row in rows if row.kind == what.ENTRY_ADDED]
        came = {entry.key: entry for entry in chain(added, *later.values()) if _stands(entry, standing)}
        admitted = await admit(ctx, home, list(came.values()))
        shown = {entry.row.key: entry for entry in admitted if entry is not None}
        ties = await ties_to(ctx, (entry.post_author_id for entry in reposts))
        posts = await _posts_of(ctx, rows)
        told = self._changes.to_tell(rows)
        meaning: list[list[Happening]] = []
        for row in rows:
            found: list[Happening] = []
            if row.number in entries:
                entry = entries[row.number]
                if row.kind == what.ENTRY_ADDED and entry.key in shown:
                    found.append(Added("", shown[entry.key]))
                # Of what is hidden not even a repost that went is told.
                may_know = why_post_hidden(ties.get(entry.post_author_id)) is None
                if row.kind == what.ENTRY_REMOVED and may_know:
                    found.append(Removed("", entry.key, None))
                for other in later[row.number]:
                    if other.key in shown:
                        found.append(Added("", shown[other.key]))
                    elif row.kind == what.ENTRY_ADDED and may_know:
                        found.append(Removed("", other.key, None))
            elif row.kind != what.POST_CHANGED or row.number in told:
                found += _post_meaning(row, posts)
            meaning.append(found)
        return meaning


def _stands(entry: EntryRow, standing: dict[PostKey, list[RepostRow]]) -> bool:
    """Whether the entry was not taken back since; of posts the gate knows that."""
    return not entry.is_repost or any(
        (repost.actor_id, repost.entry_id) == entry.key for repost in standing[entry.post_key]
    )


class Changes:
    """Which events about counters to tell: a change is logged under the author and under each reposter."""

    def __init__(self) -> None:
        # By post: its newest change, and the number of the event that tells it.
        self._newest: dict[PostKey, tuple[int, int]] = {}

    def to_tell(self, rows: Sequence[LogRow]) -> frozenset[int]:
        """The numbers of those that tell something new; the last one of a post tells all before it.

        May be asked again about the same events.
        """
        newest: dict[PostKey, tuple[int, int]] = {}
        for row in rows:
            if row.kind == what.POST_CHANGED:
                event = what.post_event(row)
                newest[event.post] = max(event.change, newest.get(event.post, (0, 0))[0]), row.number
        for post, (change, _) in list(newest.items()):
            told, teller = self._newest.get(post, (0, 0))
            if 0 < change <= told and teller < rows[0].number:
                del newest[post]
        if len(self._newest) + len(newest) > REMEMBERED:
            self._newest.clear()
        self._newest.update(newest)
        return frozenset(number for _, number in newest.values())


class PublicFeed:
    """The public timeline: everybody's posts."""

    kind = PUBLIC

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._changes = Changes()

    async def load(self, listener: Listener) -> None:
        """Public events come in whoever they are of."""

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        async with self._ctx.db.turn() as db:
            return await public_log(db, self._ctx.viewer_id, after, up_to, limit)

    def resets(self, row: LogRow) -> bool:
        return row.kind == what.TIES_CHANGED and bool(row.data["block"])

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Happening]]:
        came = [what.entry_event(row).entry for row in rows if row.kind == what.ENTRY_ADDED and row.public]
        shown = {
            entry.row.key: entry for entry in await visible_entries(self._ctx, came) if entry is not None
        }
        posts = await _posts_of(self._ctx, rows)
        # The viewer's own log also has what reposters' followers are told: not meant for this timeline.
        told = self._changes.to_tell([row for row in rows if row.public])
        meaning: list[list[Happening]] = []
        for row in rows:
            if not row.public or (row.kind == what.POST_CHANGED and row.number not in told):
                meaning.append([])
            elif row.kind == what.ENTRY_ADDED:
                entry = shown.get(what.entry_event(row).entry.key)
                meaning.append([Added("", entry)] if entry is not None else [])
            else:
                meaning.append(list(_post_meaning(row, posts)))
        return meaning


async def _posts_of(ctx: Context, rows: Iterable[LogRow]) -> dict[PostKey, VisiblePost | bool]:
    """Posts that changed, as the viewer may see them; for those that are gone, whether they might have seen them."""
    changed = [what.post_event(row).post for row in rows if row.kind == what.POST_CHANGED]
    gone = [what.post_event(row).post for row in rows if row.kind == what.POST_REMOVED]
    posts: dict[PostKey, VisiblePost | bool] = {}
    for key, post in zip(changed, await visible_posts(ctx, changed), strict=True):
        posts[key] = False if post is None else post
    ties = await ties_to(ctx, (key.author_id for key in gone))
    for key in gone:
        posts[key] = why_post_hidden(ties.get(key.author_id)) is None
    return posts


def _post_meaning(row: LogRow, posts: dict[PostKey, VisiblePost | bool]) -> list[Updated | Removed]:
    if row.kind not in (what.POST_CHANGED, what.POST_REMOVED):
        return []
    event = what.post_event(row)
    post = posts[event.post]
    if isinstance(post, tuple):
        return [Updated("", post)] if row.kind == what.POST_CHANGED else []
    if row.kind == what.POST_REMOVED and post and event.entry is not None:
        return [Removed("", EntryKey(*event.entry), event.post)]
    return []
