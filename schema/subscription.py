"""The root of subscriptions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from resolvers import live
from resolvers.timelines import HOME, PUBLIC
from schema.base import Info
from schema.live import TimelineEvent, event_of

Since = Annotated[
    str | None,
    strawberry.argument(description="The liveCursor of a page or of an event of this timeline."),
]

RESUMING = (
    " Without `after`: events from now on. With `after`: first everything that happened since, then events as they "
    "happen. A string that never was a liveCursor of this timeline is INVALID_CURSOR; one from which nothing can be "
    "proved is answered with LiveReset. Apply events by entry id: add or replace, ignore removals and updates of what "
    "is not held."
)


@strawberry.type(description="What happens, as it happens.")
class Subscription:
    @strawberry.subscription(description="The viewer's home timeline." + RESUMING)
    async def home_timeline_events(
        self, info: Info, after: Since = None
    ) -> AsyncGenerator[TimelineEvent, None]:
        async with aclosing(live.watch_home(info.context, after)) as events:
            async for event in events:
                yield event_of(event, HOME)

    @strawberry.subscription(description="The public timeline; needs no account." + RESUMING)
    async def public_timeline_events(
        self, info: Info, after: Since = None
    ) -> AsyncGenerator[TimelineEvent, None]:
        async with aclosing(live.watch_public(info.context, after)) as events:
            async for event in events:
                yield event_of(event, PUBLIC)
