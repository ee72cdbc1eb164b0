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

log = structlog.get_logger("maydan.sequencer")


class Sequencer:
    """One worker's candidate for numbering the log."""

    def __init__(self, database: Database, holder: str, numbered: Callable[[], None]) -> None:
        self._database = database
        self._holder = holder
        self._numbered = numbered
        self._wake = asyncio.Event()
        self._leads = False
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
                    leads = await events.take_lease(db, self._holder, PATIENCE)
                if leads and not self._leads:
                    log.info("sequencer leads", holder=self._holder)
                self._leads = leads
            if not self._leads:
                return
            async with session.turn() as db:
                moved = woken or await events.outbox_waits(db)
                while moved and self._leads:
                    moved = await self._number(db)
                if self._is_due("changes", CHANGE_SWEEP) and await events.announce_changes(
                    db, CHANGE_EVERY, BATCH
                ):
                    self._due["fanouts"] = 0
                    await self._number(db)
            if woken or self._is_due("fanouts", 1.0):
                while await self._carry(session):
                    async with session.turn() as db:
                        await self._number(db)
            if self._is_due("trim", TRIM_EVERY):
                async with session.turn() as db:
                    await events.trim(db, KEEP, BATCH * 10)

    async def _number(self, db: Statements) -> bool:
        """Number one batch; whether there may be more."""
        moved = await events.number_outbox(db, self._holder, BATCH)
        if moved is None:
            self._leads = False
            return False
        if moved.moved:
            self._numbered()
        return moved.moved == BATCH

    async def _carry(self, session: Session) -> bool:
        async with session.transaction() as tx:
            return await events.carry_fanout(tx, FANOUT_STEP)

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
