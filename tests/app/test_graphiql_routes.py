"""The GraphiQL page over HTTP: locked down, versioned, and careful with demo tokens."""

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from app.graphiql.bundle import bundle
from app.graphiql.routes import DemoAccount, DemoAccounts, graphiql_routes

ORIGIN = "http://square.test"
OURS = {"X-Maydan-Demo": "1"}


async def two_accounts() -> list[DemoAccount]:
    return [DemoAccount("amal", "Amal أمل", "token-a"), DemoAccount("yusuf", "</script>", "token-y")]


def browser(demo_accounts: DemoAccounts | None) -> httpx.AsyncClient:
    """A client on an application that has nothing but GraphiQL."""
    application = Starlette(routes=graphiql_routes(demo_accounts=demo_accounts))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=ORIGIN)


@pytest.fixture
async def demo() -> AsyncIterator[httpx.AsyncClient]:
    async with browser(two_accounts) as client:
        yield client


@pytest.fixture
async def plain() -> AsyncIterator[httpx.AsyncClient]:
    async with browser(None) as client:
        yield client


async def test_the_front_door_leads_to_graphiql(plain: httpx.AsyncClient) -> None:
    response = await plain.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/graphiql")


async def test_the_page_allows_only_its_own_origin(plain: httpx.AsyncClient) -> None:
    response = await plain.get("/graphiql")
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://square.test wss://square.test"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"""(src|href)=["'](https?:)?//""", response.text)


async def test_each_page_has_a_nonce_of_its_own(plain: httpx.AsyncClient) -> None:
    pages = [await plain.get("/graphiql") for _ in range(2)]
    nonces = [re.findall(r'nonce="([^"]+)"', page.text) for page in pages]
    assert nonces[0] != nonces[1]
    assert f"'nonce-{nonces[0][0]}'" in pages[0].headers["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.test; script-src *", "a b", "*"])
async def test_a_strange_host_header_never_reaches_the_policy(plain: httpx.AsyncClient, host: str) -> None:
    response = await plain.get("/graphiql", headers={"Host": host})
    assert "connect-src 'self';" in response.headers["content-security-policy"]


async def test_all_that_the_page_names_is_there_and_may_be_kept(plain: httpx.AsyncClient) -> None:
    page = await plain.get("/graphiql")
    named = set(re.findall(r'(?:src|href)="([^"]+)"', page.text))
    assert len(named) == 8
    for path in named:
        response = await plain.get(path)
        assert response.status_code == 200, path
        assert "immutable" in response.headers["cache-control"]


async def test_assets_come_plain_or_compressed(plain: httpx.AsyncClient) -> None:
    path = f"/graphiql/assets/{bundle().version}/graphiql.min.js"
    plainly = await plain.get(path, headers={"Accept-Encoding": "identity"})
    compressed = await plain.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plainly.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert plainly.content == compressed.content
    assert int(compressed.headers["content-length"]) < len(plainly.content) / 2


@pytest.mark.parametrize("name", ["%2e%2e/routes.py", "nothing.js", ""])
async def test_nothing_else_is_served(plain: httpx.AsyncClient, name: str) -> None:
    assert (await plain.get(f"/graphiql/assets/{bundle().version}/{name}")).status_code == 404


async def test_an_old_version_is_gone(plain: httpx.AsyncClient) -> None:
    assert (await plain.get("/graphiql/assets/000000000000/maydan.js")).status_code == 404


async def test_our_page_gets_the_demo_accounts(demo: httpx.AsyncClient) -> None:
    headers = {**OURS, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    response = await demo.post("/graphiql/demo-session", headers=headers)
    assert response.json()[0] == {"handle": "amal", "displayName": "Amal أمل", "accessToken": "token-a"}
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
        {**OURS, "Origin": "http://evil.test"},
        {**OURS, "Origin": "http://square.test.evil.test"},
        {**OURS, "Origin": "null"},
        {**OURS, "Sec-Fetch-Site": "cross-site"},
        {**OURS, "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_gets_no_demo_token(demo: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await demo.post("/graphiql/demo-session", headers=headers)
    assert response.status_code == 403
    assert "token" not in response.text


async def test_a_link_gets_no_demo_token(demo: httpx.AsyncClient) -> None:
    assert (await demo.get("/graphiql/demo-session", headers=OURS)).status_code == 405


async def test_outside_demo_mode_there_are_no_demo_accounts(plain: httpx.AsyncClient) -> None:
    assert (await plain.post("/graphiql/demo-session", headers=OURS)).status_code == 404
    assert settings_of(await plain.get("/graphiql"))["demoPath"] is None


async def test_the_settings_cannot_end_their_script_element(demo: httpx.AsyncClient) -> None:
    page = await demo.get("/graphiql")
    assert settings_of(page)["demoPath"] == "/graphiql/demo-session"
    assert "token-a" not in page.text
    inside = re.findall(r'<script type="application/json" id="settings">(.*?)</script>', page.text, re.DOTALL)
    assert "<" not in inside[0]


def settings_of(page: httpx.Response) -> dict[str, object]:
    """What the page tells its script."""
    [text] = re.findall(r'id="settings">(.*?)</script>', page.text, re.DOTALL)
    settings: dict[str, object] = json.loads(text)
    return settings
