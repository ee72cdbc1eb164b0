"""All who ask the same of a timeline: an event is read, gated, executed and encoded once for them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog

from app.live.listeners import Listener
from app.subscriptions.answers import Answers, Ended
from app.subscriptions.subscription import Subscription
from dataloaders.database import DatabaseUnavailable
from dataloaders.rows import HeadRow, LogRow, Pair
from resolvers.context import Context, Viewer
from resolvers.feeds import Asked, Changes, Due, Told, Updated, resets
from resolvers.live import NOWHERE, QUIET, RETRY_EVERY, CaughtUp, live_cursor
from resolvers.meaning import meaning_of
from resolvers.visibility import Sight

# Deliveries that one reading is for, and events: what is sent is not older than sending that many takes, 0.1 s.
TOGETHER, EVENTS_TOGETHER = 5_000, 25
# Deliveries after which others run: 5 ms.
BREATH = 250
# Seconds between two looks for streams that told nothing for long.
SWEEP_EVERY = 10.0

log = structlog.get_logger("maydan.broadcast")


class Broadcast:
    """The subscriptions with the same answers. One task serves them, in the log's order."""

    def __init__(
        self,
        name: str | None,
        kind: str,
        asked: Asked,
        answers: Answers,
        context: Callable[[], Context],
        head: Callable[[], HeadRow],
        over: Callable[[], None],
    ) -> None:
        self.name, self.kind, self.asked, self.answers = name, kind, asked, answers
        self._context, self._head, self._over = context, head, over
        self._members: set[Subscription] = set()
        self._due: deque[Due[Subscription]] = deque()
        self._wake = asyncio.Event()
        self._delivering = False
        self._changes: Changes[Subscription] = Changes()
        self._task = asyncio.create_task(self._run())

    def enter(self, member: Subscription) -> None:
        """One more."""
        self._members.add(member)

    def leave(self, member: Subscription) -> None:
        """One less; with the last one the broadcast is over."""
        self._members.discard(member)
        if not self._members:
            self.close()

    def close(self) -> None:
        """Deliver nothing any more."""
        self._task.cancel()
        self._over()

    def offer(self, row: LogRow, listeners: Sequence[Listener]) -> None:
        """An event came that concerns these members."""
        members = [member for member in listeners if isinstance(member, Subscription)]
        for member in members:
            if resets(row, self.kind, member.viewer_id):
                member.fall_back(NOWHERE)
        self._due.append(Due(row, members))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SWEEP_EVERY):
                    await self._wake.wait()
            except TimeoutError:
                await self._sweep()
            self._wake.clear()
            while self._due:
                some = list(self._next())
                self._delivering = True
                try:
                    await self._deliver(some)
                except Ended:
                    # Each is told when it is its turn.
                    for item in some:
                        self._give_back(item)
                except Exception:
                    # Each by itself: whoever's answer it is gets to know.
                    log.exception("events were not delivered together")
                    for item in some:
                        self._give_back(item)
                finally:
                    self._delivering = False

    def _next(self) -> Iterator[Due[Subscription]]:
        deliveries = 0
        for _ in range(EVENTS_TOGETHER):
            if not self._due or (deliveries and deliveries + len(self._due[0].readers) > TOGETHER):
                break
            row, members = self._due.popleft()
            here = [member for member in members if member.group is self and member.sent < row.number]
            deliveries += len(here)
            if here:
                yield Due(row, here)

    def _give_back(self, due: Due[Subscription]) -> None:
        for member in due.readers:
            if member.sent < due.row.number:
                member.fall_back(HeadRow(self._head().epoch, due.row.number - 1))

    async def _deliver(self, due: Sequence[Due[Subscription]]) -> None:
        epoch = self._head().epoch
        while True:
            ctx = self._context()
            try:
                meaning = await meaning_of(ctx, self.kind, due, self._changes, self.asked)
                await ctx.db.release()
                for item in meaning.told:
                    await self._tell(ctx, item, meaning.sight, epoch)
                break
            except DatabaseUnavailable:
                # What was sent is passed over: each member knows how far it is.
                due = [Due(row, [one for one in some if one.sent < row.number]) for row, some in due]
                await asyncio.sleep(RETRY_EVERY)
            finally:
                await ctx.db.close()
        for row, members in due:
            for member in members:
                if member.group is self:
                    member.sent = row.number

    async def _tell(self, ctx: Context, item: Told[Subscription], sight: Sight, epoch: str) -> None:
        event = item.as_event(live_cursor(self.kind, epoch, item.number))
        for alike, members in self._alike(ctx, item, sight):
            (payload,) = await self.answers.to(alike, self.kind, [event])
            since = HeadRow(epoch, item.cause - 1)
            for nth, member in enumerate(members, 1):
                if member.group is not self:
                    continue
                if member.sink.write(payload):
                    member.noted()
                    member.sent = item.number
                else:
                    member.fall_back(since)
                if nth % BREATH == 0:
                    await asyncio.sleep(0)
        if isinstance(item.happening, Updated):
            self._changes.note(item.happening.post.key, item.change, item.readers)

    def _alike(
        self, ctx: Context, item: Told[Subscription], sight: Sight
    ) -> Iterable[tuple[Context, Sequence[Subscription]]]:
        """Those who stand alike to what it is about, and the surroundings in which it looks as it does to them."""
        keys = item.about()
        wanted = int(self.asked.relations)
        if not keys or not (wanted or self.asked.own):
            return [(ctx.shared(None, {}), item.readers)]
        relations = [sight.relation(key) for key in keys]
        nothing: tuple[int, ...] = (0,) * len(keys)
        found: dict[tuple[int, ...], list[Subscription]] = {}
        for member in item.readers:
            viewer = member.viewer_id
            if viewer is None:
                stands = nothing
            else:
                stands = tuple([of_key.get(viewer, 0) & wanted for of_key in relations])
                if self.asked.own and viewer in keys:
                    stands = (viewer, *stands)
            found.setdefault(stands, []).append(member)
        return [(_looking(ctx, members[0].viewer_id, keys, sight), members) for members in found.values()]

    async def _sweep(self) -> None:
        """Tell those who heard nothing for long where they are."""
        if self._due or self._delivering:
            return
        head = self._head()
        long_ago = time.monotonic() - QUIET
        quiet = [one for one in self._members if one.group is self and one.told_at <= long_ago]
        if not quiet:
            return
        event = CaughtUp(live_cursor(self.kind, *head))
        ctx = self._context()
        (payload,) = await self.answers.to(ctx, self.kind, [event])
        for member in quiet:
            if member.group is self and member.told_at <= long_ago and member.sink.write(payload):
                member.noted()
                member.sent = max(member.sent, head.number)


def _looking(ctx: Context, viewer_id: int | None, keys: Sequence[int | Pair], sight: Sight) -> Context:
    if viewer_id is None:
        return ctx.shared(None, {})
    # Of the viewer only the account matters to what is looked at.
    return ctx.shared(Viewer(viewer_id, session_id=0), sight.ties(viewer_id, keys))
