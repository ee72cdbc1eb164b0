"""A client's list of a timeline: a page, then the events of a stream, applied as the schema says."""

import asyncio
import json
import random
import time
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.chaos.history import OK, Connection, Entry, Event, Impairment, Operation, Screen, tokens_in
from tests.chaos.talk import FIELDS, events_document, page_document, with_post

if TYPE_CHECKING:
    from tests.chaos.clients import Stage

# A list begins with so many entries.
WINDOW = 60
# Seconds of silence until a client asks whether anybody is there, and then until it takes the connection for dead.
SILENCE, NO_ANSWER = 4.0, 3.0
KINDS = {
    "TimelineEntryAdded": "added",
    "TimelineEntryRemoved": "removed",
    "TimelinePostUpdated": "updated",
    "LiveReset": "reset",
    "LiveCaughtUp": "caught up",
}


class Broken(Exception):
    """The stream cannot go on over this connection."""


class Live:
    """One client's list of a timeline, and the stream that keeps it right."""

    def __init__(self, who: int, timeline: str, stage: "Stage", chance: random.Random) -> None:
        self._who, self._timeline, self._stage, self._chance = who, timeline, stage, chance
        # Some ask for their own likes as well, so that there are two documents and what is each viewer's own.
        self._liked = who % 4 == 0
        self.held: dict[str, Entry] = {}
        self.floor = ""
        self._cursor = ""
        self._stale = True
        self._connections = 0
        self._socket: ClientConnection | None = None
        self._asleep_until = 0.0
        self._deaf_until = 0.0
        self.caught_up = asyncio.Event()

    def cut(self, *, abrupt: bool) -> None:
        """Lose the connection; the stream comes back with its cursor."""
        socket = self._socket
        if socket is not None and abrupt:
            socket.transport.abort()
        elif socket is not None:
            self._asleep_until = max(self._asleep_until, time.monotonic() + 0.01)
            # The closing handshake goes on by itself; the reading side notices its end.
            task = asyncio.ensure_future(socket.close())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def sleep(self, seconds: float) -> None:
        """Lose the connection and come back later."""
        self._asleep_until = time.monotonic() + seconds
        self.cut(abrupt=True)

    def stop_reading(self, seconds: float) -> None:
        """Keep the connection and read nothing from it for a while."""
        begun = time.monotonic()
        self._deaf_until = begun + seconds
        self._stage.history.impairments.append(Impairment(begun, self._deaf_until, client=self._who))

    def screen(self) -> Screen:
        """What is on the screen."""
        return Screen(self.floor, dict(self.held))

    async def run(self) -> None:
        """Keep the list right until everything ends."""
        while not self._stage.closing:
            if (left := self._asleep_until - time.monotonic()) > 0:
                await asyncio.sleep(min(left, 0.2))
                continue
            worker = self._chance.randrange(self._stage.workers)
            note = ""
            try:
                await self._watch(worker)
            except (OSError, WebSocketException, TimeoutError, Broken, EOFError) as error:
                note = f"{type(error).__name__} {error}"[:120]
            finally:
                self._socket = None
                self.caught_up.clear()
            self._told(worker, up=False, note=note)
            await asyncio.sleep(self._chance.uniform(0.02, 0.4))

    def _told(self, worker: int, *, up: bool, note: str = "") -> None:
        now = time.monotonic()
        self._stage.history.add(
            Connection(now, self._who, self._timeline, self._connections, up, worker, self._cursor, note)
        )

    async def _watch(self, worker: int) -> None:
        if self._stale:
            await self._fetch()
        self._connections += 1
        url = f"ws://127.0.0.1:{self._stage.line.doors[worker].port}/graphql"
        async with connect(
            url,
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=5,
            close_timeout=1,
            ping_interval=None,
            compression=None,
            proxy=None,
        ) as socket:
            self._socket = socket
            token = self._stage.directory.tokens[self._who]
            await socket.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
            )
            async with asyncio.timeout(5):
                if json.loads(await socket.recv())["type"] != "connection_ack":
                    raise Broken("not acknowledged")
            payload = {
                "query": events_document(self._timeline, self._liked),
                "variables": {"after": self._cursor},
            }
            await socket.send(json.dumps({"id": "s", "type": "subscribe", "payload": payload}))
            self._told(worker, up=True)
            while not self._stage.closing:
                await self._hear(socket, worker)

    async def _hear(self, socket: ClientConnection, worker: int) -> None:
        while (left := self._deaf_until - time.monotonic()) > 0 and not self._stage.closing:
            await asyncio.sleep(min(left, 0.2))
        try:
            async with asyncio.timeout(SILENCE):
                text = await socket.recv()
        except TimeoutError:
            await socket.send('{"type":"ping"}')
            async with asyncio.timeout(NO_ANSWER):
                text = await socket.recv()
        assert isinstance(text, str)
        message = json.loads(text)
        if message["type"] == "next":
            await self._event(message["payload"], text, worker)
        elif message["type"] in ("error", "complete"):
            if "INVALID_CURSOR" in text:
                self._stale = True
            raise Broken(text[:100])

    async def _event(self, payload: dict[str, Any], text: str, worker: int) -> None:
        if payload.get("errors"):
            raise Broken(f"an event with errors: {text[:100]}")
        event = payload["data"][f"{FIELDS[self._timeline]}Events"]
        kind = KINDS[event["__typename"]]
        told = Event(
            time.monotonic(), self._who, self._timeline, self._connections, kind, event["liveCursor"], worker
        )
        told.tokens = tokens_in(text)
        if kind == "added":
            told.entry = self._stage.directory.entry(event["edge"])
            self.held[told.entry.id] = told.entry
        elif kind == "removed":
            told.entry_id, told.post = event["entryId"], event["unavailablePostId"] or ""
            self.held = {
                id: entry
                for id, entry in self.held.items()
                if id != told.entry_id and entry.post != told.post
            }
        elif kind == "updated":
            told.post = event["post"]["id"]
            for id, entry in self.held.items():
                if entry.post == told.post:
                    self.held[id] = with_post(entry, event["post"])
        self._stage.history.add(told)
        self._cursor = event["liveCursor"]
        if kind == "caught up":
            self.caught_up.set()
        if kind == "reset":
            self._stale = True
            await self._fetch()

    async def _fetch(self) -> None:
        """Begin the list anew with a page, asked for until it is answered."""
        call = self._stage.line.call()
        while not self._stage.closing:
            worker, begun = self._chance.randrange(self._stage.workers), time.monotonic()
            cursor, screen, done = await self.page(worker, WINDOW, None)
            done.at, done.call, done.fetched = begun, call, self._timeline
            self._stage.history.add(done)
            if done.outcome == OK:
                self.held, self.floor, self._cursor = dict(screen.entries), screen.floor, cursor
                self._stale = False
                return
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))

    async def page(self, worker: int, first: int, after: str | None) -> tuple[str, Screen, Operation]:
        """A page as this client reads it: its liveCursor, what is on it, and the record of it."""
        directory, begun = self._stage.directory, time.monotonic()
        document = page_document(self._timeline, self._liked)
        variables = {"first": first, "after": after}
        answer = await self._stage.line.ask(worker, directory.tokens[self._who], document, variables)
        done = Operation(begun, time.monotonic(), self._who, self._timeline, 0, answer.outcome, worker)
        done.note, done.tokens = answer.note, answer.tokens
        if answer.outcome != OK:
            return "", Screen("", {}), done
        done.entries = tuple(directory.entry(edge) for edge in answer.data["edges"])
        done.more = answer.data["pageInfo"]["hasNextPage"]
        done.post = answer.data["pageInfo"]["endCursor"] or ""
        floor = done.entries[-1].sort_key if done.more else ""
        return answer.data["liveCursor"], Screen(floor, {entry.id: entry for entry in done.entries}), done

    async def fresh(self, floor: str) -> Screen | None:
        """The list as pages have it now, down to a sort key; None when it cannot be read."""
        entries: dict[str, Entry] = {}
        after = None
        while True:
            worker = self._chance.randrange(self._stage.workers)
            _, screen, done = await self.page(worker, 100, after)
            if done.outcome != OK:
                return None
            entries |= screen.entries
            if not done.more or screen.floor < floor:
                return Screen(screen.floor, entries)
            after = done.post
