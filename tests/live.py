"""What the stories about live timelines share: reading streams, late transactions, quiet points, a phone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from resolvers.ids import post_key_of, user_id_of
from tests.conftest import Server
from tests.people import EVENT_PATIENCE, Person, Stream

HOME_EVENTS = "homeTimelineEvents"
PUBLIC_EVENTS = "publicTimelineEvents"

Event = dict[str, Any]


def essence(event: Event) -> tuple[Any, ...]:
    """An event in few words, without counters and cursor."""
    kind = event["__typename"]
    if kind == "TimelineEntryAdded":
        node = event["edge"]["node"]
        reposter = node["repostedBy"]
        return ("added", node["post"]["text"], None if reposter is None else reposter["handle"])
    if kind == "TimelineEntryRemoved":
        return ("removed", event["entryId"], event["unavailablePostId"])
    if kind == "TimelinePostUpdated":
        return ("updated", event["post"]["text"])
    return ({"LiveCaughtUp": "caught up", "LiveReset": "reset"}[kind],)


def added(event: Event, text: str) -> bool:
    """Whether this brings the post with the text in, as itself."""
    return essence(event) == ("added", text, None)


async def read_until(stream: Stream, ends: Callable[[Event], bool]) -> list[Event]:
    """The events up to the one that ends it, that one included."""
    found = []
    while True:
        found.append(await stream.next())
        if ends(found[-1]):
            return found


async def before_post(stream: Stream, text: str) -> list[tuple[Any, ...]]:
    """What came before the post with this text, without news of counters."""
    events = await read_until(stream, lambda event: added(event, text))
    return [essence(event) for event in events[:-1] if event["__typename"] != "TimelinePostUpdated"]


async def counters(stream: Stream, text: str, **wanted: int) -> list[Event]:
    """Read until a post's counters are told to be so; the news about that post on the way, that one included."""
    told = []
    while True:
        event = await stream.next()
        if essence(event) == ("updated", text):
            told.append(event)
            if all(event["post"][name] == count for name, count in wanted.items()):
                return told


async def holds(condition: Callable[[], bool | Awaitable[bool]], patience: float = EVENT_PATIENCE) -> None:
    """Wait until a condition holds, looking again and again."""
    async with asyncio.timeout(patience):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def quiet(*servers: Server) -> None:
    """Wait until all that happened is in the log and every server has read it."""
    dsn = servers[0].settings.database_url
    assert dsn is not None
    connection = await asyncpg.connect(dsn)

    async def all_done() -> bool:
        # One snapshot: each step moves its rows on in one transaction, so nothing hides between two tables.
        row = await connection.fetchrow(
            "SELECT number, NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM fanouts)"
            " AND NOT EXISTS (SELECT FROM changes WHERE pending) AS empty FROM sequencers"
        )
        assert row is not None
        return bool(row["empty"]) and all(
            server.application.parts.hub.seen == row["number"] for server in servers
        )

    try:
        await holds(all_done)
    finally:
        await connection.close()


@asynccontextmanager
async def watching(server: Server, person: Person, watched: str = HOME_EVENTS) -> AsyncIterator[Stream]:
    """A stream that has caught up, begun when nothing was under way any more."""
    await quiet(server)
    async with person.watches(watched) as stream:
        await stream.caught_up()
        yield stream


def user_key(person: Person) -> int:
    """The account's key in the database."""
    found = user_id_of(person.id)
    assert found is not None
    return found


@dataclass
class Late:
    """A transaction that stays open for a while, as a slow writer's would."""

    connection: "asyncpg.Connection[asyncpg.Record]"

    async def announces(self, owner: int, kind: str, public: bool, data: object) -> None:
        await self.connection.execute(
            "INSERT INTO outbox (owner_id, kind, public, data) VALUES ($1, $2, $3, $4::text::jsonb)",
            *(owner, kind, public, json.dumps(data)),
        )

    async def posts(self, author: Person, text: str) -> None:
        """Do what createPost does."""
        key = user_key(author)
        await self.connection.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", key)
        post = await self.connection.fetchval(
            "INSERT INTO posts (author_id, id, text, direction) VALUES ($1, new_id(), $2, 'LTR') RETURNING id",
            *(key, text),
        )
        await self.connection.execute("INSERT INTO entries VALUES ($1, $2, $1, $2, NULL)", key, post)
        await self.connection.execute("UPDATE users SET post_count = post_count + 1 WHERE id = $1", key)
        await self.announces(key, "entry_added", True, {"entry": [key, post, key, post, None]})

    async def reposts(self, actor: Person, post: str) -> None:
        """Do what repost does, its counter and the lock that goes with it aside."""
        key, found = user_key(actor), post_key_of(post)
        assert found is not None
        entry = await self.connection.fetchval(
            "INSERT INTO entries VALUES ($1, new_id(), $2, $3, NULL) RETURNING id", key, *found
        )
        await self.connection.execute("INSERT INTO reposters VALUES ($1, $2, $3, $4)", *found, key, entry)
        await self.announces(key, "entry_added", False, {"entry": [key, entry, *found, None]})


