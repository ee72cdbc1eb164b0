"""Live timelines: what happened since a cursor, then what happens, each event gated when it is delivered.

Listen first, then read from PostgreSQL what was missed, then go on with what the hub brings, dropping what was sent
already. Events are numbered in commit order without gaps; a cursor is an epoch and a number (decision 0003).
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from dataloaders.log import log_floor, log_head, log_of_owners, public_log
from dataloaders.rows import EntryKey, HeadRow, LogRow, PostKey
from resolvers import events as what
from resolvers.context import Context, Listener
from resolvers.errors import InvalidCursor
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

# Whoever missed more is told to fetch the page again, which is cheaper for both sides.
MOST_REPLAYED = 10_000
# Events resolved together share their reads; what was resolved longer ago is resolved again before it is sent.
TOGETHER = 25
FRESH_SECONDS = 0.25
# A stream says Reset at most so often (seconds).
RESET_EVERY = 1.0
_CURSOR = re.compile(r"([a-z])\.([0-9a-z]{1,32})\.([0-9]{1,18})")


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


class CaughtUp(NamedTuple):
    """Everything up to the cursor was sent."""

    cursor: str


class Reset(NamedTuple):
    """The list held cannot be brought up to date by events."""

    cursor: str


LiveEvent = Added | Updated | Removed | CaughtUp | Reset


def live_cursor(kind: str, epoch: str, number: int) -> str:
    """The cursor of a timeline's stream; the same string for every viewer."""
    return base64.urlsafe_b64encode(f"{kind}.{epoch}.{number}".encode()).rstrip(b"=").decode()


def read_live_cursor(kind: str, text: str) -> HeadRow:
    """The epoch and number. Raises InvalidCursor for what never was a liveCursor of such a timeline."""
    try:
        raw = (
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii") if len(text) < 96 else ""
        )
    except (ValueError, binascii.Error):
        raw = ""
    found = _CURSOR.fullmatch(raw)
    if found is None or found[1] != kind or live_cursor(kind, found[2], int(found[3])) != text:
        raise InvalidCursor(
            "This is not a liveCursor of this timeline. Fetch the page and use the one it has."
        )
    return HeadRow(found[2], int(found[3]))


async def page_cursor(ctx: Context, kind: str) -> str:
    """The liveCursor of a page: the position that was taken before the page was read."""
    return live_cursor(kind, *await ctx.position())


class Feed(Protocol):
    """One timeline's selection of events, and what they mean to its viewer."""

    kind: str

    async def load(self, listener: Listener) -> None:
        """Read whose events come in, and listen to them."""

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        """Events of this timeline from the log."""

    def resets(self, row: LogRow) -> bool:
        """Whether the event changes more than events can tell."""

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Added | Updated | Removed]]:
        """What each event means to the viewer now; their cursors are filled in by the stream."""


class HomeFeed:
    """The home timeline: events of the accounts that the viewer follows, and their own."""

    kind = HOME

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._home: Home

    async def load(self, listener: Listener) -> None:
        self._home = await home_of(self._ctx)
        listener.widen(self._home.actors)

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        async with self._ctx.db.turn() as db:
            return await log_of_owners(db, self._home.actors, after, up_to, limit)

    def resets(self, row: LogRow) -> bool:
        return row.kind == what.TIES_CHANGED and row.owner_id == self._home.viewer.id

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Added | Updated | Removed]]:
        ctx, home = self._ctx, self._home
        came = [what.entry_event(row).entry for row in rows if row.kind == what.ENTRY_ADDED]
        shown = {entry.row.key: entry for entry in await admit(ctx, home, came) if entry is not None}
        posts = await _posts_of(ctx, rows)
        touched = await self._touched(rows)
        meaning: list[list[Added | Updated | Removed]] = []
        for row in rows:
            found: list[Added | Updated | Removed] = []
            if row.kind == what.ENTRY_ADDED:
                entry = what.entry_event(row).entry
                if entry.key in shown:
                    found.append(Added("", shown[entry.key]))
            elif row.kind == what.ENTRY_REMOVED:
                entry = what.entry_event(row).entry
                found.append(Removed("", entry.key, None))
            else:
                found += _post_meaning(row, posts)
            found += touched.get(row.number, [])
            meaning.append(found)
        return meaning

    async def _touched(self, rows: Sequence[LogRow]) -> dict[int, list[Added | Removed]]:
        """Reposts by others that a repost uncovers when it goes, or covers when it was committed late."""
        ctx, home = self._ctx, self._home
        reposts = [
            (row, what.entry_event(row).entry)
            for row in rows
            if row.kind in (what.ENTRY_ADDED, what.ENTRY_REMOVED) and what.entry_event(row).entry.is_repost
        ]
        others = await home_reposts(ctx, home, (entry.post_key for _, entry in reposts))
        later = {
            row.number: [
                entry._replace(actor_id=other.actor_id, id=other.entry_id)
                for other in others[entry.post_key]
                if rests(entry.id, other.entry_id)
            ]
            for row, entry in reposts
        }
        shown = {
            entry.row.key: entry
            for entry in await admit(ctx, home, [entry for some in later.values() for entry in some])
            if entry is not None
        }
        touched: dict[int, list[Added | Removed]] = {}
        for row, _ in reposts:
            touched[row.number] = [
                Added("", shown[entry.key]) if entry.key in shown else Removed("", entry.key, None)
                for entry in later[row.number]
                if row.kind == what.ENTRY_ADDED or entry.key in shown
            ]
        return touched


