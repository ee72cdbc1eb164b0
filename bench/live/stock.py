"""Stock Strawberry: its own ASGI view over the fields that the subscription selects, a queue for each subscriber.

The plainest way there is: the types are plain ones that hold their values, so that nothing is fetched, and the event
is made once. What is measured is Strawberry's executor and its protocol, for each subscriber anew. No extensions:
each of them costs something at every event, and what they would save is over when a socket has subscribed.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import strawberry
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from bench.live.applications import application


@strawberry.type
class User:
    """An author, or somebody who reposted."""

    id: strawberry.ID
    handle: str
    display_name: str
    avatar_url: str | None


@strawberry.type
class Post:
    """A post."""

    id: strawberry.ID
    text: str
    text_direction: str
    created_at: str
    is_reply: bool
    like_count: int
    repost_count: int
    reply_count: int
    author: User


@strawberry.type
class TimelineEntry:
    """What came in."""

    id: strawberry.ID
    entered_at: str
    reposted_by: User | None
    post: Post


@strawberry.type
class TimelineEdge:
    """Its place."""

    cursor: str
    sort_key: str
    node: TimelineEntry | None


@strawberry.interface
class TimelineEvent:
    """Something that happened."""

    live_cursor: str


@strawberry.type
class TimelineEntryAdded(TimelineEvent):
    """An entry came in."""

    edge: TimelineEdge


@strawberry.type
class LiveCaughtUp(TimelineEvent):
    """Everything has been sent."""


_queues: set["asyncio.Queue[TimelineEvent]"] = set()


@strawberry.type
class Query:
    """A schema must have one."""

    nothing: str = ""


@strawberry.type
class Subscription:
    """The one subscription."""

    @strawberry.subscription
    async def home_timeline_events(self, after: str | None = None) -> AsyncGenerator[TimelineEvent, None]:
        """Every event that is published."""
        queue: asyncio.Queue[TimelineEvent] = asyncio.Queue()
        _queues.add(queue)
        try:
            yield LiveCaughtUp(live_cursor="")
            while True:
                yield await queue.get()
        finally:
            _queues.discard(queue)


async def _publish(data: bytes) -> None:
    event = _event(orjson.loads(data)["homeTimelineEvents"])
    for queue in _queues:
        queue.put_nowait(event)


def _event(data: dict[str, Any]) -> TimelineEntryAdded:
    edge = data["edge"]
    node = edge["node"]
    post = node["post"]
    author = post["author"]
    return TimelineEntryAdded(
        live_cursor=data["liveCursor"],
        edge=TimelineEdge(
            cursor=edge["cursor"],
            sort_key=edge["sortKey"],
            node=TimelineEntry(
                id=node["id"],
                entered_at=node["enteredAt"],
                reposted_by=None,
                post=Post(
                    id=post["id"],
                    text=post["text"],
                    text_direction=post["textDirection"],
                    created_at=post["createdAt"],
                    is_reply=post["isReply"],
                    like_count=post["likeCount"],
                    repost_count=post["repostCount"],
                    reply_count=post["replyCount"],
                    author=User(
                        id=author["id"],
                        handle=author["handle"],
                        display_name=author["displayName"],
                        avatar_url=author["avatarUrl"],
                    ),
                ),
            ),
        ),
    )


class View(GraphQL[Any, None]):
    """With a fast JSON encoder, as its documentation advises."""

    def encode_json(self, data: object) -> str:
        """The text of a message."""
        return orjson.dumps(data).decode()


def create_app() -> Starlette:
    """The ASGI application."""
    schema = strawberry.Schema(
        query=Query,
        subscription=Subscription,
        types=[TimelineEntryAdded, LiveCaughtUp],
    )
    view = View(schema, graphql_ide=None, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
    return application(_publish, Route("/graphql", view), WebSocketRoute("/graphql", view))
