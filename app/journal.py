"""What operations did, for the log and the metrics: noted at once, written a moment later and many together.

Written among all else that an operation does, each line finds its code cold: 36 to 80 us of a home page, against 7 us
for one of many in a row (decision 0007). Each has the time of its operation. A process that is killed takes the lines
of its last moment along.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple, Self

import structlog

from app import metrics
from app.logs import safe_name

# Seconds from a line to its being written, at most.
WRITE_AFTER = 0.05

log = structlog.get_logger("maydan.operation")


class Done(NamedTuple):
    """One operation that is over: ok, refused or error, the codes of its errors, and when by time.time()."""

    name: str | None
    kind: str
    outcome: str
    codes: list[str]
    seconds: float
    statements: int
    viewer_id: int | None
    request_id: str
    ended: float


class Journal:
    """The operations of one application."""

    def __init__(self) -> None:
        self._done: list[Done] = []
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    @contextmanager
    def kept(cls) -> Iterator[Self]:
        """A journal, whose rest is written at the end of the block."""
        journal = cls()
        try:
            yield journal
        finally:
            journal.write()

    def note(self, done: Done) -> None:
        """An operation is over."""
        self._done.append(done)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER, self.write)

    def write(self) -> None:
        """Write what was noted, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        noted, self._done = self._done, []
        for (kind, outcome), count in Counter((done.kind, done.outcome) for done in noted).items():
            metrics.operations(kind, outcome).inc(count)
        for done in noted:
            metrics.duration(done.kind).observe(done.seconds)
            metrics.STATEMENTS.inc(done.statements)
            log.info(
                "operation",
                name=safe_name(done.name),
                kind=done.kind,
                ms=round(done.seconds * 1000, 1),
                statements=done.statements,
                viewer=done.viewer_id,
                codes=done.codes or None,
                request_id=done.request_id,
                timestamp=f"{datetime.fromtimestamp(done.ended, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            )


def log_subscription(
    name: str | None, began: float, events: int, viewer_id: int | None, request_id: str
) -> None:
    """A subscription is over that began at this monotonic time."""
    log.info(
        "subscription ended",
        name=safe_name(name),
        seconds=round(time.monotonic() - began, 1),
        events=events,
        viewer=viewer_id,
        request_id=request_id,
    )
