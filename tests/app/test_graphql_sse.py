"""GraphQL over server-sent events: what is on the wire, and when a stream ends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app import graphql_sse, protocols
from app.subscriptions.subscription import Subscription
from app.tokens import LEEWAY
from resolvers import posts
from resolvers.context import Context
from resolvers.live import Timeline
from tests.conftest import Oracle, Serve, Server
from tests.live import holds
from tests.people import EVENT_PATIENCE, Person

WHO = "{ viewer { handle } }"
WRITE = "mutation ($text: String!) { createPost(input: {text: $text}) { post { text } userErrors { code } } }"
SIGN_OUT = "mutation { signOut { userErrors { code } } }"
HOME = (
    "subscription ($after: String) { homeTimelineEvents(after: $after) "
    "{ __typename liveCursor ... on TimelineEntryAdded { edge { node { post { text } } } } } }"
)
PUBLIC = "subscription { publicTimelineEvents { __typename } }"


@dataclass
class EventStream:
    """A response, read frame by frame."""

    response: httpx.Response
    chunks: AsyncIterator[bytes]
    buffer: bytes = b""

    async def frame(self) -> bytes | None:
        """The next frame without the blank line behind it; None when the response has ended."""
        async with asyncio.timeout(EVENT_PATIENCE):
            while b"\n\n" not in self.buffer:
                try:
                    self.buffer += await anext(self.chunks)
                except StopAsyncIteration:
                    assert self.buffer == b""
                    return None
        found, _, self.buffer = self.buffer.partition(b"\n\n")
        return found

    async def event(self) -> tuple[str, Any] | None:
        """The next event and its data, comments left out; None when the response has ended."""
        while (frame := await self.frame()) is not None:
            if frame != b":":
                name, data = frame.split(b"\n")
                assert name.startswith(b"event: ")
                assert data.startswith(b"data:")
                return name[7:].decode(), json.loads(data[5:] or b"null")
        return None

    async def next(self) -> dict[str, Any]:
        """The payload of the next event, which is a `next`."""
        found = await self.event()
        assert found is not None
        assert found[0] == "next"
        payload: dict[str, Any] = found[1]
        return payload

    async def caught_up(self) -> None:
        """The first event of a subscription."""
        (event,) = (await self.next())["data"].values()
        assert event["__typename"] == "LiveCaughtUp"

    async def hears(self, text: str) -> None:
        """The next event brings this post."""
        (event,) = (await self.next())["data"].values()
        assert event["edge"]["node"]["post"]["text"] == text

    async def rest(self) -> list[str]:
        """The names of the events that still come."""
        names = []
        while (found := await self.event()) is not None:
            names.append(found[0])
        return names


@asynccontextmanager
async def asked(person: Person, query: object, **variables: object) -> AsyncIterator[EventStream]:
    """Ask for an answer by events."""
    headers = {"accept": "text/event-stream", "content-type": "application/json"}
    if person.token is not None:
        headers["authorization"] = f"Bearer {person.token}"
    body = json.dumps({"query": query, "variables": variables})
    async with (
        httpx.AsyncClient(timeout=EVENT_PATIENCE) as http,
        http.stream("POST", f"{person.url}/graphql", content=body, headers=headers) as response,
    ):
        yield EventStream(response, response.aiter_raw())


def soon_over(server: Server, person: Person) -> Person:
    """The same person, with a token that is refused in three to four seconds."""
    claims = jwt.decode(person.token or "", options={"verify_signature": False})
    lifetime = timedelta(seconds=server.settings.access_token_seconds)
    issued = datetime.now(UTC) - lifetime - LEEWAY + timedelta(seconds=4)
    token, _ = server.application.parts.door.tokens.issue(int(claims["sub"]), int(claims["sid"]), issued)
    return Person(server.url, server.http, token=token)


def gauge(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


async def test_a_query_is_one_next_and_one_complete(alice: Person) -> None:
    async with asked(alice, WHO) as stream:
        response = stream.response
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        octets = b"".join([chunk async for chunk in stream.chunks])
    found = re.fullmatch(rb":\n\nevent: next\ndata: (\{[^\n]+\})\n\nevent: complete\ndata:\n\n", octets)
    assert found is not None
    assert json.loads(found[1])["data"] == {"viewer": {"handle": "alice"}}


async def test_a_mutation_is_answered_the_same_way(alice: Person) -> None:
    async with asked(alice, WRITE, text="سلام\r\n\ud83d\ude00") as stream:
        payload = await stream.next()
        assert payload["data"]["createPost"]["post"]["text"].startswith("سلام")
        assert await stream.event() == ("complete", None)
        assert await stream.frame() is None


async def test_a_get_is_answered_by_events_but_runs_no_mutation(server: Server, alice: Person) -> None:
    headers = {"accept": "text/event-stream"}
    answer = await server.http.get(f"{server.url}/graphql", params={"query": WHO}, headers=headers)
    assert answer.text.startswith(':\n\nevent: next\ndata: {"data":{"viewer":null}')
    assert answer.text.endswith("\n\nevent: complete\ndata:\n\n")
    answer = await server.http.get(f"{server.url}/graphql", params={"query": SIGN_OUT}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/json; charset=utf-8")


async def test_a_subscription_brings_events_until_the_client_goes(server: Server, alice: Person) -> None:
    parts = server.application.parts
    before = [gauge(name) for name in ("maydan_event_streams", "maydan_live_streams")]
    async with asked(alice, HOME) as stream:
        await stream.caught_up()
        for nth in range(3):
            await alice.posts(f"post {nth}")
            await stream.hears(f"post {nth}")
        assert parts.hub.listener_count == 1
        assert [gauge(name) for name in ("maydan_event_streams", "maydan_live_streams")] == [
            count + 1 for count in before
        ]
    await holds(lambda: parts.hub.listener_count == 0 and not len(parts.sessions))
    await holds(lambda: [gauge(name) for name in ("maydan_event_streams", "maydan_live_streams")] == before)
    # The hub and the sequencer take one now and then.
    await holds(lambda: not parts.database.in_use)


async def test_a_stream_resumes_with_its_cursor(alice: Person) -> None:
    async with asked(alice, HOME) as stream:
        (event,) = (await stream.next())["data"].values()
    await alice.posts("missed")
    async with asked(alice, HOME, after=event["liveCursor"]) as stream:
        await stream.hears("missed")


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        (None, {}, "BAD_USER_INPUT"),
        (HOME, {}, "UNAUTHENTICATED"),
        (HOME, {"after": 1}, "BAD_USER_INPUT"),
        (WRITE, {"text": 1}, "BAD_USER_INPUT"),
    ],
)
async def test_what_does_not_begin_is_one_next_with_errors_and_complete(
    server: Server, passer_by: Person, query: object, variables: dict[str, object], code: str
) -> None:
    async with asked(passer_by, query, **variables) as stream:
        payload = await stream.next()
        assert [error["extensions"]["code"] for error in payload["errors"]] == [code]
        assert payload.get("data") is None
        assert await stream.rest() == ["complete"]
    await holds(lambda: gauge("maydan_event_streams") == 0)


async def test_a_token_that_is_not_valid_is_refused_as_elsewhere(alice: Person) -> None:
    alice.token = "over"
    async with asked(alice, PUBLIC) as stream:
        assert stream.response.status_code == 401
        assert stream.response.headers["www-authenticate"].startswith("Bearer")


async def test_comments_keep_a_quiet_stream_open(passer_by: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "COMMENT_EVERY", 0.02)
    async with asked(passer_by, PUBLIC) as stream:
        frames = [await stream.frame() for _ in range(6)]
        assert frames.count(b":") == 5


async def test_signing_out_ends_streams_on_every_server_without_complete(serve: Serve) -> None:
    servers = [await serve(), await serve()]
    alice, bob = await servers[0].sign_up("alice"), await servers[0].sign_up("bob")
    elsewhere = Person(servers[1].url, servers[1].http, token=alice.token)
    bobs = Person(servers[1].url, servers[1].http, token=bob.token)
    async with asked(alice, HOME) as one, asked(elsewhere, PUBLIC) as two, asked(bobs, HOME) as his:
        for stream in (one, two, his):
            await stream.caught_up()
        assert (await alice.asks(SIGN_OUT)).data
        assert await one.rest() == await two.rest() == []
        await bob.posts("still here")
        await his.hears("still here")
    async with asked(alice, HOME) as stream:
        assert stream.response.status_code == 401


async def test_signing_out_by_a_stream_is_answered(alice: Person) -> None:
    async with asked(alice, SIGN_OUT) as stream:
        assert (await stream.next())["data"] == {"signOut": {"userErrors": []}}
        assert await stream.rest() == ["complete"]


async def test_a_stream_ends_when_its_token_is_over_and_nobody_refreshed(
    server: Server, alice: Person, bob: Person, stored: Oracle
) -> None:
    await stored.rows("UPDATE sessions SET rotated_at = rotated_at - interval '1 hour'")
    async with asked(soon_over(server, alice), HOME) as hers, asked(soon_over(server, bob), PUBLIC) as his:
        await his.caught_up()
        await server.passer_by().does(
            "refreshSession", "tokens { accessToken }", refreshToken=bob.refresh_token
        )
        assert await hers.rest() == ["next"]
        async with asked(server.passer_by(), WHO) as other:
            assert await other.rest() == ["next", "complete"]
        await holds(lambda: server.application.parts.hub.listener_count == 1)


async def test_a_stream_that_does_not_keep_up_ends_without_complete(server: Server, alice: Person) -> None:
    async with asked(alice, HOME) as stream:
        await stream.caught_up()
        (listener,) = server.application.parts.hub.listeners.all
        assert isinstance(listener, Subscription)
        listener.sink.is_too_slow()
        assert await stream.rest() == []


async def test_a_stream_that_fails_midway_says_so_and_completes(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(alice, HOME) as stream:
        await stream.caught_up()

        async def breaks(_: Timeline) -> None:
            raise ValueError("broken")

        with capture_logs() as logged:
            monkeypatch.setattr(Timeline, "_load", breaks)
            await alice.follows(bob)  # the stream begins anew
            payload = await stream.next()
        assert [error["extensions"]["code"] for error in payload["errors"]] == ["INTERNAL_SERVER_ERROR"]
        assert "broken" not in json.dumps(payload)
        assert [line["log_level"] for line in logged] == ["error"]
        assert await stream.rest() == ["complete"]


async def test_a_mutation_is_finished_when_the_client_goes(
    alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, opened, create = asyncio.Event(), asyncio.Event(), posts.create_post

    async def held(ctx: Context, draft: posts.Draft) -> posts.NewPost:
        entered.set()
        await opened.wait()
        return await create(ctx, draft)

    monkeypatch.setattr(posts, "create_post", held)
    before = gauge("maydan_event_streams")
    with capture_logs() as logged:
        async with asked(alice, WRITE, text="last words"):
            await entered.wait()
        opened.set()
        await holds(lambda: gauge("maydan_event_streams") < before + 1)
    assert await stored.count("posts") == 1
    assert not [line for line in logged if line["log_level"] == "error"]


async def test_a_stopping_server_ends_streams_at_once(server: Server, alice: Person) -> None:
    async with asked(alice, HOME) as stream:
        await stream.caught_up()
        server.uvicorn.should_exit = True
        assert await stream.rest() == []


async def test_a_client_that_reads_nothing_is_cut_off(
    server: Server, passer_by: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_sse, "COMMENT_EVERY", 0.001)
    monkeypatch.setattr(graphql_sse, "COMMENT", b":" + b"x" * 500_000 + b"\n\n")
    monkeypatch.setattr(protocols, "UNREAD_SECONDS", 0.2)
    parts = server.application.parts
    host, _, port = server.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    body = json.dumps({"query": PUBLIC}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await holds(lambda: parts.hub.listener_count == 1)
    await holds(lambda: parts.hub.listener_count == 0)
    assert not server.uvicorn.server_state.connections
    writer.close()
