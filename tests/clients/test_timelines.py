"""The example clients of docs/live.md keep a timeline right through all that happens to connections and servers."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.proxy import Proxy
from tests.clients.conftest import HERE, Play
from tests.conftest import Oracle, Server
from tests.live import holds, quiet
from tests.people import Person
from tests.stories.test_open_sessions import long_ago, soon_over

pytestmark = pytest.mark.clients
EXAMPLES = HERE.parents[1] / "docs" / "examples"


class Worker:
    """A worker of the real server, in a process of its own, on a port that stays when it is killed."""

    def __init__(self, server: Server, log: Path) -> None:
        self._environment = os.environ | server.settings.environment()
        self._log = log
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lifeline = -1
        self.begin()

    def begin(self) -> None:
        """Start it."""
        read, self._lifeline = os.pipe()
        descriptors = (self._listening.fileno(), read)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.worker", *map(str, descriptors)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                cwd=HERE.parents[1],
            )
        os.close(read)

    def kill(self) -> None:
        """With SIGKILL."""
        self._process.kill()
        self._process.wait()
        os.close(self._lifeline)

    def close(self) -> None:
        """It is not needed any more."""
        self.kill()
        self._listening.close()

    async def serves(self) -> bool:
        """Whether it answers."""
        async with httpx.AsyncClient() as http:
            try:
                return (await http.get(f"{self.url}/healthz")).status_code == 200
            except httpx.HTTPError:
                return False


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator[Worker]:
    made = Worker(server, tmp_path / "worker.log")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples, where Node finds the packages that they import."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    (folder / "node_modules").symlink_to(HERE / "node_modules", target_is_directory=True)
    return folder


class Network(Proxy):
    """A network between the client and the server."""

    def __init__(self, server: Server) -> None:
        super().__init__(int(server.url.rpartition(":")[2]))
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await super()._accepted(reader, writer)


@pytest.fixture
async def network(server: Server) -> AsyncIterator[Network]:
    made = Network(server)
    await made.start()
    yield made
    await made.stop()


Begin = Callable[..., "asyncio.Future[Any]"]


@pytest.fixture(params=["graphql_ws", "apollo", "python"])
async def begin(
    request: pytest.FixtureRequest, node: Play, python: Play, examples: Path
) -> AsyncIterator[Begin]:
    """Begin a scene of one of the clients: `begin("keeps", url=…, bob=bob)`; what it shows in the end."""
    client = request.param
    begun: list[asyncio.Future[Any]] = []

    def play(scene: str, **given: Any) -> "asyncio.Future[Any]":
        played: Awaitable[Any]
        if client == "python":
            played = python("timeline_client.py", scene, examples=str(examples), **given)
        else:
            played = node("timelines.mjs", scene, client=client, examples=str(examples), **given)
        begun.append(asyncio.ensure_future(played))
        return begun[-1]

    yield play
    for one in begun:
        one.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


async def streams(url: str, count: int, showing: "asyncio.Future[Any]") -> None:
    """Wait until a server has so many live streams."""

    async def has() -> bool:
        assert not showing.done(), showing.result()
        async with httpx.AsyncClient() as http:
            try:
                return f"maydan_live_streams {count}.0" in (await http.get(f"{url}/metrics")).text
            except httpx.HTTPError:
                return False

    await holds(has, patience=60)


async def fresh(person: Person, **page: int) -> list[list[Any]]:
    """The newest entries as a page has them now, and as clients tell them."""
    return [
        [
            edge["node"]["id"],
            edge["node"]["post"]["text"],
            edge["node"]["post"]["likeCount"],
            (edge["node"]["repostedBy"] or {}).get("handle"),
        ]
        for edge in (await person.home(**page))["edges"]
    ]


async def shows_what_is_there(
    showing: "asyncio.Future[Any]", server: Server, alice: Person, bob: Person, entries: int = 50
) -> Any:
    """In the end the client shows what a fresh page does."""
    await quiet(server)
    await alice.posts("the end")
    found = await fresh(bob, first=entries)
    told = await showing
    assert told["lines"] == found
    assert found[0][1] == "the end"
    return told


async def test_the_server_is_killed_under_it(
    begin: Begin, server: Server, worker: Worker, alice: Person, bob: Person, carol: Person
) -> None:
    await bob.follows(alice)
    await bob.follows(carol)
    liked, gone = await alice.posts("liked"), await alice.posts("gone soon")
    await holds(worker.serves, patience=60)
    showing = begin("keeps", url=worker.url, others=server.url, bob=bob)

    async def starts_again() -> None:
        worker.begin()
        await streams(worker.url, 1, showing)

    await streams(worker.url, 1, showing)
    await alice.posts("while it watches")
    worker.kill()
    await alice.posts("while nobody serves")
    await carol.likes(liked)
    await alice.deletes(gone)
    await starts_again()
    await carol.reposts(await (await server.sign_up("dora")).posts("from afar"))
    worker.kill()
    # What brings old entries in resets the list.
    await bob.follows(carol)
    await bob.unfollows(carol)
    await starts_again()
    await bob.follows(carol)
    await quiet(server)
    await alice.likes(liked)
    await shows_what_is_there(showing, server, alice, bob)


async def test_the_network_is_cut(
    begin: Begin, server: Server, network: Network, alice: Person, bob: Person, carol: Person
) -> None:
    await bob.follows(alice)
    gone, reposted = await alice.posts("gone soon"), await carol.posts("reposted")
    showing = begin("keeps", url=network.url, others=server.url, bob=bob)
    for time in ("first", "second"):
        await streams(server.url, 1, showing)
        await alice.posts(f"before the {time} cut")
        network.refuse()
        await streams(server.url, 0, showing)
        await alice.posts(f"during the {time}")
        await alice.deletes(gone)
        await alice.reposts(reposted)
        await carol.likes(reposted)
        network.heal()
    await alice.undoes_repost(reposted)
    # Taken out of the list together with what she reposted.
    await carol.blocks(bob)
    await shows_what_is_there(showing, server, alice, bob)


async def test_nothing_comes_through_any_more_and_nobody_says_so(
    begin: Begin, server: Server, network: Network, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    showing = begin("keeps", url=network.url, others=server.url, bob=bob, silence=1500)
    await streams(server.url, 1, showing)
    network.up.set(held=True)
    network.down.set(held=True)
    before = network.connections
    await alice.posts("into the void")
    await holds(lambda: network.connections > before, patience=60)
    network.heal()
    await shows_what_is_there(showing, server, alice, bob)


async def test_its_token_runs_out_and_it_refreshes_the_session(
    begin: Begin, server: Server, alice: Person, bob: Person, stored: Oracle
) -> None:
    await bob.follows(alice)
    await long_ago(stored)
    phone = soon_over(server, bob, seconds=5)
    phone.refresh_token = bob.refresh_token
    showing = begin("keeps", url=server.url, bob=phone)
    await streams(server.url, 1, showing)
    await alice.posts("by the first token")
    await streams(server.url, 0, showing)
    await alice.posts("when it was over")
    await streams(server.url, 1, showing)
    told = await shows_what_is_there(showing, server, alice, bob)
    assert told["refusals"] == 1


async def test_it_gives_up_when_the_session_is_over(begin: Begin, server: Server, bob: Person) -> None:
    showing = begin("keeps", url=server.url, bob=bob)
    await streams(server.url, 1, showing)
    await bob.asks("mutation { signOut { userErrors { code } } }")
    assert await showing == {"ended": "SignedOut"}


async def test_it_pages_down_and_keeps_all_pages_right(
    begin: Begin, server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    await bob.follows(alice)
    await bob.follows(carol)
    afar = await (await server.sign_up("dora")).posts("from afar")
    await alice.reposts(afar)
    # Left out, since the first repost was just before.
    await carol.reposts(afar)
    posts = [await alice.posts(f"post {nth}") for nth in range(12)]
    showing = begin("pages_down", url=server.url, bob=bob, first=3, pages=3)
    await holds(lambda: ready(bob), patience=60)
    await alice.deletes(posts[11])
    await carol.likes(posts[4])
    # The second one comes in at its old place, below what was loaded: it comes with its page, and not before.
    await alice.undoes_repost(afar)
    # Nine were loaded, one is gone, "ready" and "the end" came.
    await shows_what_is_there(showing, server, alice, bob, entries=10)


async def ready(person: Person) -> bool:
    return "ready" in await person.home_texts(first=3)


async def test_a_removal_overtakes_the_page_that_has_the_entry(
    begin: Begin, server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    posts = [await alice.posts(f"post {nth}") for nth in range(5)]
    told = await begin("late_page", url=server.url, alice=alice, bob=bob, first=3, gone=posts[0])
    assert told["lines"] == await fresh(bob, first=50)


async def test_it_goes_on_after_errors(begin: Begin, server: Server, alice: Person, bob: Person) -> None:
    await bob.follows(alice)
    await alice.posts("before")
    showing = begin("goes_on", url=server.url, bob=bob)
    await streams(server.url, 1, showing)
    await shows_what_is_there(showing, server, alice, bob)


async def test_a_page_of_the_longest_posts_comes(
    begin: Begin, server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    # 18 KB each: graphemes of a letter and nine marks, four bytes a mark.
    longest = 500 * ("a" + 9 * "\U0001d165")
    for _ in range(60):
        await alice.posts(longest)
    showing = begin("keeps", url=server.url, bob=bob, first=60)
    await streams(server.url, 1, showing)
    await shows_what_is_there(showing, server, alice, bob, entries=61)


async def test_it_waits_no_longer_however_often_it_failed(begin: Begin, server: Server, bob: Person) -> None:
    # So many failures are some months.
    waits = await begin("waits", url=server.url, bob=bob, failures=[0, 1, 5, 6, 1_000_000])
    assert waits == [500, 1_000, 16_000, 30_000, 30_000]


async def test_it_sleeps_in_the_background(begin: Begin, server: Server, alice: Person, bob: Person) -> None:
    await bob.follows(alice)
    post = await alice.posts("before")
    showing = begin("sleeps", url=server.url, bob=bob)
    await streams(server.url, 1, showing)
    await alice.posts("sleep")
    await streams(server.url, 0, showing)
    await alice.deletes(post)
    await alice.posts("wake up")
    await streams(server.url, 1, showing)
    await shows_what_is_there(showing, server, alice, bob)
