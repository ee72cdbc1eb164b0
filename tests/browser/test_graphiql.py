"""GraphiQL as a visitor meets it: the real server, a real Chromium, and nothing from outside."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright, expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# No sandbox, so that it also runs as root in a container; only this machine's own names are resolved.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
VARIABLES = '[aria-label="Variables"] .graphiql-editor:not(.hidden) .CodeMirror'
# What the server needs from our environment; the settings in it are left out.
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# A first start makes a database and fills it.
START_SECONDS = 180
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def square() -> Iterator[str]:
    """The address of a server started as a user does, on an empty data folder."""
    folder = tempfile.mkdtemp(prefix="maydan-browser-")
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    server = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env={**environment, "DEMO": "1", "MAYDAN_DATA_DIR": folder, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: Queue[str] = Queue()
    reader = threading.Thread(target=read_lines, args=(server, lines), daemon=True)
    reader.start()
    try:
        yield address_in_banner(lines)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        reader.join(timeout=5)
        shutil.rmtree(folder, ignore_errors=True)


def read_lines(server: "subprocess.Popen[str]", lines: Queue[str]) -> None:
    """Pass the server's output on; an empty string tells that it ended."""
    assert server.stdout is not None
    with server.stdout as output:
        for line in output:
            lines.put(line)
    lines.put("")


