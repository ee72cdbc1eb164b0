"""The example clients of docs/live.md keep a timeline right while the server is killed under them."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import HERE, Play
from tests.conftest import Server
from tests.live import holds, quiet
from tests.people import Person

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


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, where Node finds the packages that they import."""
    folder = HERE / "node_modules" / ".examples"
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("client", ["graphql_ws", "apollo", "python"])
async def test_a_timeline_is_right_whatever_happens_to_the_server(
    node: Play,
    python: Play,
    client: str,
    examples: Path,
    server: Server,
    worker: Worker,
    alice: Person,
    bob: Person,
    carol: Person,
) -> None:
    await bob.follows(alice)
    await bob.follows(carol)
    liked = await alice.posts("liked")
    gone = await alice.posts("gone soon")
    await holds(worker.serves, patience=60)
    play, script = (python, "timeline_client.py") if client == "python" else (node, "timelines.mjs")
    showing: asyncio.Future[Any] = asyncio.ensure_future(
        play(script, client, url=worker.url, bob=bob, examples=str(examples))
    )

    async def watches() -> bool:
        assert not showing.done(), showing.result()
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"{worker.url}/metrics")).text
        return "maydan_live_streams 1.0" in found

    async def starts_again() -> None:
        worker.begin()
        await holds(worker.serves, patience=60)
        await holds(watches, patience=60)

    await holds(watches, patience=60)
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
    await quiet(server)
    await alice.posts("the end")
    edges = (await bob.home(first=50))["edges"]
    assert await showing == [
        [
            edge["node"]["id"],
            edge["node"]["post"]["text"],
            edge["node"]["post"]["likeCount"],
            (edge["node"]["repostedBy"] or {}).get("handle"),
        ]
        for edge in edges
    ]
    assert edges[0]["node"]["post"]["text"] == "the end"
