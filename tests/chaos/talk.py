"""How a campaign's clients talk to the server: documents, and what they read from answers and events."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import HOME, OK, PUBLIC, REFUSED, UNKNOWN, Entry, tokens_in
from tests.chaos.proxy import Proxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# Seconds until a client takes an answer for lost.
PATIENCE = 6.0

_POST = "id text author { id } likeCount repostCount replyCount"
_MUTATIONS = {
    "post": ("createPost", "CreatePostInput", "post { id } timelineEdge { sortKey }"),
    "reply": ("createPost", "CreatePostInput", "post { id } timelineEdge { sortKey }"),
    "delete": ("deletePost", "DeletePostInput", "deletedPostId"),
    "like": ("likePost", "LikePostInput", "post { id viewerHasLiked }"),
    "unlike": ("unlikePost", "UnlikePostInput", "post { id viewerHasLiked }"),
    "repost": ("repost", "RepostInput", "post { id viewerHasReposted }"),
    "undo": ("undoRepost", "UndoRepostInput", "post { id viewerHasReposted }"),
    "follow": ("followUser", "FollowUserInput", "user { id }"),
    "unfollow": ("unfollowUser", "UnfollowUserInput", "user { id }"),
    "block": ("blockUser", "BlockUserInput", "user { id }"),
    "unblock": ("unblockUser", "UnblockUserInput", "user { id }"),
}
MUTATIONS = {
    what: f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ {fields} userErrors {{ code }} }} }}"
    for what, (name, kind, fields) in _MUTATIONS.items()
}
FIELDS = {HOME: "homeTimeline", PUBLIC: "publicTimeline"}
LOOKS = {
    "look": "query ($id: ID!) { node(id: $id) { ... on Post { text viewerHasLiked viewerHasReposted } } }",
    "look at account": "query ($id: ID!) { node(id: $id) { ... on User { viewerIsFollowing } } }",
}


def _edge(liked: bool) -> str:
    post = f"{_POST} viewerHasLiked" if liked else _POST
    return f"sortKey node {{ id repostedBy {{ id }} post {{ {post} }} }}"


def page_document(timeline: str, liked: bool) -> str:
    """A query for a page; `liked`: with the viewer's own likes."""
    return (
        f"query ($first: Int, $after: String) {{ {FIELDS[timeline]}(first: $first, after: $after) "
        f"{{ liveCursor pageInfo {{ hasNextPage endCursor }} edges {{ {_edge(liked)} }} }} }}"
    )


def events_document(timeline: str, liked: bool) -> str:
    """A subscription; `liked`: with the viewer's own likes."""
    post = f"{_POST} viewerHasLiked" if liked else _POST
    return (
        f"subscription ($after: String) {{ {FIELDS[timeline]}Events(after: $after) {{ __typename liveCursor "
        f"... on TimelineEntryAdded {{ edge {{ {_edge(liked)} }} }} "
        f"... on TimelinePostUpdated {{ post {{ {post} }} }} "
        "... on TimelineEntryRemoved { entryId unavailablePostId } } }"
    )


@dataclass
class Directory:
    """Everybody's accounts: IDs and tokens by number."""

    ids: list[str]
    tokens: list[str]
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {id: number for number, id in enumerate(self.ids)}

    def entry(self, edge: Mapping[str, Any]) -> Entry:
        """An edge as an entry."""
        node = edge["node"]
        by = node["repostedBy"]
        who = None if by is None else self.numbers.get(by["id"], -1)
        empty = Entry(node["id"], edge["sortKey"], node["post"]["id"], "", who)
        return with_post(empty, node["post"])


def with_post(entry: Entry, post: Mapping[str, Any]) -> Entry:
    """The entry, its post as it is told now."""
    return entry._replace(
        token=min(tokens_in(post["text"]), default=""),
        likes=post["likeCount"],
        reposts=post["repostCount"],
        replies=post["replyCount"],
        liked=post.get("viewerHasLiked"),
    )


@dataclass(frozen=True)
class Answer:
    """What came of a request: the data is there only when it was done as asked."""

    outcome: str
    data: Any = None
    note: str = ""
    tokens: frozenset[str] = frozenset()


def request_for(
    token: str, document: str, variables: dict[str, Any], *, accept: str = "application/json"
) -> bytes:
    """An operation as a request of HTTP/1.1."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"accept: {accept}\r\nauthorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Line:
    """HTTP to the workers, each through its proxy; written out, since all clients share two cores with the servers."""

    def __init__(self, doors: Sequence[Proxy]) -> None:
        self.doors = doors
        self._calls = itertools.count(1)
        self._idle: list[list[Ends]] = [[] for _ in doors]

    def call(self) -> int:
        """A number for an operation and its repeats."""
        return next(self._calls)

    def close(self) -> None:
        """Drop the connections that wait for the next request."""
        for idle in self._idle:
            while idle:
                idle.pop()[1].close()

    async def ask(self, worker: int, token: str, document: str, variables: dict[str, Any]) -> Answer:
        """Ask a worker once."""
        try:
            async with asyncio.timeout(PATIENCE):
                status, text = await self._exchange(worker, request_for(token, document, variables))
            found = json.loads(text)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            return Answer(UNKNOWN, note=type(error).__name__)
        tokens = tokens_in(text)
        if "errors" in found or not isinstance(found.get("data"), dict):
            codes = [error.get("extensions", {}).get("code") for error in found.get("errors", [])]
            return Answer(UNKNOWN, note=f"{status} {codes}", tokens=tokens)
        ((_, data),) = found["data"].items()
        if isinstance(data, dict) and data.get("userErrors"):
            return Answer(REFUSED, note=data["userErrors"][0]["code"], tokens=tokens)
        return Answer(OK, data, tokens=tokens)

    async def _exchange(self, worker: int, request: bytes) -> tuple[str, str]:
        """Send a request and read its answer: the status and the body."""
        idle = self._idle[worker]
        while idle and idle[-1][1].transport.is_closing():
            idle.pop()
        reader, writer = (
            idle.pop() if idle else await asyncio.open_connection("127.0.0.1", self.doors[worker].port)
        )
        kept = False
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length:")[2].partition("\r\n")[0]
            text = (await reader.readexactly(int(length))).decode()
            kept = True
        finally:
            if kept:
                idle.append((reader, writer))
            else:
                writer.transport.abort()
        return head.split(" ", 2)[1], text
