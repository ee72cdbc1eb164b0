"""What a client may write into a WebSocket, down to its raw frames, and how much of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from app import graphql_ws, protocols
from app.socket_operations import SocketOperation
from resolvers.context import Context
from tests.conftest import Server
from tests.live import holds
from tests.people import EVENT_PATIENCE, Person, Socket

WHO = "{ viewer { handle } }"
HOME = "subscription { homeTimelineEvents { __typename } }"
PUBLIC = "subscription { publicTimelineEvents { __typename } }"


@asynccontextmanager
async def opened(server: Server, *, acknowledged: bool = True) -> AsyncIterator[Socket]:
    """A socket of a passer-by."""
    async with connect(
        f"{server.url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        max_size=None,
    ) as connection:
        socket = Socket(connection)
        if acknowledged:
            await socket.send({"type": "connection_init"})
            assert await socket.receive() == {"type": "connection_ack"}
        yield socket


def subscribe(id: object, query: object = WHO, **more: object) -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **more}}


async def closed(socket: Socket) -> int:
    """The code that the server closes the socket with, read past what came before."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive()
    assert socket.connection.close_code is not None
    return socket.connection.close_code


async def caught_up(socket: Socket, id: str) -> None:
    """Begin a subscription and wait until it listens."""
    await socket.send(subscribe(id, HOME))
    message = await socket.receive()
    assert (message["id"], message["payload"]["data"]["homeTimelineEvents"]) == (
        id,
        {"__typename": "LiveCaughtUp"},
    )


async def answers(socket: Socket, id: str = "still there") -> None:
    """The socket still does what it is for."""
    await socket.send(subscribe(id))
    assert await socket.receive() == {"id": id, "type": "next", "payload": {"data": {"viewer": None}}}
    assert await socket.receive() == {"id": id, "type": "complete"}


def raw(socket: Socket, *frames: Frame) -> None:
    """Write frames as they are."""
    octets = b"".join(frame.serialize(mask=True, extensions=[]) for frame in frames)
    socket.connection.transport.write(octets)


async def test_text_may_come_in_fragments_with_pings_between(server: Server) -> None:
    octets = json.dumps(subscribe("سلام", WHO), ensure_ascii=False).encode()
    async with opened(server) as socket:
        # Cut after each byte, so in the middle of letters too.
        parts = [Frame(Opcode.CONT, octets[at : at + 1], fin=False) for at in range(1, len(octets))]
        parts.insert(20, Frame(Opcode.PING, b"x"))
        raw(socket, Frame(Opcode.TEXT, octets[:1], fin=False), *parts, Frame(Opcode.CONT, b""))
        assert (await socket.receive())["id"] == "سلام"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Frame(Opcode.BINARY, b'{"type":"ping"}')], 4400),
        ([Frame(Opcode.BINARY, b"")], 4400),
        ([Frame(Opcode.TEXT, b"")], 4400),
        ([Frame(Opcode.TEXT, b'{"type":"ping"}\xff')], 1007),
        ([Frame(Opcode.TEXT, b"\xed\xa0\xbd")], 1007),
        ([Frame(Opcode.CONT, b"x")], 1002),
        ([Frame(Opcode.TEXT, b"", fin=False), Frame(Opcode.TEXT, b"")], 1002),
        ([Frame(Opcode.TEXT, b"", fin=False), *[Frame(Opcode.CONT, b"", fin=False)] * 5_000], 1009),
        ([Frame(Opcode.TEXT, b" " * 262_145)], 1009),
        ([Frame(Opcode.TEXT, b" " * 262_144)], 4400),
        ([Frame(Opcode.TEXT, b" " * 200_000, fin=False), Frame(Opcode.CONT, b" " * 200_000)], 1009),
    ],
)
async def test_frames_that_are_no_messages(server: Server, frames: list[Frame], code: int) -> None:
    with capture_logs() as logged:
        async with opened(server) as socket, opened(server) as other:
            raw(socket, *frames)
            assert await closed(socket) == code
            await answers(other)
    assert not logged


