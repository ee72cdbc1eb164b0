"""graphql-transport-ws from the outside: every close code, and what one operation may do to the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app import graphql_ws, socket_operations
from resolvers import posts
from resolvers.context import Context
from tests.conftest import Oracle, Server
from tests.live import holds
from tests.people import EVENT_PATIENCE, Person, Socket, without_cost

PROTOCOL = "graphql-transport-ws"
_EVENT = "{ __typename ... on TimelineEntryAdded { edge { node { post { text } } } } }"
PUBLIC = f"subscription {{ publicTimelineEvents {_EVENT} }}"
HOME = f"subscription {{ homeTimelineEvents {_EVENT} }}"
WHO = "{ viewer { handle } }"
WRITE = "mutation ($text: String!) { createPost(input: {text: $text}) { post { text } userErrors { code } } }"
INIT = {"type": "connection_init"}


@asynccontextmanager
async def opened(server: Server, *protocols: str, **headers: str) -> AsyncIterator[Socket]:
    """A socket that has said nothing yet."""
    async with connect(
        f"{server.url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[Subprotocol(name) for name in protocols or (PROTOCOL,)],
        additional_headers=headers,
    ) as connection:
        yield Socket(connection)


def subscribe(id: object, query: object, **variables: object) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables}}


async def closed(socket: Socket) -> int:
    """The code that the server closes the socket with, read past what came before."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive()
    code = socket.connection.close_code
    assert code is not None
    return code


async def acknowledged(socket: Socket, payload: object = None) -> None:
    """Initialise the socket."""
    await socket.send(INIT if payload is None else INIT | {"payload": payload})
    assert await socket.receive() == {"type": "connection_ack"}


async def caught_up(socket: Socket, id: str, query: str = PUBLIC) -> None:
    """Begin a subscription and wait until it listens."""
    await socket.send(subscribe(id, query))
    (event,) = (await told(socket, id))["data"].values()
    assert event["__typename"] == "LiveCaughtUp"


async def told(socket: Socket, id: str) -> dict[str, Any]:
    """The payload of the next message, which is a `next` of this operation."""
    message = await socket.receive()
    assert (message["type"], message["id"]) == ("next", id), message
    payload: dict[str, Any] = message["payload"]
    return payload


async def hears(socket: Socket, id: str, text: str) -> None:
    """The next message brings this post to this subscription."""
    (event,) = (await told(socket, id))["data"].values()
    assert event["edge"]["node"]["post"]["text"] == text


@pytest.mark.parametrize("protocols", [[], ["graphql-ws"], ["other", "graphql-ws"]])
async def test_other_subprotocols_are_refused(server: Server, protocols: list[str]) -> None:
    address = f"{server.url.replace('http', 'ws', 1)}/graphql"
    named = [Subprotocol(name) for name in protocols]
    async with connect(address, subprotocols=named or None) as connection:
        assert connection.subprotocol is None
        assert await closed(Socket(connection)) == 4406


async def test_the_right_subprotocol_is_found_among_others(server: Server) -> None:
    async with opened(server, "graphql-ws", PROTOCOL) as socket:
        assert socket.connection.subprotocol == PROTOCOL
        await acknowledged(socket)


async def test_a_silent_socket_is_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_ws, "INIT_TIMEOUT", 0.05)
    async with opened(server) as socket:
        assert await closed(socket) == 4408


async def test_initialising_twice_is_refused(server: Server) -> None:
    async with opened(server) as socket:
        await acknowledged(socket)
        await socket.send(INIT)
        assert await closed(socket) == 4429


async def test_nothing_runs_before_the_initialisation(server: Server) -> None:
    async with opened(server) as socket:
        await socket.send(subscribe("a", WHO))
        assert await closed(socket) == 4401


@pytest.mark.parametrize("id", ["a", "\ud83d", "😀" * 200])
async def test_an_id_in_use_is_refused(server: Server, id: str) -> None:
    async with opened(server) as socket:
        await acknowledged(socket)
        await socket.send(subscribe(id, PUBLIC))
        assert (await socket.receive())["id"] == id
        await socket.send(subscribe(id, WHO))
        assert await closed(socket) == 4409


async def test_there_is_a_limit_to_operations_on_one_socket(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_operations, "MAX_OPERATIONS", 3)
    async with opened(server) as socket:
        await acknowledged(socket)
        for id in "abc":
            await caught_up(socket, id)
        await socket.send(subscribe("d", WHO))
        assert await closed(socket) == 4429


