"""Live timelines: what happened since a cursor, then what happens, each event gated when it is delivered.

A stream catches up with the log as far as this process has read it; events are numbered in commit order, and a cursor
is an epoch and a number (decision 0003). Whoever has caught up hears what comes: alone, as here, or together with all
who ask the same (app/live).
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, TypeVar

from dataloaders.database import DatabaseUnavailable, Statements
from dataloaders.log import (
    count_of_owners,
    count_public,
    log_floor,
    log_head,
    log_of_owners,
    public_log,
    ties_in_log,
)
from dataloaders.rows import HeadRow, LogRow, PostKey
from resolvers.context import Context
from resolvers.errors import InvalidCursor
from resolvers.feeds import Asked, Changes, Due, Happening, Updated, resets
from resolvers.home import Home, live_home_of
from resolvers.meaning import meaning_of
from resolvers.timelines import HOME, PUBLIC

# Whoever missed more is told to fetch the page again, which is cheaper for both sides.
MOST_REPLAYED = 10_000
# Events resolved together share their reads; what was resolved longer ago is resolved again before it is sent.
TOGETHER = 100
# Missed events are read so many at a time: of a day of hundreds of accounts, reading ten takes as long as reading all.
READ = 1_000
FRESH_SECONDS = 0.25
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


# A position of no log.
NOWHERE = HeadRow("", 0)


class Replay(NamedTuple):
    """Some events, each with the number of what caused it; all up to `up_to` is in them."""

    events: Sequence[tuple[int, LiveEvent]]
    up_to: int


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


def home_timeline(ctx: Context, after: str | None) -> "Timeline":
    """The viewer's home timeline as it happens. Raises Unauthenticated, InvalidCursor."""
    ctx.require_viewer()
    return Timeline(ctx, HOME, None if after is None else read_live_cursor(HOME, after))


def public_timeline(ctx: Context, after: str | None) -> "Timeline":
    """The public timeline as it happens. Raises InvalidCursor."""
    return Timeline(ctx, PUBLIC, None if after is None else read_live_cursor(PUBLIC, after))


