"""The yardstick: the same work as the home page's, written straight down without a framework or GraphQL.

It sends the statements that ours sends (the benchmark compares them) over one pooled connection, checks the token,
applies the rules of resolvers/home.py and resolvers/visibility.py and builds the answer by hand. It knows the
benchmark's operations and no others. What it answers must equal ours to the byte.
"""

import asyncio
import time
from binascii import b2a_base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

import asyncpg
import orjson
from starlette.types import Receive, Scope, Send

from app.parts import access_tokens
from app.settings import Settings
from bench.documents import HOME, TYPENAME
from dataloaders.database import SERVER_SETTINGS
from resolvers.home import REPOST_REST
from resolvers.home_entries import FEW, MARGIN, SAMPLE, SHORTEST_SPAN, WALK_PER_ACCOUNT, WIDER
from sql import load

ENTRIES = load("entries")
LOG = load("log")
POSTS = load("posts")
TIES = load("ties")
USERS = load("users")
FEW_DOWN = ENTRIES["entries_of_few_down"].text
WALKED_DOWN = ENTRIES["entries_walked_down"].text
DEPTH_DOWN = ENTRIES["entry_at_depth_down"].text
MANY_DOWN = ENTRIES["entries_of_many_down"].text
HEAD = LOG["log_head"].text
POSTS_BY_KEYS = POSTS["posts_by_keys"].text
FOLLOWED_BY = TIES["followed_by"].text
VIEWER_SIDE = TIES["viewer_side"].text
USERS_BY_IDS = USERS["users_by_ids"].text

SIZE = 20
WANTED = SIZE + 1
CHUNK = WANTED + WANTED // 4 + 4
MOST = 500
TOP = 2**63 - 1
EPOCH = datetime(2025, 1, 1)  # noqa: DTZ001 - written with a Z behind it
# Seconds between looks at the log's head, as the live hub has.
LOOK_EVERY = 0.25
PAIR = Struct(">qq").pack
ONE = Struct(">q").pack
SAFE = bytes.maketrans(b"+/", b"-_")
JSON = (b"content-type", b"application/json; charset=utf-8")
TYPENAME_BODY = b'{"data":{"__typename":"Query"}}'


def _url(data: bytes) -> str:
    return b2a_base64(data, newline=False).translate(SAFE, b"=").decode()


def _moment(id: int) -> str:
    return (EPOCH + timedelta(microseconds=id >> 11)).isoformat(timespec="microseconds") + "Z"


class Connection(asyncpg.Connection):
    """Given back without a reset query, as ours."""

    def get_reset_query(self) -> str:
        """None."""
        return ""


