"""What operators rely on: health, readiness, metrics, the log's lines, and a database that goes and comes back."""

import asyncio
import gc
import io
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from websockets.exceptions import ConnectionClosed

from app import journal
from app.embedded import EmbeddedPostgres
from app.migrations import migrate
from app.protocols import HttpProtocol
from resolvers import posts
from resolvers.context import Context
from tests.conftest import Oracle, Server, serving
from tests.live import added, holds, read_until
from tests.people import Answer, Person

VIEWER = "query Who { viewer { handle } }"


async def got(server: Server, path: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a page."""
    answer = await server.http.get(server.url + path)
    return answer.status_code, answer.json()


async def test_the_process_is_alive(server: Server) -> None:
    assert await got(server, "/healthz") == (200, {"status": "ok"})


async def test_it_is_ready_when_database_and_bus_are_there(server: Server) -> None:
    async def is_ready() -> bool:
        status, body = await got(server, "/readyz")
        assert status == 200
        return bool(body["status"] == "ok")

    await holds(is_ready)
    checks = {"database": "ok", "bus": "ok", "stopping": False}
    assert await got(server, "/readyz") == (200, {"status": "ok", **checks})


async def test_without_valkey_it_is_degraded_and_serves(database: str, tmp_path: Path) -> None:
    async with serving(database, f"unix://{tmp_path}/dead.sock") as server:
        status, body = await got(server, "/readyz")
        assert (status, body["status"]) == (200, "degraded")
        assert (body["bus"], body["database"]) == ("unreachable", "ok")
        dora = await server.sign_up("dora")
        async with dora.watches() as stream:
            await stream.caught_up()
            await dora.posts("nothing but a delay")
            event = await stream.until("TimelineEntryAdded")
            assert event["edge"]["node"]["post"]["text"] == "nothing but a delay"

        async def is_told() -> bool:
            return "maydan_bus_up 0.0" in (await server.http.get(f"{server.url}/metrics")).text

        await holds(is_told)


async def test_with_a_missing_migration_it_is_not_ready(server: Server, stored: Oracle) -> None:
    gone = await stored.rows(
        "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations) RETURNING version"
    )
    status, body = await got(server, "/readyz")
    assert (status, body["status"]) == (503, "unavailable")
    assert "migrate" in body["database"]
    await stored.rows("INSERT INTO schema_migrations (version) VALUES ($1)", gone[0]["version"])
    assert (await got(server, "/readyz"))[0] == 200


async def test_without_a_table_of_migrations_it_is_not_ready(server: Server, stored: Oracle) -> None:
    await stored.rows("ALTER TABLE schema_migrations RENAME TO elsewhere")
    status, body = await got(server, "/readyz")
    assert (status, body["status"]) == (503, "unavailable")


async def test_a_stopping_server_is_not_ready(server: Server) -> None:
    server.application.parts.stopping = True
    status, body = await got(server, "/readyz")
    assert (status, body["status"], body["stopping"]) == (503, "unavailable", True)
    assert (await got(server, "/healthz"))[0] == 200


@pytest.mark.parametrize("over_a_socket", [False, True])
async def test_a_stopping_server_finishes_the_mutations_in_progress(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch, over_a_socket: bool
) -> None:
    entered, opened, create = asyncio.Event(), asyncio.Event(), posts.create_post

    async def held(ctx: Context, draft: posts.Draft) -> posts.NewPost:
        entered.set()
        await opened.wait()
        return await create(ctx, draft)

    monkeypatch.setattr(posts, "create_post", held)
    document = 'mutation { createPost(input: {text: "last words"}) { post { text } } }'
    async with alice.socket() as socket:

        async def asks() -> Answer | None:
            if not over_a_socket:
                return await alice.asks(document)
            await socket.send({"id": "m", "type": "subscribe", "payload": {"query": document}})
            return None

        asking = asyncio.create_task(asks())
        await entered.wait()
        server.uvicorn.should_exit = True
        with pytest.raises(ConnectionClosed) as closed:
            await socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await stored.count("posts") == 0
        opened.set()
        answer = await asking
        assert answer is None or answer.data == {"createPost": {"post": {"text": "last words"}}}

    async def written() -> bool:
        return await stored.count("posts") == 1

    await holds(written)


async def test_metrics_count_operations_sockets_and_streams(server: Server, alice: Person) -> None:
    async def number(name: str) -> float:
        answer = await server.http.get(f"{server.url}/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return sum(
            float(line.rpartition(" ")[2]) for line in answer.text.splitlines() if line.startswith(name + " ")
        )

    queries = 'maydan_operations_total{kind="query",outcome="ok"}'
    errors = 'maydan_operations_total{kind="query",outcome="error"}'
    refusals = 'maydan_operations_total{kind="mutation",outcome="refused"}'
    statements, events = "maydan_sql_statements_total", "maydan_live_events_total"
    counted = (queries, errors, refusals, statements, events)
    before = {name: await number(name) for name in counted}
    sockets, streams = await number("maydan_websockets"), await number("maydan_live_streams")
    assert (await alice.asks(VIEWER)).data
    assert (await alice.asks("{ publicTimeline(first: -1) { liveCursor } }")).error_codes == [
        "BAD_USER_INPUT"
    ]
    assert (await alice.tries_to_post(" ")).refused == "INVALID"
    async with alice.watches() as stream:
        await stream.caught_up()
        assert await number("maydan_websockets") == sockets + 1
        assert await number("maydan_live_streams") == streams + 1
    after = {name: await number(name) for name in counted}
    assert all(after[name] > before[name] for name in counted), (before, after)

    async def all_gone() -> bool:
        return await number("maydan_websockets") == sockets and await number("maydan_live_streams") == streams

    await holds(all_gone)
    await holds(lambda: server.application.parts.hub.bus_is_up)
    assert await number("maydan_bus_up") == 1
    assert await number("maydan_log_seen") == server.application.parts.hub.seen


@pytest.fixture
def logged(server: Server, alice: Person, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the operations' log says from now on, from the level of information on, as lines of JSON."""
    server.application.parts.journal.write()
    written = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(written),
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    monkeypatch.setattr(journal, "log", logger)
    return written


async def test_each_operation_has_one_line_without_tokens_and_texts(
    server: Server, alice: Person, logged: io.StringIO
) -> None:
    answer = await alice.asks(VIEWER)
    document = (
        "mutation Write($text: String!) "
        '{ createPost(input: {text: $text, idempotencyKey: "a-key"}) { post { text } userErrors { code } } }'
    )
    await alice.asks(document, text="what nobody else reads")
    await server.passer_by().asks("{ publicTimeline { liveCursor } }")
    await alice.asks('{ node(id: "a-hostile-id") { id } homeTimeline(after: "a-bad-cursor") { liveCursor } }')
    await alice.does("signIn", "tokens { accessToken }", login="alice", password="a wrong password")
    server.application.parts.journal.write()
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [(line["name"], line["kind"]) for line in lines] == [
        ("Who", "query"),
        ("Write", "mutation"),
        (None, "query"),
        (None, "query"),
        (None, "mutation"),
    ]
    viewers = {line["viewer"] for line in (lines[0], lines[1], lines[3], lines[4])}
    assert len(viewers) == 1
    assert viewers != {None}
    assert lines[2]["viewer"] is None
    assert lines[0]["request_id"] == answer.headers["x-request-id"]
    assert len({line["request_id"] for line in lines}) == len(lines)
    assert lines[3]["codes"] == ["INVALID_CURSOR"]
    for line in lines:
        assert (line["event"], line["level"]) == ("operation", "info")
        assert 0 <= line["ms"] < 60_000
        assert 0 <= line["statements"] < 50
    assert lines[0]["statements"] == 1
    for secret in (
        alice.token,
        alice.refresh_token,
        "nobody else",
        "a-key",
        "hostile",
        "bad-cursor",
        "wrong password",
    ):
        assert secret
        assert secret not in logged.getvalue()


async def test_a_subscription_has_one_line_at_its_end(alice: Person, logged: io.StringIO) -> None:
    async with alice.socket() as socket:
        query = "subscription Watch { homeTimelineEvents { __typename } }"
        await socket.send({"id": "s", "type": "subscribe", "payload": {"query": query}})
        await socket.receive()
        await socket.send({"id": "s", "type": "complete"})
        await holds(lambda: "subscription ended" in logged.getvalue())
    (line,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert (line["event"], line["name"], line["events"]) == ("subscription ended", "Watch", 1)
    assert line["viewer"] is not None
    assert line["request_id"]


@pytest.fixture
async def own_postgres(server_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL that the test may stop and start."""
    server = EmbeddedPostgres(server_folder / "stoppable", durable=False)
    await asyncio.to_thread(server.start)
    try:
        await migrate(server.dsn())
        yield server
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.slow
async def test_postgresql_goes_and_comes_back(
    own_postgres: EmbeddedPostgres, tmp_path: Path, logged: io.StringIO
) -> None:
    async with serving(own_postgres.dsn(), f"unix://{tmp_path}/dead.sock") as server:
        alice = await server.sign_up("alice")
        await alice.posts("before")
        async with alice.watches() as stream:
            await stream.caught_up()
            await asyncio.to_thread(own_postgres.stop)

            for _ in range(2):
                status, body = await got(server, "/readyz")
                assert (status, body["database"]) == (503, "unreachable")
                answer = await alice.asks(VIEWER)
                assert (answer.status, answer.error_codes) == (200, ["UNAVAILABLE"])
                assert answer.body["errors"][0]["extensions"]["requestId"] == answer.headers["x-request-id"]
            # The position is taken before anything runs, and so is the failure: nothing is the client's fault.
            # For a second this process still knows a position, and the failure is the timeline's.
            async with asyncio.timeout(10):
                while (answer := await alice.asks("{ homeTimeline { liveCursor } }")).status == 200:
                    assert answer.error_codes == ["UNAVAILABLE"]
            assert (answer.status, answer.error_codes) == (503, ["UNAVAILABLE"])
            failed = await alice.asks('mutation { createPost(input: {text: "x"}) { userErrors { code } } }')
            assert failed.error_codes == ["UNAVAILABLE"]
            assert (await got(server, "/healthz"))[0] == 200
            async with alice.socket() as socket:
                await socket.send({"id": "q", "type": "subscribe", "payload": {"query": VIEWER}})
                payload = (await socket.receive())["payload"]
                assert payload["errors"][0]["extensions"]["code"] == "UNAVAILABLE"

            await asyncio.to_thread(own_postgres.start)
            assert (await got(server, "/readyz"))[0] == 200
            assert (await alice.asks(VIEWER)).data == {"viewer": {"handle": "alice"}}
            await alice.posts("after")
            # The stream that was open all the time goes on.
            await read_until(stream, lambda event: added(event, "after"))
        assert await alice.home_texts() == ["after", "before"]
    assert "operation failed" not in logged.getvalue()
    assert str(own_postgres.dsn()) not in logged.getvalue()


async def test_nothing_is_kept_of_connections_that_were_reset(server: Server) -> None:
    def held() -> int:
        gc.collect()
        return sum(type(one) is HttpProtocol for one in gc.get_objects())

    before = held()
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(5):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
    await holds(lambda: held() <= before)