BAD: list[str | bytes] = [
    *("[]", "null", "1", '"ping"', "{", "", "{}", '{"type": null}', '{"type": []}', '{"type": "start"}'),
    *(b'{"type": "ping"}', '{"type": "\\ud83d"}', json.dumps({"type": "😀" * 100}, ensure_ascii=False)),
    *('{"type": "subscribe"}', '{"type": "subscribe", "payload": {"query": "{ viewer { id } }"}}'),
    *('{"type": "subscribe", "id": "a"}', '{"type": "subscribe", "id": "a", "payload": []}'),
    *('{"type": "subscribe", "id": 1, "payload": {}}', '{"type": "subscribe", "id": "", "payload": {}}'),
    json.dumps({"type": "subscribe", "id": "a" * 201, "payload": {}}),
    '{"type": ' + "[" * 1_020 + "]" * 1_020 + "}",
]


async def test_messages_outside_the_protocol_are_refused(server: Server) -> None:
    with capture_logs() as logged:
        for bad in BAD:
            async with opened(server) as socket:
                await acknowledged(socket)
                await socket.connection.send(bad)
                assert await closed(socket) == 4400, bad
    assert not logged


@pytest.mark.parametrize("payload", [[], 1, "x", True])
async def test_an_initialisation_whose_payload_is_no_object_is_refused(
    server: Server, payload: object
) -> None:
    async with opened(server) as socket:
        await socket.send(INIT | {"payload": payload})
        assert await closed(socket) == 4400


async def test_a_token_that_is_not_valid_is_refused(server: Server, alice: Person) -> None:
    wrong: list[object] = ["Bearer x", "Bearer", "", alice.token, f"Bearer {alice.token}x", 1, [], {}]
    for given in (*wrong, "\ud83d", "Bearer \ud83d"):
        async with opened(server) as socket:
            await socket.send(INIT | {"payload": {"authorization": given}})
            assert await closed(socket) == 4403, given
    async with opened(server, authorization="Bearer x") as socket:
        await socket.send(INIT)
        assert await closed(socket) == 4403


async def test_the_viewer_comes_from_the_payload_or_the_upgrade_request(
    server: Server, alice: Person, bob: Person
) -> None:
    async def who(payload: object, **headers: str) -> str | None:
        async with opened(server, **headers) as socket:
            await acknowledged(socket, payload)
            await socket.send(subscribe("a", WHO))
            viewer = (await told(socket, "a"))["data"]["viewer"]
            return None if viewer is None else str(viewer["handle"])

    alices, bobs = f"Bearer {alice.token}", f"Bearer {bob.token}"
    assert await who(None) is None
    assert await who({"other": 1}) is None
    assert await who({"authorization": alices}) == "alice"
    assert await who({"Authorization": alices}) == "alice"
    assert await who({"authorization": None, "Authorization": alices}) == "alice"
    assert await who(None, authorization=bobs) == "bob"
    assert await who({}, authorization=bobs) == "bob"
    assert await who({"authorization": None}, authorization=bobs) == "bob"
    assert await who({"authorization": alices}, authorization=bobs) == "alice"


async def test_pings_are_answered_at_any_time(server: Server) -> None:
    async with opened(server) as socket:
        for payload in ({}, {"payload": {"a": 1}}, {"payload": None}):
            await socket.send({"type": "ping"} | payload)
            assert (await socket.receive())["type"] == "pong"
        await socket.send({"type": "pong"})
        await acknowledged(socket)
        await socket.send({"type": "ping"})
        assert (await socket.receive())["type"] == "pong"


async def test_the_server_pings(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_ws, "PING_EVERY", 0.01)
    async with opened(server) as socket:
        await acknowledged(socket)
        async with asyncio.timeout(EVENT_PATIENCE):
            assert json.loads(await socket.connection.recv()) == {"type": "ping"}


async def test_queries_and_mutations_run_on_the_socket_in_text_frames(alice: Person) -> None:
    async with alice.socket() as socket:
        for id, query, data in (
            ("q", WHO, {"viewer": {"handle": "alice"}}),
            ("m", WRITE, {"createPost": {"post": {"text": "سلام"}, "userErrors": []}}),
        ):
            await socket.send(subscribe(id, query, text="سلام"))
            frames = [await socket.connection.recv() for _ in range(2)]
            assert all(isinstance(frame, str) for frame in frames)
            answer, end = (without_cost(json.loads(frame)) for frame in frames)
            assert answer == {"id": id, "type": "next", "payload": {"data": data}}
            assert end == {"id": id, "type": "complete"}


