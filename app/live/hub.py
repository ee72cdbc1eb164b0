"""One hub per process: reads the log once for all its listeners and hands each event to those whom it concerns."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog

from app import metrics
from app.live import wake
from app.live.bus import LOG, OUTBOX
from app.live.listeners import Group, Listener, Listeners, Waiting
from app.live.recent import RecentEvents
from app.live.sequencer import Sequencer
from dataloaders.database import Database, DatabaseUnavailable
from dataloaders.log import log_after, log_floor, log_head, sessions_revoked_lately
from dataloaders.rows import HeadRow, LogRow
from resolvers.context import Reader, Watcher
from resolvers.events import SESSION_REVOKED
from resolvers.timelines import PUBLIC

# Seconds. Without a wake-up the log is looked at so often; revocations must arrive within one second.
LOOK_EVERY = 0.25
# A hub that has not looked at the log for so long does not say how far the log is.
STALE = 4 * LOOK_EVERY
READ = 500
# Streams that read at once while they catch up. More would not be faster, and requests need connections as well.
CATCHING_UP = 4

log = structlog.get_logger("maydan.hub")


class LiveHub:
    """Implements resolvers.context.Bus for this process."""

    def __init__(self, database: Database, token_seconds: float) -> None:
        self._database = database
        self._token_seconds = token_seconds
        self._wake = asyncio.Event()
        self._bus: wake.Wakes | None = None
        self.listeners = Listeners()
        self._recent = RecentEvents(0)
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        self._revoked: dict[int, float] = {}
        self._on_revoked: set[Callable[[int], None]] = set()
        self._epoch = ""
        self.seen = 0
        # When all of the log was known here last, by the monotonic clock.
        self._looked = 0.0
        holder = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.sequencer = Sequencer(database, holder, self._numbered)

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, database: Database, redis_url: str, *, token_seconds: float
    ) -> "AsyncIterator[LiveHub]":
        """A hub that reads, numbers and listens until the end of the block."""
        hub = cls(database, token_seconds)
        heard = {OUTBOX: hub.sequencer.wake, LOG: hub._wake.set}
        await hub._start()
        async with wake.connected(redis_url, heard) as bus:
            hub._bus = bus
            tasks = [asyncio.create_task(hub._read()), asyncio.create_task(hub.sequencer.run())]
            try:
                yield hub
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def bus_is_up(self) -> bool:
        """Whether Valkey answers."""
        return self._bus is not None and self._bus.up

    @property
    def listener_count(self) -> int:
        """How many streams listen here."""
        return len(self.listeners.all)

    @property
    def head(self) -> HeadRow:
        """How far the log was read here."""
        return HeadRow(self._epoch, self.seen)

    def position(self) -> HeadRow | None:
        """How far the log was read here, unless reading it has failed or stalled since."""
        fresh = time.monotonic() - self._looked < STALE
        return HeadRow(self._epoch, self.seen) if fresh else None

    def ring(self) -> None:
        """Something was committed to the outbox."""
        self.sequencer.wake()
        if self._bus is not None and not self.sequencer.leads:
            self._bus.publish(OUTBOX)

    @contextmanager
    def listen(self, watcher: Watcher) -> Iterator[Waiting]:
        """A listener for a stream that reads by itself whenever something comes."""
        listener = Waiting(self.listeners, watcher.viewer_id)
        self.listeners.add(listener, public=watcher.kind == PUBLIC)
        try:
            yield listener
        finally:
            self.listeners.remove(listener)

    def recent(self, reader: Reader, after: int, up_to: int, limit: int) -> list[LogRow] | None:
        """The reader's next events up to a number, from memory; None when they are not there any more."""
        return self._recent.after(reader, after, up_to, limit)

    def is_reset(self, watcher: Watcher, after: int) -> bool:
        """Whether a newer event, of those in memory, changes more of the timeline than events can tell."""
        return self._recent.is_reset(watcher, after)

    def revoke(self, session_id: int) -> None:
        """Refuse the session's access tokens here from now on, and tell whoever keeps its sockets."""
        self._revoked[session_id] = time.monotonic() + self._token_seconds
        for tell in self._on_revoked:
            tell(session_id)

    def is_revoked(self, session_id: int) -> bool:
        """Whether the session is over."""
        return session_id in self._revoked

    @contextmanager
    def when_revoked(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Call `tell` with each session that ends during the block."""
        self._on_revoked.add(tell)
        try:
            yield
        finally:
            self._on_revoked.discard(tell)

    def _numbered(self) -> None:
        self._wake.set()
        if self._bus is not None:
            self._bus.publish(LOG)

    async def _start(self) -> None:
        async with self._database.opened() as session, session.turn() as db:
            self._move(await log_head(db))
            # After the position: what is revoked later comes through the log.
            for session_id in await sessions_revoked_lately(db, self._token_seconds):
                self.revoke(session_id)

    async def _read(self) -> None:
        failing = False
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._look(doubting=failing)
                failing = False
            except DatabaseUnavailable as error:
                if not failing:
                    log.warning("hub waits for the database", error=str(error)[:200])
                failing = True
            except Exception:
                log.exception("hub failed and goes on")

    async def _look(self, *, doubting: bool = False) -> None:
        """Read on. `doubting`: the database was away, so it may have come back as another one."""
        started = time.monotonic()
        async with self._database.opened() as session, session.turn() as db:
            while True:
                rows = await log_after(db, self.seen, READ)
                if rows and rows[0].number == self.seen + 1 and not doubting:
                    self._hand_out(rows)
                    if len(rows) == READ:
                        continue
                    break
                # Nothing new, or a gap: counters that moved on, or the log was trimmed or restored under us.
                head = await log_head(db)
                floor = await log_floor(db) if rows else 0
                if doubting and head.epoch == self._epoch:
                    doubting = False
                    continue
                if head.epoch != self._epoch or head.number < self.seen or floor > self.seen:
                    log.warning("the log does not go on where it was", seen=self.seen, head=head.number)
                    self._move(head)
                    # As at the start: what was passed over may have said so.
                    for session_id in await sessions_revoked_lately(db, self._token_seconds):
                        self.revoke(session_id)
                    for listener in list(self.listeners.all):
                        listener.lose()
                elif rows:
                    self._hand_out(rows)
                    if len(rows) == READ:
                        continue
                break
        self._looked = started
        metrics.BUS_UP.set(int(self.bus_is_up))
        metrics.LOG_SEEN.set(self.seen)
        metrics.SEQUENCING.set(int(self.sequencer.leads))
        now = time.monotonic()
        if self._revoked:
            self._revoked = {id: until for id, until in self._revoked.items() if until > now}

    def _move(self, head: HeadRow) -> None:
        self._epoch, self.seen = head
        self._recent = RecentEvents(self.seen)

    def _hand_out(self, rows: list[LogRow]) -> None:
        for row in rows:
            if row.kind == SESSION_REVOKED:
                self.revoke(row.data["session"])
            else:
                self._recent.append(row)
                self._hand_to(row)
        self.seen = rows[-1].number

    def _hand_to(self, row: LogRow) -> None:
        groups: dict[Group, list[Listener]] = {}
        alone = []
        for listener in self.listeners.hearing(row):
            if listener.group is None:
                alone.append(listener)
            elif row.number > listener.sent:
                groups.setdefault(listener.group, []).append(listener)
        # Whoever is told may begin to hear others, or leave.
        for listener in alone:
            listener.miss()
        for group, some in groups.items():
            group.offer(row, some)
