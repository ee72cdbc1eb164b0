"""Moves what is committed from the outbox into the log and numbers it, one worker at a time.

Each step is one statement or one short transaction, checked against the lease in the database itself, so a worker
that stalls or is cut off can do no harm; another takes over after PATIENCE.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from dataloaders import log as events
from dataloaders.database import Database, DatabaseUnavailable, Session, Statements

# Seconds. Without a wake-up the outbox is looked at so often.
SWEEP = 0.1
# A lease is renewed so often, and taken from a holder that was silent for PATIENCE.
BEAT, PATIENCE = 0.4, 1.5
# Counters of one post are announced at most so often.
CHANGE_EVERY = 1.0
CHANGE_SWEEP = 0.2
# Old events are dropped so often; they are kept for a day and an hour, the promise being a day.
TRIM_EVERY = 30.0
KEEP = 25 * 3600.0
BATCH = 1000
FANOUT_STEP = 500
# Numbers in one partition of the log: as many as come in this time (seconds) at the rate of the last one, but at least
# LEAST, which a quiet server keeps beyond a day, and at most MOST, some gigabytes.
PARTITION = 3600.0
LEAST, MOST = 10_000, 10_000_000

log = structlog.get_logger("maydan.sequencer")


class Sequencer:
    """One worker's candidate for numbering the log."""

    def __init__(
        self,
        database: Database,
        holder: str,
        numbered: Callable[[], None],
        *,
        change_every: float = CHANGE_EVERY,
    ) -> None:
        self._database = database
        self._change_every = change_every
        self._holder = holder
        self._numbered = numbered
        self._wake = asyncio.Event()
        self._leads = False
        # The newest number, and below which one there are partitions; when the last one was made, and at which number.
        self._at = self._room = 0
        self._made: tuple[float, int] | None = None
        self._due = {"beat": 0.0, "changes": 0.0, "fanouts": 0.0, "trim": time.monotonic() + TRIM_EVERY}

    @property
    def leads(self) -> bool:
        """Whether this worker numbers the log."""
        return self._leads

    def wake(self) -> None:
        """Something was committed."""
        self._wake.set()

    async def run(self) -> None:
        """Number until cancelled."""
        try:
            while True:
                try:
                    await self._step()
                except DatabaseUnavailable as error:
                    self._leads = False
                    log.warning("sequencer waits for the database", error=str(error)[:200])
                    await asyncio.sleep(BEAT)
                except Exception:
                    self._leads = False
                    log.exception("sequencer failed and starts over")
                    await asyncio.sleep(BEAT)
        finally:
            await self._resign()

    async def _step(self) -> None:
        try:
            async with asyncio.timeout(SWEEP if self._leads else BEAT):
                await self._wake.wait()
        except TimeoutError:
            pass
        woken = self._wake.is_set()
        self._wake.clear()
        async with self._database.opened() as session:
            if self._is_due("beat", BEAT):
                async with session.turn() as db:
                    lease = await events.take_lease(db, self._holder, PATIENCE)
                if lease is not None:
                    self._at, self._room = lease
                    if not self._leads:
                        log.info("sequencer leads", holder=self._holder)
                self._leads = lease is not None
            if not self._leads:
                return
            async with session.turn() as db:
                moved = woken or await events.outbox_waits(db)
                while moved and self._leads:
                    moved = await self._number(db)
                if self._is_due("changes", CHANGE_SWEEP) and await events.announce_changes(
                    db, self._change_every, BATCH
                ):
                    self._due["fanouts"] = 0
                    await self._number(db)
            if woken or self._is_due("fanouts", 1.0):
                while await self._carry(session):
                    async with session.turn() as db:
                        await self._number(db)
            if self._is_due("trim", TRIM_EVERY):
                try:
                    async with session.turn() as db:
                        await events.trim(db, KEEP, BATCH * 10)
                except DatabaseUnavailable as error:
                    # Dropping waits for no reader, or all who come later would wait behind it.
                    log.info("the log is trimmed later", error=str(error)[:200])

    async def _number(self, db: Statements) -> bool:
        """Number one batch; whether there may be more."""
        if self._room - self._at <= 2 * BATCH and not await self._make_room(db):
            return False
        moved = await events.number_outbox(db, self._holder, BATCH)
        if moved is None:
            self._leads = False
            return False
        self._at = moved.number
        if moved.moved:
            self._numbered()
        return moved.moved == BATCH

    async def _make_room(self, db: Statements) -> bool:
        """Make the next partition of the log; False when the lease was lost."""
        now = time.monotonic()
        size = LEAST
        if self._made is not None:
            since, number = self._made
            size = round((self._at - number) / max(now - since, 1.0) * PARTITION)
        room = await events.make_room(db, self._holder, min(max(size, LEAST), MOST))
        if room is None:
            self._leads = False
            return False
        self._room, self._made = room, (now, self._at)
        return True

    async def _carry(self, session: Session) -> bool:
        try:
            async with session.transaction() as tx:
                return await events.carry_fanout(tx, FANOUT_STEP)
        except events.FanoutFailed as error:
            log.exception(
                "a fan-out failed and is postponed", author=error.job.author_id, post=error.job.post_id
            )
            async with session.turn() as db:
                await events.postpone_fanout(db, error.job)
            return True

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + every
        return True

    async def _resign(self) -> None:
        if not self._leads:
            return
        try:
            async with asyncio.timeout(1), self._database.opened() as session, session.turn() as db:
                await events.drop_lease(db, self._holder)
        except (DatabaseUnavailable, TimeoutError):
            pass  # the lease runs out by itself
