"""Live timelines: what happened since a cursor, then what happens, each event gated when it is delivered.

Listen first, then read from PostgreSQL what was missed, then go on with what the hub brings, dropping what was sent
already. Events are numbered in commit order without gaps; a cursor is an epoch and a number (decision 0003).
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, TypeVar

from dataloaders.database import DatabaseUnavailable
from dataloaders.log import log_floor, log_head
from dataloaders.rows import HeadRow, LogRow
from resolvers.context import Context, Listener
from resolvers.errors import InvalidCursor
from resolvers.feeds import Feed, Happening, HomeFeed, PublicFeed
from resolvers.timelines import HOME, PUBLIC

# Whoever missed more is told to fetch the page again, which is cheaper for both sides.
MOST_REPLAYED = 10_000
# Events resolved together share their reads; what was resolved longer ago is resolved again before it is sent.
TOGETHER = 25
FRESH_SECONDS = 0.25
# Missed events are read so many at a time.
CHUNK = 200
# A stream says Reset at most so often (seconds).
RESET_EVERY = 1.0
# Seconds. A stream that told nothing for so long says where it is; clients are promised ten minutes.
QUIET = 300.0
# Seconds until what could not be read is read again.
RETRY_EVERY = 0.25

Read = TypeVar("Read")
_CURSOR = re.compile(r"([a-z])\.([0-9a-z]{1,32})\.([0-9]{1,18})")


class CaughtUp(NamedTuple):
    """Everything up to the cursor was sent."""

    cursor: str


class Reset(NamedTuple):
    """The list held cannot be brought up to date by events."""

    cursor: str


LiveEvent = Happening | CaughtUp | Reset


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
    # Before it is read whose events come in: what changes that afterwards has a greater number.
    start = await _head(ctx)
    await feed.load(listener)
    # After the listener hears: what it did not hear lies below.
    head = await _head(ctx)

    def cursor(number: int) -> str:
        return live_cursor(feed.kind, head.epoch, number)

    resets = _Resets(ctx)
    sent = start.number if start.epoch == head.epoch else head.number
    if since is not None:
        # A true cursor was a head before, so it lies below this one.
        if since.epoch == head.epoch and since.number <= sent:
            sent = since.number
        else:
            yield await resets.due(Reset(cursor(sent)))
    told_at, replayed = time.monotonic(), 0
    while sent < head.number:
        rows = await _patiently(ctx, partial(feed.missed, sent, head.number, CHUNK))
        floor = await _patiently(ctx, partial(_floor, ctx))
        # Only the oldest are dropped: if the next one is there now, all were when they were read.
        trimmed = floor is None or floor > sent + 1
        replayed += len(rows)
        if trimmed or replayed > MOST_REPLAYED or any(feed.resets(row) for row in rows):
            await ctx.renew()
            await _patiently(ctx, partial(feed.load, listener))
            yield await resets.due(Reset(cursor(head.number)))
            break
        async for event in _deliver(ctx, feed, rows, cursor):
            yield event
        sent = rows[-1].number if len(rows) == CHUNK else head.number
    sent = head.number
    yield CaughtUp(cursor(sent))
    await ctx.renew()
    async for batch in listener.events():
        rows = [row for row in batch.rows if row.number > sent]
        told: LiveEvent | None = None
        if batch.lost:
            head = await _patiently(ctx, partial(_head, ctx))
        if batch.lost or any(feed.resets(row) for row in rows):
            await ctx.renew()
            await _patiently(ctx, partial(feed.load, listener))
            sent = head.number if batch.lost else max(batch.seen, sent)
            told = await resets.due(Reset(cursor(sent)))
            yield told
        elif rows:
            async for told in _deliver(ctx, feed, rows, cursor):
                yield told
            sent = rows[-1].number
        if told is not None:
            told_at = time.monotonic()
        elif batch.quiet or time.monotonic() - told_at >= QUIET:
            # Also when all that came lately meant nothing to the viewer.
            sent = max(batch.seen, sent)
            yield CaughtUp(cursor(sent))
            told_at = time.monotonic()
        await ctx.renew()


async def _deliver(
    ctx: Context, feed: Feed, rows: Sequence[LogRow], cursor: Callable[[int], str]
) -> AsyncGenerator[LiveEvent, None]:
    """The events' meaning, some at a time, resolved again when sending took long."""
    at = 0
    while at < len(rows):
        await ctx.renew()
        some = rows[at : at + TOGETHER]
        meaning = await _patiently(ctx, partial(feed.resolve, some))
        resolved = time.monotonic()
        for row, found in zip(some, meaning, strict=True):
            if time.monotonic() - resolved > FRESH_SECONDS and row is not some[0]:
                break
            for event in found:
                # Only after the last of several does the cursor pass their cause.
                number = row.number if event is found[-1] else row.number - 1
                yield event._replace(cursor=cursor(number))
            at += 1


async def _patiently(ctx: Context, read: Callable[[], Awaitable[Read]]) -> Read:
    """Read, also when the database has to come back first: a stream that began waits for it."""
    while True:
        try:
            return await read()
        except DatabaseUnavailable:
            await ctx.renew()
            await asyncio.sleep(RETRY_EVERY)


async def _head(ctx: Context) -> HeadRow:
    async with ctx.db.turn() as db:
        return await log_head(db)


async def _floor(ctx: Context) -> int | None:
    async with ctx.db.turn() as db:
        return await log_floor(db)


class _Resets:
    """Spaces out Resets, holding no connection meanwhile."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = -RESET_EVERY

    async def due(self, reset: Reset) -> Reset:
        wait = self._last + RESET_EVERY - time.monotonic()
        if wait > 0:
            await self._ctx.renew()
            await asyncio.sleep(wait)
        self._last = time.monotonic()
        return reset
