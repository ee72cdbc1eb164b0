"""Whose pages may open sockets."""

import json

import pytest
from starlette.datastructures import Headers
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from app.origins import Origins
from tests.conftest import Serve, Server


async def status(server: Server, origin: str | None) -> int:
    """How a handshake that comes from a page of this origin is answered; when refused, it says why."""
    try:
        async with connect(
            f"{server.url.replace('http', 'ws', 1)}/graphql",
            origin=None if origin is None else Origin(origin),
            subprotocols=[Subprotocol("graphql-transport-ws")],
        ):
            return 101
    except InvalidStatus as refused:
        answer = refused.response
        assert answer.headers["content-type"].startswith("application/json")
        body = json.loads(answer.body or b"")
        assert "CORS_ORIGINS" in body["errors"][0]["message"]
        return answer.status_code


async def test_pages_of_elsewhere_are_refused(serve: Serve) -> None:
    server = await serve(
        public_url="https://maydan.example", cors_origins="https://app.example, http://[::1]:3000"
    )
    for origin in (
        *(None, server.url, server.url.upper(), "https://maydan.example", "https://maydan.example:443"),
        *("https://app.example", "http://[::1]:3000"),
    ):
        assert await status(server, origin) == 101, origin
    for origin in (
        *("https://evil.example", "null", "", "http://127.0.0.1", f"{server.url}.evil.example", "file://"),
        *("https://app.example.evil", "http://app.example", "https://app.example:444", "http://[", "*"),
        "https://sub.maydan.example",
    ):
        assert await status(server, origin) == 403, origin


async def test_a_star_lets_everybody_in(serve: Serve) -> None:
    server = await serve(cors_origins="*")
    for origin in ("https://evil.example", "null", None):
        assert await status(server, origin) == 101


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("maydan.example", "https://maydan.example", True),
        ("maydan.example", "http://maydan.example", True),
        ("maydan.example:443", "https://maydan.example", True),
        ("Maydan.example:8443", "https://maydan.example:8443", True),
        ("maydan.example:8443", "https://maydan.example", False),
        ("maydan.example", "ftp://maydan.example", False),
        ("", "https://", False),
        ("maydan.example", "https://maydan.example@evil.example", False),
    ],
)
def test_the_own_origin_is_told_by_the_host(host: str, origin: str, allowed: bool) -> None:
    headers = Headers({"host": host, "origin": origin})
    assert Origins((), None).allow(headers) is allowed


def test_two_origins_are_none() -> None:
    headers = Headers(raw=[(b"host", b"a"), (b"origin", b"http://a"), (b"origin", b"http://a")])
    assert not Origins((), None).allow(headers)
