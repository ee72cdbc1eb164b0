"""What is measured: the operations, as requests ready to be sent, on a network with something in it to see."""

from dataclasses import dataclass
from typing import Any

from bench.documents import BLOCK, HOME, LIKE, PLACES, REPOST, TYPENAME, UNLIKE, pages, request_bytes
from bench.servers import CannotMeasure, Server

PAGES = 10


@dataclass(frozen=True)
class Operation:
    """One section of the table.

    `requests[i]` is what connection i sends in turn. Heavy ones are measured with few connections only: a dozen of
    them under way would take seconds to come to an end. `everywhere`: all servers answer it, else ours and stock.
    """

    name: str
    about: str
    requests: list[list[str]]
    everywhere: bool = False
    heavy: bool = False
    paced: bool = False

    @property
    def first(self) -> bytes:
        """A request of it."""
        return self.requests[0][0].encode()


class Viewer:
    """Somebody who asks a server."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token

    def asks(self, query: str, **variables: Any) -> Any:
        """The data of the answer. Raises CannotMeasure."""
        return self._server.post(request_bytes(query, variables, self._token))["data"]

    def does(self, query: str, **variables: Any) -> None:
        """A mutation with one field. Raises CannotMeasure when it is refused."""
        for field, payload in self.asks(query, **variables).items():
            if payload["userErrors"]:
                raise CannotMeasure(f"{field} was refused: {payload['userErrors']}")


def prepare(viewer: Viewer) -> None:
    """Give the viewer's home page something to tell: likes, a repost of theirs, and somebody they block."""
    edges = viewer.asks(HOME)["homeTimeline"]["edges"]
    for edge in edges[::3]:
        viewer.does(LIKE, post=edge["node"]["post"]["id"])
    public = viewer.asks(PLACES)["publicTimeline"]["edges"]
    viewer.does(REPOST, post=public[1]["node"]["post"]["id"])
    for edge in edges:
        if edge["node"]["repostedBy"] is not None:
            viewer.does(BLOCK, user=edge["node"]["post"]["author"]["id"])
            break


def operations(viewer: Viewer, token: str, connections: int) -> list[Operation]:
    """All that is measured, for so many connections."""
    found: list[Any] = []
    cursors: list[str] = []
    for _ in range(PAGES):
        page = viewer.asks(PLACES, after=cursors[-1] if cursors else None)["publicTimeline"]
        found += page["edges"]
        cursors.append(page["pageInfo"]["endCursor"])
    posts = [edge["node"]["post"]["id"] for edge in found]
    if len(set(posts)) < connections:
        raise CannotMeasure("there are too few posts; give more with --posts")

    def request(query: str, **variables: Any) -> str:
        return request_bytes(query, variables, token).decode()

    def listing(count: int) -> list[list[str]]:
        after = {f"after{n}": cursors[n] for n in range(count)}
        return [[request(pages(count), **after)]]

    return [
        Operation(
            "home_page",
            "20 entries of the home timeline with author, counts and viewer state",
            [[request(HOME, after=None)]],
            everywhere=True,
            paced=True,
        ),
        Operation("typename", "{ __typename }", [[request(TYPENAME)]], everywhere=True),
        Operation(
            "mutation",
            "likePost and unlikePost in turn, a post for each connection",
            [[request(LIKE, post=post), request(UNLIKE, post=post)] for post in posts[:connections]],
        ),
        Operation("posts_100", "a page of 100 posts with their authors", listing(1), heavy=True),
        Operation("posts_1000", "ten such pages in one operation", listing(PAGES), heavy=True),
    ]