async def test_an_operation_that_fails_harms_no_other(alice: Person) -> None:
    cursor = "subscription ($after: String) { homeTimelineEvents(after: $after) { __typename } }"
    async with alice.socket() as socket:
        await caught_up(socket, "s")
        for bad, code in (
            (subscribe("a", "{"), "GRAPHQL_PARSE_FAILED"),
            (subscribe("a", "{ nothing }"), "GRAPHQL_VALIDATION_FAILED"),
            (subscribe("a", None), "BAD_USER_INPUT"),
            (subscribe("a", cursor, after="nonsense"), "INVALID_CURSOR"),
            (subscribe("a", cursor, after="\ud83d\0"), "INVALID_CURSOR"),
            (subscribe("a", cursor, after=[1]), "BAD_USER_INPUT"),
            (subscribe("a", cursor + WHO), "GRAPHQL_VALIDATION_FAILED"),
            ({"id": "a", "type": "subscribe", "payload": {}}, "BAD_USER_INPUT"),
            ({"id": "a", "type": "subscribe", "payload": {"query": WHO, "variables": []}}, "BAD_USER_INPUT"),
        ):
            await socket.send(bad)
            answer = await socket.receive()
            assert (answer["type"], answer["id"]) == ("error", "a")
            assert {error["extensions"]["code"] for error in answer["payload"]} == {code}
        await alice.posts("still here")
        await hears(socket, "s", "still here")


async def test_an_anonymous_home_timeline_is_an_error_of_the_operation(passer_by: Person) -> None:
    async with passer_by.socket() as socket:
        await socket.send(subscribe("a", HOME))
        answer = await socket.receive()
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")


async def test_complete_ends_a_subscription_and_frees_its_id_at_once(alice: Person) -> None:
    async with alice.socket() as socket:
        await caught_up(socket, "other")
        for _ in range(10):
            await caught_up(socket, "s")
            await socket.send({"id": "s", "type": "complete"})
        await socket.send(subscribe("s", WHO))
        assert await told(socket, "s") == {"data": {"viewer": {"handle": "alice"}}}
        assert await socket.receive() == {"id": "s", "type": "complete"}
        await alice.posts("one")
        await hears(socket, "other", "one")
        # Nothing came for the completed one, before or after.
        await socket.send(subscribe("end", WHO))
        await told(socket, "end")


async def test_an_id_is_free_as_soon_as_its_operation_is_over(alice: Person) -> None:
    async with alice.socket() as socket:
        for query, last in ((WHO, "complete"), ("{", "error"), ("{ nothing }", "error")) * 10:
            await socket.send(subscribe("a", query))
            while (await socket.receive())["type"] != last:
                pass


async def test_completing_what_does_not_run_is_ignored(server: Server) -> None:
    async with opened(server) as socket:
        await acknowledged(socket)
        for id in ("x", "😀", "\ud83d"):
            await socket.send({"id": id, "type": "complete"})
        await socket.send(subscribe("a", WHO))
        await told(socket, "a")


class Gate:
    """Holds createPost back, so that something can happen in the middle of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.opened = asyncio.Event(), asyncio.Event()
        self._create = posts.create_post
        monkeypatch.setattr(posts, "create_post", self._held)

    async def _held(self, ctx: Context, draft: posts.Draft) -> posts.NewPost:
        self.entered.set()
        await self.opened.wait()
        return await self._create(ctx, draft)


async def test_a_mutation_in_progress_is_finished_when_the_client_goes(
    alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    with capture_logs() as logged:
        async with alice.socket() as socket:
            await socket.send(subscribe("m", WRITE, text="last words"))
            await gate.entered.wait()
            socket.connection.transport.abort()
        gate.opened.set()

        async def is_there() -> bool:
            return await stored.count("posts") == 1

        await holds(is_there)
    assert not logged


async def test_a_mutation_in_progress_is_finished_when_the_client_breaks_the_protocol(
    alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    with capture_logs() as logged:
        async with alice.socket() as socket:
            await socket.send(subscribe("m", WRITE, text="last words"))
            await gate.entered.wait()
            await socket.send([])
            assert await closed(socket) == 4400
        gate.opened.set()

        async def is_there() -> bool:
            return await stored.count("posts") == 1

        await holds(is_there)
    assert not logged


async def test_a_completed_mutation_is_finished_unheard_and_its_id_is_free(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with alice.socket() as socket:
        await caught_up(socket, "s")
        await socket.send(subscribe("m", WRITE, text="written"))
        await gate.entered.wait()
        await socket.send({"id": "m", "type": "complete"})
        await socket.send(subscribe("m", WHO))
        assert await told(socket, "m") == {"data": {"viewer": {"handle": "alice"}}}
        assert await socket.receive() == {"id": "m", "type": "complete"}
        gate.opened.set()
        await hears(socket, "s", "written")
        await socket.send(subscribe("end", WHO))
        await told(socket, "end")


async def test_a_stopping_server_closes_sockets_with_1012(server: Server, alice: Person) -> None:
    async with opened(server) as idle, alice.socket() as busy:
        await caught_up(busy, "s")
        await alice.posts("the last event")
        await hears(busy, "s", "the last event")
        server.uvicorn.should_exit = True
        assert await closed(busy) == 1012
        assert await closed(idle) == 1012