@asynccontextmanager
async def late_transaction(database: str) -> AsyncIterator[Late]:
    """A transaction that commits at the end of the block."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            yield Late(connection)
    finally:
        await connection.close()


@dataclass
class Phone:
    """A client that keeps a timeline right: the page, then the events, applied as the contract says."""

    person: Person
    watched: str
    held: dict[str, Any] = field(default_factory=dict)
    cursor: str = ""
    stale: bool = True
    resets: int = 0
    caught_up: bool = False

    async def pages(self) -> tuple[str, dict[str, Any]]:
        """The whole timeline as pages have it: the cursor of the top, and the edges by entry."""
        page = self.person.home if self.watched == HOME_EVENTS else self.person.public
        cursor, after = "", None
        edges: dict[str, Any] = {}
        while True:
            found = await page(first=100, after=after)
            cursor = cursor or found["liveCursor"]
            edges |= {edge["node"]["id"]: edge for edge in found["edges"]}
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                return cursor, edges

    async def refetch(self) -> None:
        """Fetch the timeline again from the top."""
        self.cursor, self.held = await self.pages()
        self.stale = False

    async def run(self) -> None:
        """Keep it right until cancelled; started again, it resumes where it was."""
        if self.stale:
            await self.refetch()
        async with self.person.watches(self.watched, after=self.cursor) as stream:
            while True:
                event = await stream.next(patience=120)
                stream.events.clear()
                if event["__typename"] == "LiveReset":
                    self.stale = True
                    self.resets += 1
                    await self.refetch()
                    continue
                self.apply(event)
                self.cursor = event["liveCursor"]

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        """Keep it right during the block, beginning with a stream that has caught up."""
        running = asyncio.create_task(self.run())
        try:
            await holds(lambda: running.done() or self.caught_up)
            yield
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.wait([running])
            self.caught_up = False
        if not running.cancelled():
            running.result()

    def apply(self, event: Event) -> None:
        """Do to the list what the event says."""
        match event["__typename"]:
            case "LiveCaughtUp":
                self.caught_up = True
            case "TimelineEntryAdded":
                self.held[event["edge"]["node"]["id"]] = event["edge"]
            case "TimelineEntryRemoved":
                gone = event["unavailablePostId"]
                self.held = {
                    id: edge
                    for id, edge in self.held.items()
                    if id != event["entryId"] and (gone is None or edge["node"]["post"]["id"] != gone)
                }
            case "TimelinePostUpdated":
                for edge in self.held.values():
                    if edge["node"]["post"]["id"] == event["post"]["id"]:
                        edge["node"]["post"] = event["post"]

    def list(self) -> list[str]:
        """What is on the screen, one line for each entry."""
        return lines(self.held)

    async def shows(self, text: str) -> None:
        """Wait until the post is on the screen."""
        await holds(lambda: any(edge["node"]["post"]["text"] == text for edge in self.held.values()))


def lines(edges: dict[str, Any]) -> list[str]:
    """Edges as lines that compare well, newest first."""
    return [
        json.dumps([edge["sortKey"], edge["node"]], sort_keys=True)
        for edge in sorted(edges.values(), key=lambda edge: str(edge["sortKey"]), reverse=True)
    ]


@dataclass
class Stopwatch:
    """Seconds since it was made, for rules of the form "at most one per second"."""

    began: float = field(default_factory=time.monotonic)

    def whole_seconds(self) -> int:
        return int(time.monotonic() - self.began)
