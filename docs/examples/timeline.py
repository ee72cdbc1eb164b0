"""A home timeline that stays right through lost connections: asyncio and the websockets library.

    timeline = HomeTimeline("wss://example.org/graphql", token)
    await timeline.run()

`token` is asked for an access token at each connection; `edges` is what to show, newest first. The protocol, and why it
is done like this: docs/live.md.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

Edge = dict[str, Any]

EDGE = """
  cursor sortKey
  node { id enteredAt repostedBy { handle } post { id text likeCount repostCount replyCount author { handle } } }
"""
PAGE = f"query ($first: Int) {{ homeTimeline(first: $first) {{ liveCursor edges {{ {EDGE} }} }} }}"
EVENTS = f"""
subscription ($after: String) {{
  homeTimelineEvents(after: $after) {{
    __typename liveCursor
    ... on TimelineEntryAdded {{ edge {{ {EDGE} }} }}
    ... on TimelinePostUpdated {{ post {{ id text likeCount repostCount replyCount author {{ handle }} }} }}
    ... on TimelineEntryRemoved {{ entryId unavailablePostId }}
  }}
}}
"""
# Seconds. The first try is nearly at once: most connections are lost by phones that change networks.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# Seconds without a message after which the connection is taken for lost; the server pings every 45.
SILENCE = 100.0


class HomeTimeline:
    """The newest entries, kept right while `run` runs. `changed` is called after each change."""

    def __init__(
        self,
        url: str,
        token: Callable[[], Awaitable[str]],
        *,
        first: int = 50,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._url, self._token, self._first, self._changed = url, token, first, changed
        self._held: dict[str, Edge] = {}
        self._cursor: str | None = None
        # While the list has to be fetched: the events that came meanwhile, to be applied to it.
        self._waiting: list[dict[str, Any]] | None = []
        self._numbers = itertools.count()
        self._asked = ""

    @property
    def edges(self) -> list[Edge]:
        """What to show, newest first."""
        return sorted(self._held.values(), key=lambda edge: str(edge["sortKey"]), reverse=True)

    async def run(self) -> None:
        """Keep the list right until cancelled."""
        failures = 0
        while True:
            try:
                async with connect(self._url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
                    await self._send(socket, "connection_init", payload=await self._authorization())
                    async for message in self._messages(socket):
                        failures = 0
                        await self._handle(socket, message)
            except (OSError, TimeoutError, WebSocketException, InvalidStatus):
                pass  # whatever ended it: the cursor says where to go on
            # Full jitter: a server that restarts would else meet all of its clients in the same moment.
            longest = min(LONGEST_WAIT, FIRST_WAIT * 2**failures)
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  # nothing is kept secret by it
            failures += 1

    async def _authorization(self) -> dict[str, str]:
        # A new token at each connection: 4403 closes a socket whose session was not refreshed.
        return {"Authorization": f"Bearer {await self._token()}"}

    async def _messages(self, socket: ClientConnection) -> Any:
        while True:
            async with asyncio.timeout(SILENCE):
                yield json.loads(await socket.recv())

    async def _handle(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        match message:
            case {"type": "connection_ack"}:
                if self._cursor is not None:
                    await self._watch(socket)
                if self._waiting is not None:
                    await self._fetch(socket)
            case {"type": "ping"}:
                await self._send(socket, "pong")
            case {"type": "next", "id": id, "payload": {"data": {"homeTimeline": dict() as page}}}:
                if id == self._asked:
                    await self._fetched(socket, page)
            case {"type": "next", "payload": {"data": {"homeTimelineEvents": dict() as event}}}:
                await self._heard(socket, event)
            case {"type": "next" | "error"}:
                # Something could not be answered: come back, and go on from the cursor.
                await socket.close()

    async def _fetch(self, socket: ClientConnection) -> None:
        self._waiting = []
        self._asked = f"page-{next(self._numbers)}"
        await self._send(
            socket, "subscribe", self._asked, {"query": PAGE, "variables": {"first": self._first}}
        )

    async def _fetched(self, socket: ClientConnection, page: dict[str, Any]) -> None:
        self._held = {edge["node"]["id"]: edge for edge in page["edges"]}
        waiting, self._waiting = self._waiting or [], None
        for event in waiting:
            self._apply(event)
        if self._cursor is None:
            # Nothing that happens after the page is missed.
            self._cursor = page["liveCursor"]
            await self._watch(socket)
        self._changed()

    async def _watch(self, socket: ClientConnection) -> None:
        await self._send(
            socket, "subscribe", "events", {"query": EVENTS, "variables": {"after": self._cursor}}
        )

    async def _heard(self, socket: ClientConnection, event: dict[str, Any]) -> None:
        # Of events of a kind that is not known, too.
        self._cursor = event["liveCursor"]
        if event["__typename"] == "LiveReset":
            # Fetch the list again; the stream goes on, and what it brings from here on applies to the new list.
            await self._fetch(socket)
        elif self._waiting is not None:
            self._waiting.append(event)
        else:
            self._apply(event)
            self._changed()

    def _apply(self, event: dict[str, Any]) -> None:
        match event["__typename"]:
            case "TimelineEntryAdded":
                # Added or replaced: the same entry may be told again.
                self._held[event["edge"]["node"]["id"]] = event["edge"]
            case "TimelinePostUpdated":
                for edge in self._held.values():
                    if edge["node"]["post"]["id"] == event["post"]["id"]:
                        edge["node"]["post"] = event["post"]
            case "TimelineEntryRemoved":
                gone = event["unavailablePostId"]
                self._held = {
                    id: edge
                    for id, edge in self._held.items()
                    if id != event["entryId"] and edge["node"]["post"]["id"] != gone
                }

    async def _send(
        self, socket: ClientConnection, type: str, id: str | None = None, payload: object = None
    ) -> None:
        message = {"type": type, "id": id, "payload": payload}
        await socket.send(json.dumps({key: value for key, value in message.items() if value is not None}))