BAD = [
    *("[]", "null", "true", "0", '""', "NaN", "[" * 50_000, "[" * 50_000 + "]" * 50_000, "\x00", "{} {}"),
    '{"type":"ping","payload":' + '{"a":' * 40_000 + "1" + "}" * 40_001,
    '{"type":"ping","payload":' + '{"a":' * 1_010 + "1" + "}" * 1_011,
    *('{"type":"ping","payload":[]}', '{"type":"ping","payload":"x"}', '{"type":"pong","payload":1}'),
    *('{"type":"complete"}', '{"type":"complete","id":1}', '{"type":"complete","id":null}'),
    *('{"type":"complete","id":""}', json.dumps({"type": "complete", "id": "a" * 201})),
    *('{"type":"connection_ack"}', '{"type":"next","id":"a","payload":{}}', '{"type":"Ping"}'),
    *('{"type":"ping","type":"stop"}', json.dumps(subscribe(["a"])), json.dumps(subscribe("a" * 100_000))),
    json.dumps({"type": "subscribe", "id": "a", "payload": None}),
    json.dumps({"type": "subscribe", "id": "a", "payload": "{ viewer { id } }"}),
]


async def test_messages_outside_the_protocol_close_their_own_socket_alone(server: Server) -> None:
    with capture_logs() as logged:
        async with opened(server) as other:
            for bad in BAD:
                async with opened(server) as socket:
                    await socket.connection.send(bad)
                    assert await closed(socket) == 4400, bad[:80]
            await answers(other)
    assert not logged


GOOD = [
    '{"type":"ping","payload":null,"more":[1,{"a":2}]}',
    '{"type":"stop","type":"ping"}',
    '{"type":"ping","id":"a","payload":{"a":1},"payload":null}',
    ' \n{"type":"ping"}\t ',
]


async def test_members_that_are_not_known_are_ignored_and_the_last_of_a_name_counts(server: Server) -> None:
    async with opened(server) as socket:
        for good in GOOD:
            await socket.connection.send(good)
            assert await socket.receive() == {"type": "pong"}
        await socket.send(subscribe("a") | {"more": 1, "extensions": {}})
        assert (await socket.receive())["payload"] == {"data": {"viewer": None}}


async def test_a_pong_brings_back_what_the_ping_carried(server: Server) -> None:
    async with opened(server, acknowledged=False) as socket:
        for payload in ({}, {"at": 1, "deep": [{"x": None}]}, {"n": 2**70}, {"text": "سلام \ud83d"}):
            await socket.send({"type": "ping", "payload": payload})
            assert await socket.receive() == {"type": "pong", "payload": payload}
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_operations_that_cannot_run_harm_no_other(server: Server, alice: Person) -> None:
    query = "query ($first: Int!) { publicTimeline(first: $first) { liveCursor } }"
    deep: object = 1
    for _ in range(400):
        deep = {"a": deep}
    async with alice.socket() as socket:
        await caught_up(socket, "s")
        for nth, bad in enumerate(
            (
                *(
                    {},
                    {"query": ""},
                    {"query": None},
                    {"query": 1},
                    {"query": "\ud83d"},
                    {"query": "{" * 5_000},
                ),
                *({"query": query}, {"query": query, "variables": {"first": "x"}}),
                *(
                    {"query": query, "variables": {"first": 2**70}},
                    {"query": query, "variables": {"first": deep}},
                ),
                *({"query": query, "variables": "x"}, {"query": WHO, "operationName": "Other"}),
                *({"query": WHO, "operationName": 1}, {"query": "fragment A on Query { __typename }"}),
                {"extensions": {"persistedQuery": []}},
            )
        ):
            await socket.send({"id": f"bad-{nth}", "type": "subscribe", "payload": bad})
            answer = await socket.receive()
            assert (answer["type"], answer["id"]) == ("error", f"bad-{nth}"), bad
            assert answer["payload"]
            assert all(error["message"] for error in answer["payload"])
        await alice.posts("still here")
        event = await socket.receive()
        assert (event["id"], event["type"]) == ("s", "next")


