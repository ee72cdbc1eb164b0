"""The events of live timelines."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from resolvers import feeds, live
from resolvers.ids import entry_gid, post_gid
from schema.post import Post
from schema.timeline import TimelineEdge


@strawberry.interface(
    description=(
        "Something that happened in a timeline. More kinds will come: of one that you do not know, keep the "
        "liveCursor. Applying an event twice does no harm."
    )
)
class TimelineEvent:
    live_cursor: str = strawberry.field(description="Where to resume after this event: give it as `after`.")


@strawberry.type(
    description=(
        "An entry came in: add it by its sortKey, or replace the one with its id. It can be an old one: below the last "
        "entry that was loaded leave it out while there are more pages, since the next page brings it."
    )
)
class TimelineEntryAdded(TimelineEvent):
    edge: TimelineEdge = strawberry.field(description="The entry, as a page would have it.")


@strawberry.type(description="Counters or text changed, in whichever entries show this post.")
class TimelinePostUpdated(TimelineEvent):
    post: Post | None = strawberry.field(
        description="The post as it is now. Null only together with an error that says why it could not be loaded."
    )


@strawberry.type(description="An entry left the timeline: drop it; ignore this when you do not hold it.")
class TimelineEntryRemoved(TimelineEvent):
    entry_id: strawberry.ID = strawberry.field(description="The id of the entry that left.")
    unavailable_post_id: strawberry.ID | None = strawberry.field(
        description=(
            "Set when the post itself is gone for the viewer (deleted, or hidden by a block): drop it from every "
            "list."
        )
    )


@strawberry.type(
    description=(
        "Everything up to liveCursor has been sent. Comes when the replay ends, also when there was nothing to "
        "replay, then at least every ten minutes while nothing else comes, so that the cursor of a quiet timeline "
        "does not grow old."
    )
)
class LiveCaughtUp(TimelineEvent):
    pass


@strawberry.type(
    description=(
        "The list held can no longer be brought up to date by events (a cursor too old; a follow, an unfollow or a "
        "block, by which many entries come or go): fetch it again from the top. The stream goes on, and its next "
        "events apply to a page that was asked for after this one."
    )
)
class LiveReset(TimelineEvent):
    pass


class TimelineEvents:
    """A stream of events. Whoever shares their delivery takes the timeline itself."""

    def __init__(self, timeline: live.Timeline) -> None:
        self.timeline = timeline

    async def __aiter__(self) -> AsyncGenerator[TimelineEvent, None]:
        async with aclosing(self.timeline.events()) as events:
            async for event in events:
                yield event_of(event, self.timeline.kind)


def event_of(event: live.LiveEvent, kind: str) -> TimelineEvent:
    """The event as clients see it."""
    match event:
        case feeds.Added(cursor, entry):
            return TimelineEntryAdded(live_cursor=cursor, edge=TimelineEdge(row=entry, kind=kind))
        case feeds.Updated(cursor, post):
            return TimelinePostUpdated(live_cursor=cursor, post=Post(row=post))
        case feeds.Removed(cursor, entry_key, post_key):
            return TimelineEntryRemoved(
                live_cursor=cursor,
                entry_id=strawberry.ID(entry_gid(entry_key)),
                unavailable_post_id=None if post_key is None else strawberry.ID(post_gid(post_key)),
            )
        case live.CaughtUp(cursor):
            return LiveCaughtUp(live_cursor=cursor)
        case live.Reset(cursor):
            return LiveReset(live_cursor=cursor)
