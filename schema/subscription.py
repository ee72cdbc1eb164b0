"""The root of subscriptions."""

from collections.abc import AsyncGenerator
from typing import Annotated, cast

import strawberry

from resolvers import live
from schema.base import Info
from schema.live import TimelineEvent, TimelineEvents

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
    def home_timeline_events(self, info: Info, after: Since = None) -> AsyncGenerator[TimelineEvent, None]:
        return _stream(live.home_timeline(info.context, after))

    @strawberry.subscription(description="The public timeline; needs no account." + RESUMING)
    def public_timeline_events(self, info: Info, after: Since = None) -> AsyncGenerator[TimelineEvent, None]:
        return _stream(live.public_timeline(info.context, after))


def _stream(timeline: live.Timeline) -> AsyncGenerator[TimelineEvent, None]:
    return cast(AsyncGenerator[TimelineEvent, None], TimelineEvents(timeline))