class PublicFeed:
    """The public timeline: everybody's posts."""

    kind = PUBLIC

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def load(self, listener: Listener) -> None:
        """Public events come in whoever they are of."""

    async def missed(self, after: int, up_to: int, limit: int) -> list[LogRow]:
        async with self._ctx.db.turn() as db:
            rows = await public_log(db, after, up_to, limit)
            if self._ctx.viewer_id is None:
                return rows
            up_to = rows[-1].number if len(rows) == limit else up_to
            own = await log_of_owners(db, [self._ctx.viewer_id], after, up_to, limit)
        return sorted([*rows, *(row for row in own if row.kind == what.TIES_CHANGED)])

    def resets(self, row: LogRow) -> bool:
        return row.kind == what.TIES_CHANGED and bool(row.data["block"])

    async def resolve(self, rows: Sequence[LogRow]) -> list[list[Added | Updated | Removed]]:
        came = [what.entry_event(row).entry for row in rows if row.kind == what.ENTRY_ADDED and row.public]
        shown = {
            entry.row.key: entry for entry in await visible_entries(self._ctx, came) if entry is not None
        }
        posts = await _posts_of(self._ctx, rows)
        meaning: list[list[Added | Updated | Removed]] = []
        for row in rows:
            if not row.public:
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
    for key, tie in zip(gone, await ties_to(ctx, [key.author_id for key in gone]), strict=True):
        posts[key] = why_post_hidden(tie) is None
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


async def watch_home(ctx: Context, after: str | None) -> AsyncGenerator[LiveEvent, None]:
    """The viewer's home timeline as it happens. Raises Unauthenticated, InvalidCursor, TooSlow."""
    viewer = ctx.require_viewer()
    since = None if after is None else read_live_cursor(HOME, after)
    async with (
        ctx.services.bus.listen(owners=[viewer.id], public=False) as listener,
        aclosing(_stream(ctx, HomeFeed(ctx), listener, since)) as stream,
    ):
        async for event in stream:
            yield event


async def watch_public(ctx: Context, after: str | None) -> AsyncGenerator[LiveEvent, None]:
    """The public timeline as it happens. Raises InvalidCursor, TooSlow."""
    since = None if after is None else read_live_cursor(PUBLIC, after)
    owners = [] if ctx.viewer is None else [ctx.viewer.id]
    async with (
        ctx.services.bus.listen(owners=owners, public=True) as listener,
        aclosing(_stream(ctx, PublicFeed(ctx), listener, since)) as stream,
    ):
        async for event in stream:
            yield event


async def _stream(
    ctx: Context, feed: Feed, listener: Listener, since: HeadRow | None
) -> AsyncGenerator[LiveEvent, None]:
    async with ctx.db.turn() as db:
        # Before it is read whose events come in: what changes that afterwards has a greater number.
        start = await log_head(db)
    await feed.load(listener)
    async with ctx.db.turn() as db:
        head = await log_head(db)
        floor = await log_floor(db)

    def cursor(number: int) -> str:
        return live_cursor(feed.kind, head.epoch, number)

    resets = _Resets()
    sent = start.number
    if since is not None:
        provable = since.epoch == head.epoch and since.number <= head.number
        kept = since.number == head.number or (floor is not None and since.number >= floor - 1)
        if provable and kept:
            sent = since.number
        else:
            yield await resets.due(Reset(cursor(head.number)))
            sent = head.number
    replayed = 0
    while sent < head.number:
        rows = await feed.missed(sent, head.number, TOGETHER * 8)
        replayed += len(rows)
        full = len(rows) == TOGETHER * 8
        if replayed > MOST_REPLAYED or any(feed.resets(row) for row in rows):
            await feed.load(listener)
            yield await resets.due(Reset(cursor(head.number)))
            break
        async for event in _deliver(ctx, feed, rows, cursor):
            yield event
        sent = rows[-1].number if full else head.number
        await ctx.renew()
    sent = head.number
    yield CaughtUp(cursor(sent))
    await ctx.renew()
    async for batch in listener.events():
        rows = [row for row in batch.rows if row.number > sent]
        if batch.lost:
            async with ctx.db.turn() as db:
                head = await log_head(db)
        if batch.lost or any(feed.resets(row) for row in rows):
            await ctx.renew()
            await feed.load(listener)
            sent = head.number if batch.lost else max(batch.seen, sent)
            yield await resets.due(Reset(cursor(sent)))
        elif rows:
            async for event in _deliver(ctx, feed, rows, cursor):
                yield event
            sent = rows[-1].number
        elif batch.quiet:
            sent = max(batch.seen, sent)
            yield CaughtUp(cursor(sent))
        await ctx.renew()


async def _deliver(
    ctx: Context, feed: Feed, rows: Sequence[LogRow], cursor: Callable[[int], str]
) -> AsyncGenerator[LiveEvent, None]:
    """The events' meaning, some at a time, resolved again when sending took long."""
    at = 0
    while at < len(rows):
        await ctx.renew()
        some = rows[at : at + TOGETHER]
        meaning = await feed.resolve(some)
        resolved = time.monotonic()
        for row, found in zip(some, meaning, strict=True):
            if time.monotonic() - resolved > FRESH_SECONDS and row is not some[0]:
                break
            for event in found:
                # Only after the last of several does the cursor pass their cause.
                number = row.number if event is found[-1] else row.number - 1
                yield event._replace(cursor=cursor(number))
            at += 1


class _Resets:
    """Spaces out Resets."""

    def __init__(self) -> None:
        self._last = -RESET_EVERY

    async def due(self, reset: Reset) -> Reset:
        wait = self._last + RESET_EVERY - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self._last = time.monotonic()
        return reset