async def test_a_subscription_that_fails_midway_is_an_error_of_its_id_alone(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = SocketOperation.context

    def breaks(operation: SocketOperation) -> Context:
        if operation.id == "fails":
            raise ValueError("broken")
        return context(operation)

    async with alice.socket() as socket:
        await caught_up(socket, "fails")
        await caught_up(socket, "goes on")
        with monkeypatch.context() as patched, capture_logs() as logged:
            patched.setattr(SocketOperation, "context", breaks)  # it fails as a bug would
            await alice.follows(bob)  # the streams begin anew
            first, second = await socket.receive(), await socket.receive()
        if first["id"] == "goes on":
            first, second = second, first
        assert (first["id"], first["type"]) == ("fails", "error")
        assert [error["extensions"]["code"] for error in first["payload"]] == ["INTERNAL_SERVER_ERROR"]
        assert "broken" not in json.dumps(first)
        assert (second["id"], second["type"]) == ("goes on", "next")
        assert [line["log_level"] for line in logged] == ["error"]
        # The id is free again.
        await caught_up(socket, "fails")


async def test_a_socket_that_writes_too_much_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "MESSAGES_AT_ONCE", 10)
    monkeypatch.setattr(graphql_ws, "MESSAGES_A_SECOND", 0.001)
    async with opened(server) as socket, opened(server) as large:
        for _ in range(9):
            await socket.send({"type": "ping"})
            assert await socket.receive() == {"type": "pong"}
        await socket.send({"type": "ping"})
        assert await closed(socket) == 4429
        # Large messages count more.
        await large.send({"type": "pong", "payload": {"text": "x" * 50_000}})
        assert await closed(large) == 4429


async def test_a_client_that_comes_back_may_begin_everything_at_once(server: Server) -> None:
    async with opened(server) as socket:
        for nth in range(100):
            await socket.send(subscribe(str(nth), PUBLIC))
        begun = {(await socket.receive())["id"] for _ in range(100)}
        assert len(begun) == 100
        for nth in range(100):
            await socket.send({"id": str(nth), "type": "complete"})
        await answers(socket)


async def test_a_client_that_sends_nothing_is_dead_after_two_pings(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "PING_EVERY", 0.05)
    async with opened(server) as silent, opened(server) as answering:
        pings = 0
        with suppress(ConnectionClosed):
            while True:
                assert json.loads(await silent.connection.recv()) == {"type": "ping"}
                pings += 1
                # The other one answers all the while.
                assert json.loads(await answering.connection.recv()) == {"type": "ping"}
                await answering.send({"type": "pong"})
        assert (silent.connection.close_code, pings) == (4499, 2)
        await answers(answering)


@pytest.mark.parametrize("found_by", ["pings", "the transport"])
async def test_a_client_that_reads_nothing_is_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch, found_by: str
) -> None:
    # More than the buffers of both ends hold.
    monkeypatch.setattr(graphql_ws, "MESSAGES_AT_ONCE", 1_000_000)
    if found_by == "pings":
        monkeypatch.setattr(graphql_ws, "PING_EVERY", 0.2)
        monkeypatch.setattr(graphql_ws, "CLOSE_PATIENCE", 0.1)
        monkeypatch.setattr(protocols, "LINGER", 0.1)
    else:
        monkeypatch.setattr(protocols, "UNREAD_SECONDS", 0.2)
    text = "x" * 2_000
    connections = server.uvicorn.server_state.connections
    await server.http.aclose()
    async with opened(server) as socket:
        socket.connection.transport.pause_reading()

        async def write() -> None:
            for nth in range(1_000):
                await socket.send({"type": "ping", "payload": {"nth": nth, "text": text * 50}})

        writing = asyncio.create_task(write())
        await holds(lambda: not connections)
        writing.cancel()
        socket.connection.transport.abort()


async def test_pings_of_a_client_that_reads_nothing_are_not_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.http.aclose()
    connections = server.uvicorn.server_state.connections
    async with opened(server) as socket:
        socket.connection.transport.pause_reading()
        (protocol,) = connections
        ping = Frame(Opcode.PING, b"x" * 125)

        async def pinging() -> None:
            while not socket.connection.transport.is_closing():
                raw(socket, *[ping] * 1_000)
                await asyncio.sleep(0)

        task = asyncio.create_task(pinging())
        try:
            async with asyncio.timeout(EVENT_PATIENCE):
                while connections:
                    assert protocol.transport.get_write_buffer_size() < 3_000_000
                    await asyncio.sleep(0)
        finally:
            task.cancel()
