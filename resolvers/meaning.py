"""What events mean to those who watch a timeline, at the moment when they are delivered.

Everything is asked for many readers at once: a number of statements for all of them, however many there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic

from dataloaders.rows import EntryKey, EntryRow, Pair, PostKey, RepostRow, id_at
from resolvers import events as what
from resolvers.context import Context
from resolvers.feeds import Added, Asked, Changes, Due, Happening, Meaning, R, Removed, Told, Updated
from resolvers.home import Home, reply_comes_in, repost_is_covered, reposts_for, rests
from resolvers.timelines import HOME, PUBLIC
from resolvers.visibility import Sight, VisibleEntry, sight_of

# An entry that is told so long after it was made may be of somebody who was unfollowed more than a second ago, which a
# process that was held up has not read of. Who is followed now then decides; for others that need not be read.
LATE = timedelta(seconds=0.5)


async def meaning_of(
    ctx: Context, kind: str, due: Sequence[Due[R]], changes: Changes[R], asked: Asked
) -> Meaning[R]:
    """What each event means to its readers now. The cursors are filled in by who sends it.

    What an answer needs of posts and accounts is known to the context's loaders then, and to the meaning's sight.
    """
    if kind == PUBLIC:
        # A viewer's own log also has what reposters' followers are told: not meant for this timeline.
        due = [item for item in due if item.row.public]
    entries = {
        item.row.number: what.entry_event(item.row).entry
        for item in due
        if item.row.kind in (what.ENTRY_ADDED, what.ENTRY_REMOVED)
    }
    standing = await _standing(ctx, due, entries)
    later = {
        number: [
            entry._replace(actor_id=other.actor_id, id=other.entry_id)
            for other in standing.get(entry.post_key, ())
            if rests(entry.id, other.entry_id)
        ]
        for number, entry in entries.items()
        if entry.is_repost
    }
    all_entries = [*entries.values(), *(entry for some in later.values() for entry in some)]
    old = id_at(datetime.now(UTC) - LATE) if kind == HOME else 0
    sight = await _sight(ctx, due, all_entries, asked, followed=any(entry.id < old for entry in all_entries))
    telling = _Telling(entries, standing, later, sight, changes, old)
    return Meaning([told for item in due for told in telling.of(item)], sight)


async def _standing(
    ctx: Context, due: Sequence[Due[R]], entries: Mapping[int, EntryRow]
) -> dict[PostKey, list[RepostRow]]:
    """The reposts that are there, of posts that came or went by a repost."""
    reposts = [item for item in due if item.row.number in entries and entries[item.row.number].is_repost]
    homes = {
        id(reader): reader.home for item in reposts for reader in item.readers if reader.home is not None
    }
    return await reposts_for(
        ctx, list(homes.values()), (entries[item.row.number].post_key for item in reposts)
    )


async def _sight(
    ctx: Context, due: Sequence[Due[R]], entries: Iterable[EntryRow], asked: Asked, *, followed: bool
) -> Sight:
    posts: dict[Pair, None] = {}
    users: set[int] = set()
    for entry in entries:
        posts[entry[2:4]] = None
        users |= {entry.actor_id, entry.post_author_id}
    for item in due:
        if item.row.kind in (what.POST_CHANGED, what.POST_REMOVED):
            key = what.post_event(item.row).post
            users.add(key.author_id)
            if item.row.kind == what.POST_CHANGED:
                posts[key] = None
    # Who reposted is asked for as well; authors come with their posts.
    await ctx.loaders.users.load_many(users - {author_id for author_id, _ in posts})
    if asked.answered:
        rows = await ctx.loaders.posts.load_many(posts)
        answered = [row.reply_to for row in rows if row is not None and row.reply_to is not None]
        posts |= dict.fromkeys(answered)
        users |= {key.author_id for key in answered}
    viewers = {reader.viewer_id for item in due for reader in item.readers}
    return await sight_of(
        ctx,
        [id for id in viewers if id is not None],
        users,
        posts,
        posts if asked.marks else None,
        followed=followed,
    )


class _Telling(Generic[R]):
    """Tells events of which all is read."""

    def __init__(
        self,
        entries: Mapping[int, EntryRow],
        standing: Mapping[PostKey, Sequence[RepostRow]],
        later: Mapping[int, Sequence[EntryRow]],
        sight: Sight,
        changes: Changes[R],
        old: int,
    ) -> None:
        self._entries, self._standing, self._later = entries, standing, later
        self._sight, self._changes = sight, changes
        # Entries with smaller ids come in for who follows their actors now.
        self._old = old
        # What is told of these events, and not noted yet.
        self._changed: Changes[R] = Changes()

    def of(self, due: Due[R]) -> list[Told[R]]:
        """What one event means, to whom."""
        row, readers = due
        if row.number in self._entries:
            return self._of_entry(due, self._entries[row.number])
        if row.kind not in (what.POST_CHANGED, what.POST_REMOVED):
            return []
        event = what.post_event(row)
        if row.kind == what.POST_REMOVED:
            knowing = self._sight.knowing(readers, event.post.author_id)
            if event.entry is None:
                return []
            return _told(Removed("", EntryKey(*event.entry), event.post), row.number, knowing)
        for changes in (self._changes, self._changed):
            readers = changes.news(event.post, event.change, readers)
        post, seeing = self._sight.post(event.post, readers)
        if post is None:
            return []
        self._changed.note(event.post, event.change, seeing)
        return _told(Updated("", post), row.number, seeing, event.change)

    def _of_entry(self, due: Due[R], entry: EntryRow) -> list[Told[R]]:
        row, readers = due
        came = row.kind == what.ENTRY_ADDED
        steps: list[tuple[Happening, Sequence[R]]] = []
        # Of what is hidden not even a repost that went is told.
        knowing = readers if came else self._sight.knowing(readers, entry.post_author_id)
        if came:
            found, seeing = self._shown(entry, readers)
            if found is not None:
                steps.append((Added("", found), seeing))
        else:
            steps.append((Removed("", entry.key, None), knowing))
        later = self._later.get(row.number, ())
        if not later:
            return [told for happening, some in steps for told in _told(happening, row.number, some)]
        # What a repost uncovers when it goes, or covers when it was committed late.
        knowing = self._sight.knowing(readers, entry.post_author_id)
        for other in later:
            having = [reader for reader in knowing if _has(reader.home, other.actor_id)]
            found, seeing = self._shown(other, having)
            if found is not None:
                steps.append((Added("", found), seeing))
            if came:
                seen = set(map(id, seeing))
                steps.append((Removed("", other.key, None), [one for one in having if id(one) not in seen]))
        return _in_order(steps, row.number)

    def _shown(self, entry: EntryRow, readers: Sequence[R]) -> tuple[VisibleEntry | None, Sequence[R]]:
        """The entry and those into whose timeline it comes; None when it is not there any more."""
        reposts = self._standing.get(entry.post_key, ())
        if entry.is_repost and all((one.actor_id, one.entry_id) != entry.key for one in reposts):
            return None, ()
        found, seeing = self._sight.entry(entry, readers)
        if entry.id < self._old:
            seeing = self._sight.following(seeing, entry.actor_id)
        if entry.is_repost:
            seeing = [reader for reader in seeing if not _is_covered(entry, reader.home, reposts)]
        elif entry.reply_to_author_id is not None:
            seeing = [reader for reader in seeing if _answer_comes_in(entry, reader.home)]
        return found, seeing


def _has(home: Home | None, user_id: int) -> bool:
    return home is not None and user_id in home.members


def _is_covered(entry: EntryRow, home: Home | None, reposts: Iterable[RepostRow]) -> bool:
    return home is not None and repost_is_covered(
        entry, home, [one for one in reposts if one.actor_id in home.members]
    )


def _answer_comes_in(entry: EntryRow, home: Home | None) -> bool:
    return home is not None and reply_comes_in(entry.actor_id, entry.reply_to_author_id, home)


def _told(happening: Happening, number: int, readers: Sequence[R], change: int = 0) -> list[Told[R]]:
    return [Told(happening, number, number, readers, change)] if readers else []


def _in_order(steps: Sequence[tuple[Happening, Sequence[R]]], number: int) -> list[Told[R]]:
    """Several things from one event: only with the last that a reader is told its cursor passes the event."""
    of_reader: dict[int, list[int]] = defaultdict(list)
    readers: dict[int, R] = {}
    for nth, (_, some) in enumerate(steps):
        for reader in some:
            of_reader[id(reader)].append(nth)
            readers[id(reader)] = reader
    alike: dict[tuple[int, ...], list[R]] = defaultdict(list)
    for key, nths in of_reader.items():
        alike[tuple(nths)].append(readers[key])
    return [
        Told(steps[nth][0], number, number if nth == nths[-1] else number - 1, some)
        for nths, some in alike.items()
        for nth in nths
    ]
