"""One running subscription, from its beginning until nobody wants it any more."""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Protocol

from app import metrics
from app.journal import log_subscription
from app.live.listeners import QUEUE, Listener, Listeners
from dataloaders.rows import HeadRow
from resolvers.context import Context
from resolvers.live import NOWHERE, Timeline
from resolvers.timelines import PUBLIC

if TYPE_CHECKING:
    from app.subscriptions.broadcast import Broadcast


class Sink(Protocol):
    """Where the answers of one subscription go."""

    @property
    def writes(self) -> bool:
        """Whether `write` works; else all is sent by tasks."""

    def context(self) -> Context:
        """Fresh surroundings of the operation."""

    async def send(self, payload: bytes) -> None:
        """Send one answer when the client has read enough of those before."""

    def hold(self, subscription: "Subscription") -> None:
        """End this when nobody wants the answers any more."""

    def write(self, payload: bytes) -> bool:
        """Send one answer at once. False when the client is behind: then nothing was sent."""

    def go_on(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Run this as the operation's task: it has none at the moment. True when it goes on without one again."""

    def is_too_slow(self) -> None:
        """The client did not keep up: end it, so that it comes back with its cursor."""


class Subscription(Listener):
    """Catches up in a task of its sink's, then lives in a broadcast without one."""

    __slots__ = ("_broadcast", "_request_id", "_told_reset", "began", "events", "sink", "told_at")

    def __init__(
        self,
        listeners: Listeners,
        broadcast: "Broadcast",
        sink: Sink,
        viewer_id: int | None,
        request_id: str,
    ) -> None:
        super().__init__(listeners, viewer_id)
        self.sink = sink
        self._broadcast, self._request_id = broadcast, request_id
        self._told_reset = 0.0
        self.began = self.told_at = time.monotonic()
        self.events = 0
        listeners.add(self, public=broadcast.kind == PUBLIC)
        broadcast.enter(self)
        metrics.STREAMS.inc()

    async def run(self, timeline: Timeline, ctx: Context) -> bool:
        """Catch up, then live in the broadcast: always True."""
        broadcast = self._broadcast
        try:
            async with aclosing(timeline.catch_up()) as replays:
                async for replay in replays:
                    # What comes while it catches up is counted.
                    self.hear(timeline.home)
                    events = [event for _, event in replay.events]
                    answers = await broadcast.answers.to(ctx, timeline.kind, events)
                    for nth in timeline.sending(replay):
                        await self.sink.send(answers[nth])
                        self.noted()
            # Nothing was awaited since the stream had caught up.
            self._told_reset = timeline.told_reset
            self.sent, self.missed = timeline.sent, 0
            self.group = broadcast
        finally:
            await ctx.db.close()
        return True

    def noted(self) -> None:
        """An event was sent."""
        self.events += 1
        self.told_at = time.monotonic()
        metrics.EVENTS.inc()

    def fall_back(self, since: HeadRow) -> None:
        """Leave the broadcast and catch up from here; from NOWHERE that begins with Reset."""
        if self.group is not None:
            self.group = None
            self.sink.go_on(partial(self._again, since))

    async def _again(self, since: HeadRow) -> bool:
        ctx = self.sink.context()
        timeline = Timeline(ctx, self._broadcast.kind, since, told_reset=self._told_reset, goes_on=True)
        timeline.asked = self._broadcast.asked
        return await self.run(timeline, ctx)

    def miss(self) -> None:
        super().miss()
        if self.missed == QUEUE + 1:
            self.sink.is_too_slow()

    def lose(self) -> None:
        self.fall_back(NOWHERE)

    def end(self) -> None:
        """Nobody wants it any more."""
        if self not in self._index.all:
            return
        self.group = None
        self._index.remove(self)
        self._broadcast.leave(self)
        metrics.STREAMS.dec()
        log_subscription(self._broadcast.name, self.began, self.events, self.viewer_id, self._request_id)
