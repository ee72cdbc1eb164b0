"""Begins subscriptions, and keeps those together that ask the same."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

from graphql import ExecutionResult

from app import metrics
from app.documents.documents import Operation
from app.journal import log_subscription
from app.live import LiveHub
from app.logs import new_request_id
from app.operations import EVENT_POINTS, Operations, refusal_told, told
from app.subscriptions.answers import Answers, Ended, question_of, shared_key
from app.subscriptions.broadcast import Broadcast
from app.subscriptions.subscription import Sink, Subscription
from resolvers.context import Context
from resolvers.errors import ClientError
from resolvers.live import Timeline
from schema.live import TimelineEvents


class Subscriptions:
    """All of this process. `context` makes the surroundings of what is answered to many."""

    def __init__(self, operations: Operations, hub: LiveHub, context: Callable[[str], Context]) -> None:
        self._operations, self._hub, self._context = operations, hub, context
        self._broadcasts: dict[Sequence[object], Broadcast] = {}

    @classmethod
    @asynccontextmanager
    async def running(
        cls, operations: Operations, hub: LiveHub, context: Callable[[str], Context]
    ) -> "AsyncIterator[Subscriptions]":
        """Subscriptions that are over at the end of the block."""
        subscriptions = cls(operations, hub, context)
        try:
            yield subscriptions
        finally:
            for broadcast in list(subscriptions._broadcasts.values()):
                broadcast.close()

    def __len__(self) -> int:
        """How many broadcasts there are."""
        return len(self._broadcasts)

    async def run(self, operation: Operation, sink: Sink, request_id: str) -> bool:
        """Answer events until the client has enough, or, when True is returned, until the sink ends what it holds.

        Raises Ended, TooSlow, and what the sink raises.
        """
        ctx = sink.context()
        ctx.reads_marks = operation.reads_marks
        try:
            cost, timeline = await self._begin(operation, ctx, request_id)
            asked, variables = question_of(operation)
            if asked is None or cost > EVENT_POINTS or not sink.writes:
                await self._alone(operation, sink, request_id, ctx, timeline, cost)
                return False
            timeline.asked = asked
            broadcast = self._broadcast(
                shared_key(operation, variables, timeline.kind, ctx.language), operation, timeline, cost, ctx
            )
            subscription = Subscription(self._hub.listeners, broadcast, sink, ctx.viewer_id, request_id)
            sink.hold(subscription)
            return await subscription.run(timeline, ctx)
        finally:
            await ctx.db.close()

    async def _begin(self, operation: Operation, ctx: Context, request_id: str) -> tuple[int, Timeline]:
        try:
            cost = await self._operations.pay(operation, ctx)
        except ClientError as error:
            raise Ended(refusal_told(error, request_id)) from error
        source = await operation.prepared.source(ctx, operation.variables)
        if isinstance(source, ExecutionResult):
            raise Ended(told(source, request_id))
        if not isinstance(source, TimelineEvents):
            raise TypeError("a subscription's resolver returns TimelineEvents")
        return cost, source.timeline

    def _broadcast(
        self, key: Sequence[object], operation: Operation, timeline: Timeline, cost: int, ctx: Context
    ) -> Broadcast:
        found = self._broadcasts.get(key)
        if found is None:
            assert timeline.asked is not None
            found = self._broadcasts[key] = Broadcast(
                operation.name,
                timeline.kind,
                timeline.asked,
                Answers(self._operations, operation, cost, new_request_id()),
                partial(self._context, ctx.language),
                lambda: self._hub.head,
                partial(self._forget, key),
            )
        return found

    def _forget(self, key: Sequence[object]) -> None:
        self._broadcasts.pop(key, None)

    async def _alone(
        self,
        operation: Operation,
        sink: Sink,
        request_id: str,
        ctx: Context,
        timeline: Timeline,
        cost: int,
    ) -> None:
        """Answer each event to this viewer alone."""
        answers = Answers(self._operations, operation, cost, request_id)
        began, events = time.monotonic(), 0
        metrics.STREAMS.inc()
        try:
            async with aclosing(timeline.replays()) as replays:
                async for replay in replays:
                    for nth in timeline.sending(replay):
                        if cost > EVENT_POINTS and events:  # the first one was paid with the beginning
                            try:
                                await self._operations.pay(operation, ctx)
                            except ClientError as error:
                                raise Ended(refusal_told(error, request_id)) from error
                        (payload,) = await answers.to(ctx, timeline.kind, [replay.events[nth][1]])
                        # However long sending takes, it holds no connection of the pool.
                        await ctx.db.release()
                        events += 1
                        metrics.EVENTS.inc()
                        await sink.send(payload)
        finally:
            metrics.STREAMS.dec()
            log_subscription(operation.name, began, events, ctx.viewer_id, request_id)