class Timeline:
    """One reader's stream of a timeline. `since` is where it was, NOWHERE when that cannot be proved.

    `told_reset`: when it said Reset last (monotonic). `goes_on`: it began before, and waits for the database.
    """

    def __init__(
        self,
        ctx: Context,
        kind: str,
        since: HeadRow | None,
        *,
        told_reset: float = -RESET_EVERY,
        goes_on: bool = False,
    ) -> None:
        self.kind = kind
        # Whose timeline it is.
        self.viewer_id = ctx.viewer_id
        self.home: Home | None = None
        # What the answers depend on, which is read together then; None: each answer reads for itself.
        self.asked: Asked | None = None
        # Everything up to here was sent. Whoever sends moves it on, event by event.
        self.sent = 0
        self.epoch = ""
        self.told_reset = told_reset
        self._ctx = ctx
        self._since = since
        self._began = False
        self._goes_on = goes_on
        self._changes: Changes[Timeline] = Changes()
        # Changes that were resolved, by the number of their event: told when it was sent.
        self._changing: list[tuple[int, PostKey, int]] = []
        # Nothing up to here makes the stream begin anew.
        self._looked = 0
        # Events that were read from PostgreSQL and not sent yet, and the number up to which all are.
        self._ahead: list[LogRow] = []
        self._read_to = 0

    def cursor(self, number: int) -> str:
        """The cursor of a number."""
        return live_cursor(self.kind, self.epoch, number)

    async def catch_up(self) -> AsyncGenerator[Replay, None]:
        """What was missed, until this process knows of nothing more; then it ends without having waited since.

        Begins with Reset when nothing can be proved. The first time of all it ends with CaughtUp.
        """
        bus = self._ctx.services.bus
        first = not self._began and not self._goes_on
        if not self._began and not await self._begin():
            yield await self._reset()
        proved = False
        while True:
            epoch, seen = bus.head
            if epoch == self.epoch and self.sent < seen:
                # Before anything is sent: a replay is whole or there is none, and who was unfollowed is not in it.
                if bus.is_reset(self, self.sent) or not (
                    proved or await self._patiently(partial(self._is_provable, seen))
                ):
                    yield await self._start_over()
                    continue
                proved, self._looked = True, seen
            if epoch != self.epoch and not await self._is_ahead():
                yield await self._start_over()
            elif self.sent < seen:
                rows = await self._patiently(partial(self._missed, seen))
                if rows is None or any(resets(row, self.kind, self.viewer_id) for row in rows):
                    yield await self._start_over()
                else:
                    yield await self._patiently(partial(self._resolve, rows, seen))
            elif first:
                first = False
                yield Replay([(self.sent, CaughtUp(self.cursor(self.sent)))], self.sent)
            else:
                break
        await self._ctx.renew()

    async def replays(self) -> AsyncGenerator[Replay, None]:
        """All of it, for ever. Raises TooSlow when whoever reads it does not keep up."""
        bus = self._ctx.services.bus
        with bus.listen(self) as listener:
            told_at = time.monotonic()
            while True:
                async with aclosing(self.catch_up()) as replays:
                    async for replay in replays:
                        listener.hear(self.home)
                        yield replay
                        listener.check()
                        if replay.events:
                            told_at = time.monotonic()
                # Also when all that came lately meant nothing to the viewer.
                if not await listener.wait(told_at + QUIET - time.monotonic()):
                    self.sent = max(self.sent, bus.head.number)
                    yield Replay([(self.sent, CaughtUp(self.cursor(self.sent)))], self.sent)
                    told_at = time.monotonic()

    async def events(self) -> AsyncGenerator[LiveEvent, None]:
        """The same, one event after the other."""
        async with aclosing(self.replays()) as replays:
            async for replay in replays:
                for nth in self.sending(replay):
                    yield replay.events[nth][1]

    def sending(self, replay: Replay) -> Iterator[int]:
        """Which of the events to send, each when it is asked for: not those that have become old meanwhile.

        None at all when the viewer's ties changed meanwhile: the reading may have waited for many others' turns.
        """
        resolved, last = time.monotonic(), 0
        bus = self._ctx.services.bus
        for nth, (number, event) in enumerate(replay.events):
            if nth and number > last and time.monotonic() - resolved > FRESH_SECONDS:
                return
            if isinstance(event, Happening) and bus.is_reset(self, self._looked):
                return
            yield nth
            self.sent = last = number
        self.sent = replay.up_to

    async def _begin(self) -> bool:
        """Find out where to begin. False when nothing can be proved of where the client was."""
        self._began = True
        since = self._since
        head = self._ctx.services.bus.head
        read = self._patiently if self._goes_on else self._read
        if since is None or since.epoch != head.epoch or since.number > head.number:
            # What a worker knows may be old: the future is what PostgreSQL has not numbered.
            head = await read(partial(_head, self._ctx))
        self.epoch, self.sent = head
        await read(self._load)
        if since is None:
            return True
        if since.epoch != head.epoch or since.number > head.number:
            return False
        self.sent = since.number
        return True

    async def _is_ahead(self) -> bool:
        """Whether it is this process, and not the stream, that has not heard of another epoch."""
        head = await self._patiently(partial(_head, self._ctx))
        if head.epoch == self.epoch:
            await asyncio.sleep(RETRY_EVERY)
        return head.epoch == self.epoch

    async def _load(self) -> None:
        if self.kind == HOME:
            self.home = await live_home_of(self._ctx)

    async def _start_over(self) -> Replay:
        """Begin from here on; whose entries come in is read after the position, so what changes later is seen."""
        self.epoch, self.sent = self._ctx.services.bus.head
        self._ahead, self._read_to = [], 0
        await self._patiently(self._load)
        return await self._reset()

    async def _reset(self) -> Replay:
        wait = self.told_reset + RESET_EVERY - time.monotonic()
        if wait > 0:
            await self._ctx.renew()
            await asyncio.sleep(wait)
        self.told_reset = time.monotonic()
        return Replay([(self.sent, Reset(self.cursor(self.sent)))], self.sent)

    async def _is_provable(self, up_to: int) -> bool:
        """Whether all that was missed can be replayed: not too many events, and none that events cannot tell."""
        rows = self._ctx.services.bus.recent(self, self.sent, up_to, MOST_REPLAYED + 1)
        if rows is not None:
            return len(rows) <= MOST_REPLAYED
        async with self._ctx.db.turn() as db:
            if self.viewer_id is not None and await ties_in_log(
                db, self.viewer_id, self.sent, up_to, block=self.kind == PUBLIC
            ):
                return False
            if up_to - self.sent <= MOST_REPLAYED:
                return True
            # Most missed less than a page, which is read anyway: only of more it is counted how much there is.
            if not await self._read_on(db, up_to):
                return False
            if self._read_to == up_to:
                return sum(row.number > self.sent for row in self._ahead) <= MOST_REPLAYED
            if self.home is None:
                found = await count_public(db, self.sent, up_to, MOST_REPLAYED + 1)
            else:
                found = await count_of_owners(db, self.home.actors, self.sent, up_to, MOST_REPLAYED + 1)
        return found <= MOST_REPLAYED

    async def _missed(self, up_to: int) -> list[LogRow] | None:
        """The next events of this timeline; None when some were dropped."""
        rows = self._ctx.services.bus.recent(self, self.sent, up_to, TOGETHER)
        if rows is not None:
            # Of what is read from memory nothing says how far it was read in PostgreSQL.
            self._ahead, self._read_to = [], 0
            return rows
        self._ahead = [row for row in self._ahead if row.number > self.sent]
        if len(self._ahead) < TOGETHER and self._read_to < up_to:
            async with self._ctx.db.turn() as db:
                if not await self._read_on(db, up_to):
                    return None
        return self._ahead[:TOGETHER]

    async def _read_on(self, db: Statements, up_to: int) -> bool:
        """Read what follows from PostgreSQL, a part if it is much. False when some of it were dropped."""
        after = max(self.sent, self._read_to)
        if self.home is None:
            rows = await public_log(db, self.viewer_id, after, up_to, READ)
        else:
            rows = await log_of_owners(db, self.home.actors, after, up_to, READ)
        # The oldest are dropped: if the next one is there now, all were when they were read.
        if await log_floor(db) > after:
            return False
        self._ahead += rows
        self._read_to = rows[-1].number if len(rows) == READ else up_to
        return True

    async def _resolve(self, rows: Sequence[LogRow], up_to: int) -> Replay:
        """What the events mean. All up to the last one is in it, or up to `up_to` when there were not more."""
        if len(rows) == TOGETHER or len(self._ahead) > len(rows):
            up_to = rows[-1].number
        due: list[Due[Timeline]] = [Due(row, (self,)) for row in rows]
        for number, post, change in self._changing:
            if number <= self.sent:
                self._changes.note(post, change, (self,))
        told, sight = await meaning_of(self._ctx, self.kind, due, self._changes, self.asked or Asked())
        if self.asked is not None and self.viewer_id is not None:
            about = [key for item in told for key in item.about()]
            self._ctx.loaders.viewer_side.prime(sight.ties(self.viewer_id, about))
        self._changing = [
            (item.cause, item.happening.post.key, item.change)
            for item in told
            if isinstance(item.happening, Updated) and item.change
        ]
        return Replay([(item.cause, item.as_event(self.cursor(item.number))) for item in told], up_to)

    async def _patiently(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """Read, also when the database has to come back first: a stream that began waits for it."""
        while True:
            try:
                return await self._read(read)
            except DatabaseUnavailable:
                await self._ctx.renew()
                await asyncio.sleep(RETRY_EVERY)

    async def _read(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """Read what is so now; streams that catch up take turns, so that requests find connections too."""
        await self._ctx.renew()
        async with self._ctx.services.bus.catching_up:
            try:
                return await read()
            finally:
                await self._ctx.db.release()


async def _head(ctx: Context) -> HeadRow:
    async with ctx.db.turn() as db:
        return await log_head(db)
