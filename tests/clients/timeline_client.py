"""The client of docs/examples/timeline.py: it keeps a timeline until a post says that it is the end.

It tells what it shows then, how often its token was refused, and whether it gave up.
"""

import asyncio
import importlib.util
import json
import sys
import urllib.request
from typing import Any

given = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("timeline", f"{given['examples']}/timeline.py")
assert spec is not None
assert spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
HomeTimeline: Any = example.HomeTimeline

POST = "mutation ($text: String!) { createPost(input: {text: $text}) { post { id } } }"
DELETE = "mutation ($id: ID!) { deletePost(input: {postId: $id}) { deletedPostId } }"
REFRESH = """mutation ($token: String!) { refreshSession(input: {refreshToken: $token}) {
  tokens { accessToken refreshToken } userErrors { code } } }"""
TEXTS = "{ homeTimeline(first: 5) { edges { node { post { text } } } } }"


async def ask(person: dict[str, str] | None, query: str, **variables: str) -> Any:
    """What a person does beside the client that is tested."""
    headers = {"content-type": "application/json"}
    if person is not None:
        headers["authorization"] = f"Bearer {person['token']}"
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{given.get('others', given['url'])}/graphql", body, headers)
    answer = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=20).read()))
    assert "errors" not in answer, answer
    return answer["data"]


class Client:
    """The example, what it showed, and its session."""

    def __init__(self, kind: Any = None) -> None:
        self.changed = asyncio.Event()
        self.refusals = 0
        self.failing = 0
        self.tokens = {"accessToken": given["bob"]["token"], "refreshToken": given["bob"]["refreshToken"]}
        self.timeline = (kind or HomeTimeline)(
            given["url"].replace("http", "ws") + "/graphql",
            self.token,
            first=given.get("first", 50),
            silence=given.get("silence", 100_000) / 1000,
            show=lambda edges: self.changed.set(),
        )
        self.running = asyncio.create_task(self.timeline.run())

    async def token(self, refused: bool) -> str:
        """As an app does it: the session is refreshed when the server did not accept its token."""
        if self.failing > 0:
            self.failing -= 1
            raise OSError("no way to the server")
        if refused:
            self.refusals += 1
            done = (await ask(None, REFRESH, token=self.tokens["refreshToken"]))["refreshSession"]
            if done["tokens"] is None:
                raise example.SignedOut
            self.tokens = done["tokens"]
        return str(self.tokens["accessToken"])

    async def until(self, text: str) -> None:
        """Wait until a post is shown. Raises what ended the client."""
        while all(edge["node"]["post"]["text"] != text for edge in self.timeline.edges):
            changed = asyncio.create_task(self.changed.wait())
            await asyncio.wait([changed, self.running], return_when=asyncio.FIRST_COMPLETED)
            if self.running.done():
                self.running.result()
            self.changed.clear()

    async def holds(self, count: int) -> None:
        """Wait until so many entries are shown."""
        while len(self.timeline.edges) < count:
            await self.changed.wait()
            self.changed.clear()

    async def at_the_end(self) -> Any:
        """What it shows when all is over."""
        await self.until("the end")
        self.running.cancel()
        lines = [
            [
                edge["node"]["id"],
                edge["node"]["post"]["text"],
                edge["node"]["post"]["likeCount"],
                (edge["node"]["repostedBy"] or {}).get("handle"),
            ]
            for edge in self.timeline.edges
        ]
        return {"lines": lines, "refusals": self.refusals}


async def keeps() -> Any:
    """A timeline, whatever happens."""
    try:
        return await Client().at_the_end()
    except example.SignedOut as reason:
        return {"ended": type(reason).__name__}


async def pages_down() -> Any:
    """Some pages more."""
    client = Client()
    for page in range(1, given["pages"]):
        await client.holds(page * given["first"])
        await client.timeline.more()
    await client.holds(given["pages"] * given["first"])
    await ask(given["bob"], POST, text="ready")
    return await client.at_the_end()


async def late_page() -> Any:
    """The post of `gone` is deleted after its page was read, and the event overtakes the page."""
    caught_up = asyncio.Event()

    class Late(HomeTimeline):  # type: ignore[misc]  # it is imported when this runs
        late: Any = None

        async def _came(self, socket: Any, page: Any) -> None:
            if self._stale:
                await super()._came(socket, page)
            else:
                self.late = page
                await ask(given["alice"], DELETE, id=given["gone"])

        async def _heard(self, socket: Any, event: Any) -> None:
            await super()._heard(socket, event)
            if event["__typename"] == "LiveCaughtUp":
                caught_up.set()
            if event.get("unavailablePostId") == given["gone"]:
                await super()._came(socket, self.late)
                await ask(given["alice"], POST, text="the end")

    client = Client(Late)
    await caught_up.wait()
    await client.timeline.more()
    return await client.at_the_end()


async def goes_on() -> Any:
    """No token is to be had for a while, then the cursor is none."""
    client = Client()
    client.failing = 2
    client.timeline._cursor, client.timeline._stale = "nonsense", False
    return await client.at_the_end()


async def sleeps() -> Any:
    """It is not there for a while."""
    client = Client()
    await client.until("sleep")
    client.running.cancel()
    await asyncio.wait([client.running])
    while "wake up" not in json.dumps(await ask(given["bob"], TEXTS)):
        await asyncio.sleep(0.05)
    client.running = asyncio.create_task(client.timeline.run())
    return await client.at_the_end()


async def waits() -> Any:
    """The most that it waits, in milliseconds, after so many failures."""
    return [1000 * example.longest_wait(failures) for failures in given["failures"]]


SCENES = {scene.__name__: scene for scene in (keeps, pages_down, late_page, goes_on, sleeps, waits)}
print("\n" + json.dumps(asyncio.run(SCENES[given["scene"]]())))
