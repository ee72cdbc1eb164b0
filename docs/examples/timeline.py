"""A home timeline that stays right through lost connections: asyncio and the websockets library.

    timeline = HomeTimeline("wss://example.org/graphql", token, show=draw)
    await timeline.run()

The protocol, and why it is done like this: docs/live.md.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

Edge = dict[str, Any]
Event = dict[str, Any]
Message = dict[str, Any]

POST = "id text likeCount repostCount replyCount author { id handle }"
EDGE = f"sortKey node {{ id enteredAt repostedBy {{ id handle }} post {{ {POST} }} }}"
PAGE = f"""
query HomePage($first: Int, $after: String) {{
  homeTimeline(first: $first, after: $after) {{ liveCursor edges {{ {EDGE} }} pageInfo {{ hasNextPage endCursor }} }}
}}
"""
EVENTS = f"""
subscription HomeEvents($after: String) {{
  homeTimelineEvents(after: $after) {{
    __typename liveCursor
    ... on TimelineEntryAdded {{ edge {{ {EDGE} }} }}
    ... on TimelinePostUpdated {{ post {{ {POST} }} }}
    ... on TimelineEntryRemoved {{ entryId unavailablePostId }}
  }}
}}
"""
# Seconds. The first try is nearly at once: most connections are lost by phones that change networks.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# Bytes: the server's longest answer has 4 Mi characters, of four bytes at most. websockets refuses more than 1 MiB by
# itself, which a page of 60 of the longest posts has.
LONGEST_MESSAGE = 2**24
# Seconds: two pings of the server, and some more.
SILENCE = 100.0
FORBIDDEN = 4403
# Closed with these, the same would only happen again: they are mistakes of the app.
MISTAKES = (1009, 4400, 4401, 4406, 4409)


class SignedOut(Exception):
    """Raised by `token` when the session cannot be refreshed: somebody has to sign in."""


class Refused(Exception):
    """The server answered with errors."""


class HomeTimeline:
    """Entries, kept right while `run` runs.

    `token` is asked for an access token at each connection, with True when the server did not accept the last one:
    refresh the session then. It raises OSError when that could not be done. `show` gets the edges, newest first, after
    each change. `first`: entries of a page. `silence`: seconds without a message after which the connection is lost.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[bool], Awaitable[str]],
        *,
        first: int = 20,
        show: Callable[[list[Edge]], None] = lambda edges: None,
        silence: float = SILENCE,
    ) -> None:
        self._url, self._token, self._first, self._show = url, token, first, show
        self._silence = silence
        self.edges: list[Edge] = []
        self._cursor: str | None = None
        self._refused = False
        # Where the next page begins, and the sortKey of the last entry before it; None: everything is loaded.
        self._next: str | None = None
        self._end: str | None = None
        # Whether the list has to be fetched from the top.
        self._stale = True
        # While a page is on its way: its message's id, and the events that came meanwhile.
        self._asked = ""
        self._kept: list[Event] | None = None
        self._ids = itertools.count()
        self._socket: ClientConnection | None = None
        self._failures = 0

    async def run(self) -> None:
        """Keep the list right until cancelled; run again, it resumes. Raises SignedOut, and mistakes of the app."""
        while True:
            try:
                # Before a socket is open: the server does not wait long for its token.
                authorization = f"Bearer {await self._token(self._refused)}"
                self._refused = False
                protocols = [Subprotocol("graphql-transport-ws")]
                async with connect(self._url, subprotocols=protocols, max_size=LONGEST_MESSAGE) as socket:
                    await _send(socket, "connection_init", payload={"authorization": authorization})
                    self._socket = socket
                    await self._read(socket)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else None
                self._refused = code == FORBIDDEN
                if code in MISTAKES:
                    raise
            except Refused:
                # An answer with errors, such as INVALID_CURSOR: it cannot go on from here.
                self._cursor = None
            except (OSError, TimeoutError, WebSocketException):
                pass  # the cursor says where to go on
            finally:
                self._socket = None
            # Full jitter: without it all clients of a server that restarts would come back in the same moment.
            await asyncio.sleep(random.uniform(0, longest_wait(self._failures)))  # noqa: S311  # nothing is kept secret by it
            self._failures += 1

    @property
    def has_more(self) -> bool:
        """Whether there are entries below."""
        return self._next is not None

    async def more(self) -> None:
        """Ask for the next page below, which `show` brings; unless one is on its way, or there is no connection."""
        if self._socket is not None and self._kept is None and not self._stale and self.has_more:
            await self._ask(self._socket, self._next)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            # Half-open connections tell nobody that they are over.
            async with asyncio.timeout(self._silence):
                message = json.loads(await socket.recv())
            match message:
                case {"type": "ping"}:
                    await _send(socket, "pong")
                case {"type": "connection_ack"}:
                    await self._begin(socket)
                case {"type": "next", "payload": {"data": {"homeTimelineEvents": event}}}:
                    await self._heard(socket, event)
                case {"type": "next", "id": id, "payload": {"data": {"homeTimeline": dict() as page}}}:
                    if id == self._asked:
                        await self._came(socket, page)
                case {"type": "next" | "error", "payload": problem}:
                    raise Refused(problem)

    async def _begin(self, socket: ClientConnection) -> None:
        if self._cursor is None or self._stale:
            # Without a cursor the stream begins where the page was read, once that is known.
            await self._ask(socket, None)
        elif self._kept is not None:
            self._settle()  # the next page did not come, but what happened meanwhile did
        if self._cursor is not None:
            await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> None:
        await _send(socket, "subscribe", "events", {"query": EVENTS, "variables": {"after": self._cursor}})

    async def _ask(self, socket: ClientConnection, after: str | None) -> None:
        self._stale = self._stale or after is None
        self._kept = []
        # Only the answer to the last question counts.
        self._asked = f"page-{next(self._ids)}"
        variables = {"first": self._first, "after": after}
        await _send(socket, "subscribe", self._asked, {"query": PAGE, "variables": variables})

    async def _came(self, socket: ClientConnection, page: dict[str, Any]) -> None:
        held = [] if self._stale else self.edges
        self._stale, self._failures = False, 0
        info = page["pageInfo"]
        self._next = info["endCursor"] if info["hasNextPage"] else None
        self._end = page["edges"][-1]["sortKey"] if info["hasNextPage"] else None
        self.edges = merged(held, page["edges"])
        self._settle()
        if self._cursor is None:
            self._cursor = page["liveCursor"]
            await self._listen(socket)

    def _settle(self) -> None:
        """Apply what came while the page was on its way: it may be newer than the page."""
        kept, self._kept = self._kept or [], None
        for event in kept:
            self.edges = applied(self.edges, event, self._end)
        self._show(self.edges)

    async def _heard(self, socket: ClientConnection, event: Event) -> None:
        # Of events of a kind that is not known, too.
        self._cursor, self._failures = event["liveCursor"], 0
        if event["__typename"] == "LiveReset":
            # The stream goes on, and what it brings from here on applies to the page that is asked for now.
            await self._ask(socket, None)
        elif self._kept is not None:
            self._kept.append(event)
        else:
            self.edges = applied(self.edges, event, self._end)
            self._show(self.edges)


