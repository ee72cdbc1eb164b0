"""People who use Maydan in the tests: over real sockets, through the public API alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PASSWORD = "correct horse battery"
# Seconds in which an event must come; far more than it takes, so that a slow machine fails nothing.
EVENT_PATIENCE = 15.0

POST = "id text textDirection createdAt isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted"
ENTRY = (
    "id enteredAt repostedBy { handle } post { id text author { handle } likeCount repostCount replyCount }"
)
EVENT = (
    "__typename liveCursor "
    f"... on TimelineEntryAdded {{ edge {{ cursor sortKey node {{ {ENTRY} }} }} }} "
    "... on TimelinePostUpdated { post { id text author { handle } likeCount repostCount replyCount } } "
    "... on TimelineEntryRemoved { entryId unavailablePostId }"
)


@dataclass(frozen=True)
class Answer:
    """What the server answered to one operation."""

    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    @property
    def data(self) -> dict[str, Any]:
        """The data; fails with the errors when there are any."""
        assert "errors" not in self.body, self.body["errors"]
        found: dict[str, Any] = self.body["data"]
        return found

    @property
    def error_codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]


@dataclass(frozen=True)
class Outcome:
    """A mutation's payload."""

    payload: dict[str, Any]

    @property
    def refused(self) -> str | None:
        """The code of the user error, None when it was done."""
        errors = self.payload["userErrors"]
        return errors[0]["code"] if errors else None

    def __getitem__(self, name: str) -> Any:
        assert self.refused is None, self.payload["userErrors"]
        return self.payload[name]