class Floor:
    """The ASGI application."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokens = access_tokens(settings)
        self.pool: asyncpg.Pool[Any]
        self.live_cursor = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With its pool, and the log's head kept in memory as the hub keeps it."""
        size = self.settings.database_pool_size
        async with asyncpg.create_pool(
            self.settings.database_url,
            min_size=0,
            max_size=size,
            connection_class=Connection,
            server_settings=SERVER_SETTINGS,
            statement_cache_size=500,
            max_cached_statement_lifetime=0,
        ) as self.pool:
            await self._look()
            task = asyncio.create_task(self._keep_looking())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _look(self) -> None:
        (epoch, number), *_ = await self.pool.fetch(HEAD, 0)
        self.live_cursor = _url(f"h.{epoch}.{number}".encode())

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode()
        viewer_id = self.tokens.verify(token[7:]).user_id
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        query = orjson.loads(body)["query"]
        if query == HOME:
            connection = await self.pool.acquire()
            try:
                answer = orjson.dumps({"data": {"homeTimeline": await self._home(connection, viewer_id)}})
            finally:
                await self.pool.release(connection)
        elif query == TYPENAME:
            answer = TYPENAME_BODY
        else:
            raise ValueError("not an operation of the benchmark")
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, length]})
        await send({"type": "http.response.body", "body": answer})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _home(self, connection: Any, viewer_id: int) -> dict[str, Any]:
        """The first page of the home timeline."""
        live_cursor = self.live_cursor
        actors = sorted([*(await connection.fetch(FOLLOWED_BY, viewer_id))[0][0], viewer_id])
        members = frozenset(actors)
        shown: list[Any] = []
        posts: dict[tuple[int, int], Any] = {}
        ties: dict[int, Any] = {}
        marks: dict[tuple[int, int], Any] = {}
        after, tie, chunk = TOP, TOP, CHUNK
        while True:
            entries = await _entries(connection, viewer_id, actors, after, tie, chunk)
            fitting = [
                entry
                for entry in entries
                if entry[0] in members
                and (
                    entry[4] is None
                    or entry[1] != entry[3]
                    or entry[0] == viewer_id
                    or entry[4] == entry[0]
                    or entry[4] in members
                )
            ]
            keys = sorted({(entry[2], entry[3]) for entry in fitting})
            if keys:
                authors, ids = [key[0] for key in keys], [key[1] for key in keys]
                for row in await connection.fetch(POSTS_BY_KEYS, authors, ids, actors):
                    posts[row[0], row[1]] = row
                people = {entry[0] for entry in fitting}.union(authors)
                people.discard(viewer_id)
                for side in await connection.fetch(VIEWER_SIDE, viewer_id, list(people), authors, ids):
                    if side[1] is None:
                        ties[side[0]] = side
                    else:
                        marks[side[0], side[1]] = side
            for entry in fitting:
                actor, id, author, post_id, _ = entry
                post = posts.get((author, post_id))
                if post is None or _is_blocked(ties, author) or _is_blocked(ties, actor):
                    continue
                if id == post_id or not _is_covered(entry, post, viewer_id, members):
                    shown.append(entry)
            if len(shown) >= WANTED or len(entries) < chunk:
                break
            after, tie, chunk = entries[-1][1], entries[-1][0], min(chunk * 2, MOST)
        page = shown[:SIZE]
        # Authors came with their posts; reposters who wrote none of them are still to be read.
        known = {post[0]: (post[10], post[11]) for post in posts.values()}
        missing = {entry[0] for entry in page if entry[1] != entry[3]}.difference(known)
        if missing:
            for user in await connection.fetch(USERS_BY_IDS, list(missing)):
                known[user[0]] = (user[1], user[2])
        edges = []
        for actor, id, author, post_id, _ in page:
            post = posts[author, post_id]
            mark = marks[author, post_id]
            key = PAIR(author, post_id)
            reposter = None
            if id != post_id:
                handle, display_name = known[actor]
                reposter = {"handle": handle, "displayName": display_name}
            edges.append(
                {
                    "cursor": _url(b"h" + PAIR(id, actor)),
                    "sortKey": f"{id:016x}{actor:016x}",
                    "node": {
                        "id": "e" + _url(PAIR(actor, id)),
                        "enteredAt": _moment(id),
                        "repostedBy": reposter,
                        "post": {
                            "id": "p" + _url(key),
                            "text": post[2],
                            "textDirection": post[3],
                            "createdAt": _moment(post_id),
                            "isReply": post[5] is not None,
                            "likeCount": post[6],
                            "repostCount": post[7],
                            "replyCount": post[8],
                            "viewerHasLiked": mark[6],
                            "viewerHasReposted": mark[7],
                            "author": {
                                "id": "u" + _url(ONE(author)),
                                "handle": post[10],
                                "displayName": post[11],
                                "avatarUrl": post[13],
                                "viewerIsFollowing": author != viewer_id and ties[author][2],
                            },
                        },
                    },
                }
            )
        return {
            "liveCursor": live_cursor,
            "pageInfo": {
                "hasNextPage": len(shown) > SIZE,
                "endCursor": edges[-1]["cursor"] if edges else None,
            },
            "edges": edges,
        }


async def _entries(
    connection: Any, viewer_id: int, actors: list[int], after: int, tie: int, limit: int
) -> list[Any]:
    """The newest entries of the accounts below a position, found as resolvers/home_entries.py finds them."""
    if len(actors) <= FEW:
        return list(await connection.fetch(FEW_DOWN, actors, after, tie, limit, viewer_id))
    walk = WALK_PER_ACCOUNT * len(actors)
    found: list[Any] = await connection.fetch(WALKED_DOWN, actors, after, tie, walk, limit, viewer_id)
    if len(found) >= limit:
        return found
    reached = await connection.fetch(DEPTH_DOWN, after, tie, walk // SAMPLE)
    if not reached:
        return found
    now = int((time.time() + 60 - EPOCH.replace(tzinfo=UTC).timestamp()) * 1_000_000) << 11
    begin = min(after, now)
    if found:
        after, tie = found[-1][1], found[-1][0]
    edge = max(begin - max(begin - reached[0][1], SHORTEST_SPAN) * SAMPLE, 1)
    if found:
        edge = min(edge, after)
    while len(found) < limit and edge != 0:
        wanted = MARGIN * (limit - len(found)) / len(found) if found else WIDER
        edge = max(edge - int((begin - edge) * min(wanted, WIDER)), 0)
        found += await connection.fetch(MANY_DOWN, actors, after, tie, edge, limit - len(found), viewer_id)
        after, tie = edge, -1
    return found


def _is_blocked(ties: Mapping[int, Any], id: int) -> bool:
    tie = ties.get(id)
    return tie is not None and (tie[4] or tie[5])


def _is_covered(entry: Any, post: Any, viewer_id: int, members: frozenset[int]) -> bool:
    """Whether the repost is left out: the post, or a repost by one of the home's accounts, came just before."""
    actor, id, author, post_id, answered = entry
    if (
        author in members
        and (answered is None or author == viewer_id or answered == author or answered in members)
        and _rests(post_id, id)
    ):
        return True
    for other, at in zip(post[17] or (), post[18] or (), strict=True):
        if other != actor and (_rests(at, id) or (at == id and other < actor)):
            return True
    return False


def _rests(earlier: int, later: int) -> bool:
    return earlier < later and (later >> 11) - (earlier >> 11) <= REPOST_REST


def create_app() -> Floor:
    """The application; settings come from the environment."""
    return Floor(Settings())
