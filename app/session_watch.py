"""Closes sockets and streams whose session is over: ended by somebody, or run out because nobody refreshed it.

An access token lives for minutes and a socket for days. When the newest token known of a session has run out,
PostgreSQL is asked whether the session was refreshed meanwhile; if so, a newer token exists and the socket stays.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from app.live import LiveHub
from app.tokens import LEEWAY
from dataloaders.database import Database, DatabaseUnavailable
from resolvers.context import Viewer
from resolvers.sessions import newest_token_ends

# Seconds between two questions, so that sessions that run out together are asked for together. Together with a
# statement it is far less than the second in which a socket must be closed.
ASK_EVERY = 0.25
# Seconds until the question is asked again of a database that did not answer.
RETRY_EVERY = 1.0
# Seconds that mutations get to answer when the session ends of what they came by: signing out is one of them.
LAST_WORDS = 1.0
# Seconds without a look at the clock: it may be set, or go on while the machine sleeps.
LONGEST_SLEEP = 60.0

log = structlog.get_logger("maydan.sessions")


class _Session:
    """A session that something is open for."""

    __slots__ = ("closers", "until", "user_id")

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        # The end of the newest token known, seconds since 1970.
        self.until = 0.0
        # Few, so a list: a set of one takes four times as much.
        self.closers: list[Callable[[], None]] = []


class SessionWatch:
    """Everything that is open in this process, by session. One task and one timer for all."""

    def __init__(self, database: Database, token_lifetime: timedelta) -> None:
        self._database, self._lifetime = database, token_lifetime
        self._sessions: dict[int, _Session] = {}
        # Ends of tokens and their sessions. Of a session only its present end counts.
        self._ends: list[tuple[float, int]] = []
        self._wake = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(
        cls, database: Database, hub: LiveHub, token_lifetime: timedelta
    ) -> "AsyncIterator[SessionWatch]":
        """A watch that looks, and hears of revocations, until the end of the block."""
        watch = cls(database, token_lifetime)
        task = asyncio.create_task(watch._run())
        try:
            with hub.when_revoked(watch._close):
                yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def __len__(self) -> int:
        """How many sessions something is open for."""
        return len(self._sessions)

    def hold(self, viewer: Viewer, expires_at: datetime, close: Callable[[], None]) -> None:
        """Call `close`, perhaps more than once, when the session ends; until `release` is called with the same.

        `expires_at` is the end of the token that was shown.
        """
        session = self._sessions.get(viewer.session_id)
        if session is None:
            session = self._sessions[viewer.session_id] = _Session(viewer.id)
        session.closers.append(close)
        until = expires_at.timestamp()
        if until > session.until:
            self._expect(viewer.session_id, session, until)

    def release(self, viewer: Viewer, close: Callable[[], None]) -> None:
        """What `close` closes is closed."""
        session = self._sessions[viewer.session_id]
        session.closers.remove(close)
        if not session.closers:
            del self._sessions[viewer.session_id]

    def _close(self, session_id: int) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            for close in session.closers:
                close()

    def _expect(self, session_id: int, session: _Session, until: float) -> None:
        session.until = until
        heapq.heappush(self._ends, (until, session_id))
        if self._ends[0][1] == session_id:
            self._wake.set()
        if len(self._ends) > 2 * len(self._sessions) + 100:
            # Most are of sockets that are closed.
            self._ends = [(session.until, id) for id, session in self._sessions.items()]
            heapq.heapify(self._ends)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._sleep()):
                    await self._wake.wait()
                continue
            except TimeoutError:
                pass
            due = self._due()
            if not due:
                continue
            pause = ASK_EVERY
            try:
                await self._ask(due)
            except Exception as error:
                # Our own trouble closes nobody's socket.
                if not isinstance(error, DatabaseUnavailable):
                    log.exception("sessions could not be looked at")
                for id, session in due.items():
                    self._expect(id, session, session.until)
                pause = RETRY_EVERY
            await asyncio.sleep(pause)

    def _sleep(self) -> float:
        """Seconds until a token runs out, the clocks' leeway included."""
        if not self._ends:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, self._ends[0][0] + LEEWAY.total_seconds() - time.time()))

    def _due(self) -> dict[int, _Session]:
        """The sessions whose newest known token has run out, taken from the queue."""
        now = time.time() - LEEWAY.total_seconds()
        due = {}
        while self._ends and self._ends[0][0] <= now:
            until, id = heapq.heappop(self._ends)
            session = self._sessions.get(id)
            if session is not None and session.until == until:
                due[id] = session
        return due

    async def _ask(self, due: dict[int, _Session]) -> None:
        viewers = [Viewer(session.user_id, id) for id, session in due.items()]
        async with self._database.opened() as db:
            ends = await newest_token_ends(db, viewers, self._lifetime)
        now = time.time() - LEEWAY.total_seconds()
        for (id, session), end in zip(due.items(), ends, strict=True):
            if self._sessions.get(id) is not session or session.until > now:
                continue  # closed, or opened again with a newer token
            if end is not None and end.timestamp() > now:
                self._expect(id, session, end.timestamp())
            else:
                self._close(id)