def address_in_banner(lines: Queue[str]) -> str:
    """Where the server says that GraphiQL is."""
    seen = ""
    while True:
        try:
            line = lines.get(timeout=START_SECONDS)
        except Empty:
            pytest.fail(f"The server printed no address of GraphiQL. It said:\n{seen}")
        if not line:
            pytest.fail(f"The server ended. It said:\n{seen}")
        seen += line
        if found := re.search(r"(http://[^/\s]+)/graphiql", line):
            return found[1]


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium of this machine."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        pytest.fail(
            "No Chromium was found: install one (Debian: apt install chromium) or name it in CHROMIUM."
        )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody with GraphiQL open in a browser of their own, and everything that their page asked for."""

    def __init__(self, page: Page, square: str) -> None:
        self.page = page
        self.square = square
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(PATIENCE_MS)

    async def opens(self, path: str = "/") -> None:
        """Go to the page and wait until the schema is there."""
        await self.page.goto(self.square + path)
        await expect(self.page.locator(".graphiql-container")).to_be_visible(timeout=PATIENCE_MS)
        await expect(self.page.locator(".graphiql-spinner")).to_have_count(0, timeout=PATIENCE_MS)

    async def people(self) -> list[str]:
        """The handles that "Act as" offers, "" for anonymous."""
        values = "radios => radios.map(radio => radio.value)"
        offered: list[str] = await self.page.get_by_role("radio").evaluate_all(values)
        return offered

    async def acts_as(self, handle: str) -> None:
        """Choose an identity."""
        await self.page.locator(f'input[name="act-as"][value="{handle}"]').check()

    async def tab(self, name: str) -> None:
        """Open the tab of an example."""
        await self.page.get_by_role("tablist").get_by_role("button", name=name, exact=True).click()

    async def variables(self) -> Any:
        """What stands in the variables editor."""
        return json.loads(
            await self.page.locator(VARIABLES).evaluate("element => element.CodeMirror.getValue()")
        )

    async def enters(self, variables: dict[str, Any]) -> None:
        """Replace what stands in the variables editor."""
        editor = self.page.locator(VARIABLES)
        text = json.dumps(variables, ensure_ascii=False, indent=2)
        await editor.evaluate("(element, text) => element.CodeMirror.setValue(text)", text)

    async def runs(self) -> None:
        """Press the play button."""
        await self.page.get_by_role("button", name="Execute query").click()

    async def stops(self) -> None:
        """Press it again."""
        await self.page.get_by_role("button", name="Stop query").click()

    async def sees(self, text: str) -> Any:
        """Wait until the result holds the text; the result."""
        result = "document.querySelector('.graphiql-response .CodeMirror').CodeMirror.getValue()"
        try:
            await self.page.wait_for_function(f"text => {result}.includes(text)", arg=text)
        except Exception as error:
            pytest.fail(f"{text!r} never came ({error}); the result was {await self.page.evaluate(result)}")
        return json.loads(await self.page.evaluate(result))

    async def stayed_inside(self) -> None:
        """Nothing but this server was asked for anything, and the browser had nothing to complain about."""
        host = urlsplit(self.square).netloc
        assert self.asked
        # data: and blob: stay inside the browser.
        addresses = [url for url in self.asked if urlsplit(url).scheme not in ("data", "blob")]
        assert {urlsplit(url).netloc for url in addresses} == {host}
        assert self.complaints == []


@pytest.fixture
async def visitors(chromium: Browser, square: str) -> AsyncIterator[list[Visitor]]:
    """Two of them, who must not have asked for anything from outside when the test ends."""
    both = []
    for _ in range(2):
        context = await chromium.new_context(viewport={"width": 1360, "height": 820}, locale="en-GB")
        both.append(Visitor(await context.new_page(), square))
    yield both
    for visitor in both:
        if visitor.page.url != "about:blank":
            await visitor.stayed_inside()


async def test_a_post_arrives_in_another_page(visitors: list[Visitor]) -> None:
    writer, reader = visitors
    await writer.opens()
    assert writer.page.url.endswith("/graphiql")
    anonymous, first, *_ = await writer.people()
    assert anonymous == ""
    await writer.acts_as(first)
    await writer.tab("HomeTimeline")
    await writer.runs()
    page = await writer.sees('"endCursor"')
    assert len(page["data"]["homeTimeline"]["edges"]) == 10

    await reader.opens(f"/graphiql?as={first}")
    await reader.tab("HomeTimelineLive")
    await reader.enters({"after": page["data"]["homeTimeline"]["liveCursor"]})
    await reader.runs()
    await reader.sees("LiveCaughtUp")
    await expect(reader.page.get_by_role("status")).to_have_text(f"Live as @{first}")

    await writer.tab("CreatePost")
    await writer.enters({"input": {"text": "مرحبًا من الصفحة الأخرى: hello from the other page"}})
    await writer.runs()
    made = await writer.sees('"timelineEdge"')
    assert made["data"]["createPost"]["userErrors"] == []

    received = await reader.sees("hello from the other page")
    event = received["received, newest first"][0]["data"]["homeTimelineEvents"]
    assert event["__typename"] == "TimelineEntryAdded"
    assert event["edge"]["sortKey"] == made["data"]["createPost"]["timelineEdge"]["sortKey"]
    assert event["edge"]["node"]["post"]["id"] == made["data"]["createPost"]["post"]["id"]
    assert event["edge"]["node"]["post"]["textDirection"] == "RTL"

    if picture := os.environ.get("MAYDAN_SCREENSHOT"):
        await reader.page.screenshot(path=picture)
    await reader.stops()
    await expect(reader.page.get_by_role("status")).to_have_text("")


async def test_choosing_somebody_else_reconnects(visitors: list[Visitor]) -> None:
    visitor, other = visitors
    await visitor.opens()
    _, first, second, *_ = await visitor.people()
    await visitor.acts_as(first)
    await visitor.tab("HomeTimelineLive")
    await visitor.runs()
    await visitor.sees("LiveCaughtUp")
    await visitor.acts_as(second)
    await expect(visitor.page.get_by_role("status")).to_have_text(f"Live as @{second}")

    await other.opens(f"/graphiql?as={second}")
    await other.tab("CreatePost")
    await other.enters({"input": {"text": "from the second one"}})
    await other.runs()
    await visitor.sees("from the second one")


async def test_anonymous_reads_what_is_public_and_nothing_else(visitors: list[Visitor]) -> None:
    visitor, _ = visitors
    await visitor.opens()
    await visitor.acts_as("")
    await visitor.tab("PublicTimeline")
    await visitor.runs()
    assert (await visitor.sees('"endCursor"'))["data"]["publicTimeline"]["edges"]
    await visitor.tab("HomeTimeline")
    await visitor.runs()
    refused = await visitor.sees('"errors"')
    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_refused_token_is_renewed(visitors: list[Visitor]) -> None:
    visitor, _ = visitors
    spoiled = 0

    async def spoil_the_first(route: Route) -> None:
        nonlocal spoiled
        response = await route.fetch()
        accounts = await response.json()
        if spoiled == 0:
            accounts = [{**account, "accessToken": "over"} for account in accounts]
        spoiled += 1
        await route.fulfill(response=response, json=accounts)

    await visitor.page.route("**/graphiql/demo-session", spoil_the_first)
    await visitor.opens()
    await visitor.tab("HomeTimeline")
    await visitor.runs()
    assert (await visitor.sees('"endCursor"'))["data"]["homeTimeline"]["edges"]
    assert spoiled == 2
    # The browser itself reports the 401 that led to the renewal.
    visitor.complaints = [line for line in visitor.complaints if "401" not in line]


async def test_a_live_timeline_survives_the_end_of_its_session(visitors: list[Visitor]) -> None:
    visitor, _ = visitors
    async with visitor.page.expect_response("**/graphiql/demo-session") as sent:
        await visitor.opens()
    account = (await (await sent.value).json())[0]
    await visitor.acts_as(account["handle"])
    await visitor.tab("HomeTimelineLive")
    await visitor.runs()
    await visitor.sees("LiveCaughtUp")
    async with visitor.page.expect_response("**/graphiql/demo-session"):
        await visitor.page.request.post(
            f"{visitor.square}/graphql",
            data={"query": "mutation { signOut { userErrors { code } } }"},
            headers={"Authorization": f"Bearer {account['accessToken']}"},
        )
    await expect(visitor.page.get_by_role("status")).to_have_text(f"Live as @{account['handle']}")

    await visitor.page.request.post(
        f"{visitor.square}/graphql",
        data={
            "query": "mutation($text: String!) { createPost(input: {text: $text}) { userErrors { code } } }",
            "variables": {"text": "after the session"},
        },
        headers={"Authorization": f"Bearer {await fresh_token(visitor)}"},
    )
    await visitor.sees("after the session")


async def fresh_token(visitor: Visitor) -> str:
    """A token of the first demo account, in a session of its own."""
    answer = await visitor.page.request.post(
        f"{visitor.square}/graphiql/demo-session", headers={"X-Maydan-Demo": "1"}
    )
    token: str = (await answer.json())[0]["accessToken"]
    return token


async def test_a_visitor_finds_the_tabs_as_they_were_left(visitors: list[Visitor]) -> None:
    visitor, _ = visitors
    await visitor.opens()
    tabs = visitor.page.get_by_role("tab")
    names = await tabs.all_inner_texts()
    assert await visitor.variables() == {"first": 10, "after": None}
    await visitor.tab("CreatePost")
    await visitor.enters({"input": {"text": "a draft"}})
    stored = "() => localStorage.getItem('maydan:graphiql:tabState')?.includes('a draft')"
    await visitor.page.wait_for_function(stored)
    await visitor.opens()
    assert await tabs.all_inner_texts() == names
    assert await visitor.variables() == {"input": {"text": "a draft"}}
    await visitor.page.get_by_role("button", name="Reset examples").click()
    await expect(visitor.page.get_by_role("tab", selected=True)).to_contain_text("HomeTimeline")
    assert await visitor.variables() == {"first": 10, "after": None}


async def test_every_example_runs_as_it_stands(visitors: list[Visitor]) -> None:
    visitor, _ = visitors
    await visitor.opens()
    names = await visitor.page.get_by_role("tab").all_inner_texts()
    assert len(names) > 8
    for name in names:
        await visitor.tab(name)
        await visitor.runs()
        result = await visitor.sees('"data"')
        assert "errors" not in result, (name, result)
        if name.endswith("Live"):
            await visitor.sees("LiveCaughtUp")
            await visitor.stops()
        else:
            [answer] = result["data"].values()
            assert answer, (name, result)
            assert answer.get("userErrors", []) == [], (name, result)