def longest_wait(failures: int) -> float:
    """Seconds, after so many failures."""
    # Doubled ten times it is long enough; a thousand times, some hours of failures, it is too large for a float.
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10))


def merged(edges: list[Edge], newer: list[Edge]) -> list[Edge]:
    """The edges with newer ones among them. A node is null when it could not be loaded."""
    found = {edge["node"]["id"]: edge for edge in [*edges, *newer] if edge["node"] is not None}
    return sorted(found.values(), key=lambda edge: str(edge["sortKey"]), reverse=True)


def applied(edges: list[Edge], event: Event, end: str | None) -> list[Edge]:
    """The edges after an event. `end`: the sortKey down to which pages were loaded, None for all."""
    match event:
        case {"__typename": "TimelineEntryAdded", "edge": edge}:
            # An old entry can come back. Below the end it would stand alone: paging down brings it with its neighbours.
            return edges if end is not None and edge["sortKey"] < end else merged(edges, [edge])
        case {"__typename": "TimelinePostUpdated", "post": dict() as post}:
            return [
                edge | {"node": edge["node"] | {"post": post}}
                if edge["node"]["post"]["id"] == post["id"]
                else edge
                for edge in edges
            ]
        case {"__typename": "TimelineEntryRemoved", "entryId": entry, "unavailablePostId": gone}:
            return [
                edge for edge in edges if edge["node"]["id"] != entry and edge["node"]["post"]["id"] != gone
            ]
    return edges


async def _send(socket: ClientConnection, type: str, id: str | None = None, payload: object = None) -> None:
    message = {"type": type, "id": id, "payload": payload}
    await socket.send(json.dumps({key: value for key, value in message.items() if value is not None}))