@dataclass
class Person:
    """Somebody with an account, or (without a token) a passer-by."""

    url: str
    http: httpx.AsyncClient
    handle: str = ""
    id: str = ""
    token: str | None = None
    refresh_token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def asks(self, document: str, **variables: Any) -> Answer:
        """Send an operation over HTTP."""
        headers = dict(self.headers)
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token}"
        body = json.dumps({"query": document, "variables": variables})
        answer = await self.http.post(
            f"{self.url}/graphql", content=body, headers={"content-type": "application/json", **headers}
        )
        return Answer(answer.status_code, answer.json(), answer.headers)

    async def does(self, mutation: str, result: str, **input: Any) -> Outcome:
        """Run a mutation that takes an input; `result` are the fields wanted besides userErrors."""
        name = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation ($input: {name}Input!) {{ {mutation}(input: $input) "
            f"{{ {result} userErrors {{ code message field }} }} }}"
        )
        return Outcome((await self.asks(document, input=input)).data[mutation])

    async def posts(self, text: str, *, to: str | None = None, key: str | None = None) -> str:
        """Write a post or reply; its ID."""
        made: str = (await self.tries_to_post(text, to=to, key=key))["post"]["id"]
        return made

    async def tries_to_post(self, text: str, *, to: str | None = None, key: str | None = None) -> Outcome:
        result = f"post {{ {POST} idempotencyKey }} timelineEdge {{ cursor sortKey node {{ {ENTRY} }} }}"
        return await self.does("createPost", result, text=text, replyToId=to, idempotencyKey=key)

    async def deletes(self, post: str) -> Outcome:
        return await self.does("deletePost", "deletedPostId", postId=post)

    async def likes(self, post: str) -> Outcome:
        return await self.does("likePost", f"post {{ {POST} }}", postId=post)

    async def unlikes(self, post: str) -> Outcome:
        return await self.does("unlikePost", f"post {{ {POST} }}", postId=post)

    async def reposts(self, post: str) -> Outcome:
        return await self.does("repost", f"post {{ {POST} }}", postId=post)

    async def undoes_repost(self, post: str) -> Outcome:
        return await self.does("undoRepost", f"post {{ {POST} }}", postId=post)

    async def follows(self, other: "Person") -> Outcome:
        return await self.does(
            "followUser", "user { id handle followerCount viewerIsFollowing }", userId=other.id
        )

    async def unfollows(self, other: "Person") -> Outcome:
        return await self.does(
            "unfollowUser", "user { id handle followerCount viewerIsFollowing }", userId=other.id
        )

    async def blocks(self, other: "Person") -> Outcome:
        return await self.does("blockUser", "user { id handle viewerIsBlocking }", userId=other.id)

    async def unblocks(self, other: "Person") -> Outcome:
        return await self.does("unblockUser", "user { id handle viewerIsBlocking }", userId=other.id)

    async def home(self, **page: Any) -> dict[str, Any]:
        """A page of the home timeline, as a connection."""
        return await self._page("homeTimeline", page)

    async def public(self, **page: Any) -> dict[str, Any]:
        """A page of the public timeline, as a connection."""
        return await self._page("publicTimeline", page)

    async def _page(self, field: str, page: dict[str, Any]) -> dict[str, Any]:
        document = (
            "query ($first: Int, $after: String, $last: Int, $before: String) "
            f"{{ {field}(first: $first, after: $after, last: $last, before: $before) {{ liveCursor "
            "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } "
            f"edges {{ cursor sortKey node {{ {ENTRY} }} }} }} }}"
        )
        found: dict[str, Any] = (await self.asks(document, **page)).data[field]
        return found

    async def home_texts(self, **page: Any) -> list[str]:
        """The texts of the home timeline's page, newest first."""
        return [edge["node"]["post"]["text"] for edge in (await self.home(**page))["edges"]]

    async def sees(self, id: str) -> bool:
        """Whether the object is there for them."""
        answer = await self.asks("query ($id: ID!) { node(id: $id) { id } }", id=id)
        return answer.data["node"] is not None

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        """A graphql-transport-ws connection, initialised with their token."""
        async with connect(
            f"{self.url.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            # Everything is read at once: behind a full queue the server's close frame would not be seen for 10 s.
            max_queue=None,
        ) as connection:
            socket = Socket(connection)
            payload = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
            await socket.send({"type": "connection_init", "payload": payload})
            assert (await socket.receive())["type"] == "connection_ack"
            yield socket

    @asynccontextmanager
    async def watches(
        self, field: str = "homeTimelineEvents", after: str | None = None
    ) -> AsyncIterator["Stream"]:
        """A subscription to a timeline, listening for certain: after its LiveCaughtUp or its first event."""
        async with self.socket() as socket:
            document = f"subscription ($after: String) {{ {field}(after: $after) {{ {EVENT} }} }}"
            await socket.send(
                {
                    "id": "s",
                    "type": "subscribe",
                    "payload": {"query": document, "variables": {"after": after}},
                }
            )
            yield Stream(socket, field)


def without_cost(message: dict[str, Any]) -> dict[str, Any]:
    """A message over a socket, without the cost of the operation that it answers."""
    payload = message.get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("extensions"), dict):
        payload["extensions"].pop("cost", None)
        if not payload["extensions"]:
            del payload["extensions"]
    return message


@dataclass
class Socket:
    """JSON messages over a WebSocket."""

    connection: ClientConnection

    async def send(self, message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self, patience: float = EVENT_PATIENCE) -> dict[str, Any]:
        """The next message that is no ping; an answer without what it cost, which tests of costs ask for over HTTP."""
        async with asyncio.timeout(patience):
            while True:
                message: dict[str, Any] = json.loads(await self.connection.recv())
                if message["type"] != "ping":
                    return without_cost(message)


@dataclass
class Stream:
    """The events of one subscription to the root field `name`."""

    socket: Socket
    name: str
    events: list[dict[str, Any]] = field(default_factory=list)

    async def next(self, patience: float = EVENT_PATIENCE) -> dict[str, Any]:
        """The next event, whatever it is."""
        message = await self.socket.receive(patience)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        event: dict[str, Any] = message["payload"]["data"][self.name]
        self.events.append(event)
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind; what comes before is kept in `events`."""
        while True:
            event = await self.next()
            if event["__typename"] == kind:
                return event

    async def caught_up(self) -> str:
        """Read until LiveCaughtUp; its cursor."""
        cursor: str = (await self.until("LiveCaughtUp"))["liveCursor"]
        return cursor
