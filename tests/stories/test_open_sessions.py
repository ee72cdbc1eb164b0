"""Sockets belong to sessions: they end when their session does, on every server, and outlive their access token."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from app import session_watch
from app.tokens import LEEWAY
from dataloaders.database import DatabaseUnavailable, Session
from resolvers.context import Viewer
from resolvers.sessions import newest_token_ends
from tests.conftest import PRIVATE_KEY, SECRET, Oracle, Serve, Server
from tests.live import holds
from tests.people import EVENT_PATIENCE, PASSWORD, Person, Socket

ROOT = Path(__file__).parents[2]
WHO = "{ viewer { handle } }"


async def closed(socket: Socket) -> int | None:
    """The code that a socket is closed with; what comes before is read."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive()
    return socket.connection.close_code


async def answers(socket: Socket, handle: str) -> None:
    """The socket is open, and still somebody's."""
    await socket.send({"id": "a", "type": "subscribe", "payload": {"query": WHO}})
    assert (await socket.receive())["payload"] == {"data": {"viewer": {"handle": handle}}}
    assert (await socket.receive())["type"] == "complete"


def session_of(person: Person) -> tuple[int, int]:
    """Account and session of somebody's token."""
    claims = jwt.decode(person.token or "", options={"verify_signature": False})
    return int(claims["sub"]), int(claims["sid"])


def soon_over(server: Server, person: Person, seconds: int = 4) -> Person:
    """The same person on a server, with a token that is refused in so many seconds, or up to one less."""
    lifetime = timedelta(seconds=server.settings.access_token_seconds)
    issued = datetime.now(UTC) - lifetime - LEEWAY + timedelta(seconds=seconds)
    token, _ = server.application.parts.door.tokens.issue(*session_of(person), issued)
    return Person(server.url, server.http, handle=person.handle, token=token)


async def long_ago(stored: Oracle) -> None:
    """All sessions were begun so long ago that the first tokens are over."""
    await stored.rows("UPDATE sessions SET rotated_at = rotated_at - interval '1 hour'")


async def refreshes(server: Server, token: str) -> str | None:
    """Spend a refresh token: the next access token."""
    done = await server.passer_by().does(
        "refreshSession", "tokens { accessToken refreshToken }", refreshToken=token
    )
    return None if done.refused else str(done["tokens"]["accessToken"])


async def test_a_socket_closes_when_its_token_is_over_and_nobody_refreshed(
    serve: Serve, stored: Oracle
) -> None:
    servers = [await serve(), await serve()]
    alice, bob = await servers[0].sign_up("alice"), await servers[0].sign_up("bob")
    await long_ago(stored)
    async with AsyncExitStack() as stack:

        async def open(server: Server, person: Person) -> Socket:
            return await stack.enter_async_context(soon_over(server, person).socket())

        hers = [await open(server, alice) for server in servers]
        his = [await open(server, bob) for server in servers]
        # Bob refreshes, by way of one server; his phone's sockets know nothing of it.
        fresh = await refreshes(servers[0], bob.refresh_token)
        assert [await closed(socket) for socket in hers] == [4403, 4403]
        for socket in his:
            await answers(socket, "bob")
        # His session is looked at again when the newer token runs out, and ended meanwhile all the same.
        bob.token = fresh
        await bob.asks("mutation { signOut { userErrors { code } } }")
        assert [await closed(socket) for socket in his] == [4403, 4403]


async def test_a_socket_with_a_newer_token_keeps_the_older_ones_open(server: Server, stored: Oracle) -> None:
    alice = await server.sign_up("alice")
    bob = await server.sign_up("bob")
    await long_ago(stored)
    newer = soon_over(server, alice, 6)
    over = jwt.decode(newer.token or "", options={"verify_signature": False})["exp"] + LEEWAY.total_seconds()
    async with soon_over(server, alice).socket() as one, newer.socket() as two:
        assert await closed(one) == await closed(two) == 4403
        assert time.time() >= over
    async with soon_over(server, alice).socket() as old, alice.socket() as newest:
        # Bob's token ends at the same time, or later.
        async with soon_over(server, bob).socket() as his:
            assert await closed(his) == 4403
        await answers(old, "alice")
        await answers(newest, "alice")


async def test_a_session_that_runs_out_takes_its_sockets_along(server: Server, stored: Oracle) -> None:
    """As a demo token's does, which nobody can refresh."""
    alice = await server.sign_up("alice")
    await stored.rows("UPDATE sessions SET expires_at = now() + interval '3 seconds'")
    async with soon_over(server, alice).socket() as socket:
        assert await closed(socket) == 4403


async def test_sessions_that_run_out_together_cost_one_statement(server: Server, stored: Oracle) -> None:
    people = [await server.sign_up(f"guest_{nth}") for nth in range(8)]
    await long_ago(stored)
    asked = 0

    def count(query: object) -> None:
        nonlocal asked
        asked += getattr(query, "name", "") == "sessions_rotated_at"

    server.application.parts.database.watchers.append(count)
    async with AsyncExitStack() as stack:
        dying = [soon_over(server, person) for person in people]
        sockets = [await stack.enter_async_context(person.socket()) for person in dying * 3]
        assert {await closed(socket) for socket in sockets} == {4403}
        # The tokens say whole seconds, and the clock may have struck between making two of them.
        assert 1 <= asked <= 2


async def test_trouble_with_the_database_closes_no_socket(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await long_ago(stored)
    ask, away, tried = newest_token_ends, True, asyncio.Event()

    async def may_be_away(
        db: Session, sessions: Sequence[Viewer], lifetime: timedelta
    ) -> list[datetime | None]:
        tried.set()
        if away:
            raise DatabaseUnavailable("away")
        return await ask(db, sessions, lifetime)

    monkeypatch.setattr(session_watch, "newest_token_ends", may_be_away)
    monkeypatch.setattr(session_watch, "RETRY_EVERY", 0.01)
    async with soon_over(server, alice).socket() as socket:
        async with asyncio.timeout(EVENT_PATIENCE):
            for _ in range(3):
                await tried.wait()
                tried.clear()
        await answers(socket, "alice")
        away = False
        assert await closed(socket) == 4403


async def test_nothing_is_kept_of_sockets_that_are_closed(server: Server, alice: Person) -> None:
    parts = server.application.parts
    async with alice.socket(), alice.socket():
        assert len(parts.sessions) == 1
    await holds(lambda: not len(parts.sessions))


async def test_a_stolen_refresh_token_closes_sockets_on_every_server(serve: Serve, stored: Oracle) -> None:
    servers = [await serve(), await serve()]
    alice = await servers[0].sign_up("alice")
    await refreshes(servers[0], alice.refresh_token)
    await long_ago(stored)
    elsewhere = Person(servers[1].url, servers[1].http, token=alice.token)
    async with alice.socket() as one, elsewhere.socket() as other:
        assert await refreshes(servers[1], alice.refresh_token) is None
        assert [await closed(one), await closed(other)] == [4403, 4403]


async def command(database: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m app` beside the servers."""
    environment = {"DATABASE_URL": database, "SECRET_KEY": SECRET, "TOKEN_PRIVATE_KEY": PRIVATE_KEY}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


async def test_the_operator_signs_somebody_out_everywhere(
    serve: Serve, database: str, stored: Oracle
) -> None:
    servers = [await serve(), await serve()]
    alice, bob = await servers[0].sign_up("alice"), await servers[0].sign_up("bob")
    again = (
        await servers[0]
        .passer_by()
        .does("signIn", "tokens { accessToken }", login="alice", password=PASSWORD)
    )
    second = Person(servers[1].url, servers[1].http, token=again["tokens"]["accessToken"])
    elsewhere = Person(servers[1].url, servers[1].http, token=alice.token)
    async with (
        alice.socket() as one,
        elsewhere.socket() as two,
        second.socket() as three,
        bob.socket() as his,
    ):
        done = await command(database, "sign-out", "@Alice")
        assert (done.returncode, done.stdout, done.stderr) == (0, "2 sessions of @Alice ended\n", "")
        assert [await closed(socket) for socket in (one, two, three)] == [4403] * 3
        await answers(his, "bob")
    for person in (alice, elsewhere, second):
        assert (await person.asks(WHO)).status == 401
    assert await refreshes(servers[0], alice.refresh_token) is None
    assert await refreshes(servers[0], bob.refresh_token)
    assert (await command(database, "sign-out", "alice")).stdout == "0 sessions of alice ended\n"
    for handle in ("nobody", "", "no body"):
        unknown = await command(database, "sign-out", handle)
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert unknown.stderr == f"maydan: there is no account {handle!r}\n"
    # Her password still opens a new one.
    assert (
        await servers[0].passer_by().does("signIn", "viewer { handle }", login="alice", password=PASSWORD)
    ).refused is None


async def test_a_new_epoch_resets_those_who_watch(server: Server, database: str, alice: Person) -> None:
    async with alice.watches() as stream:
        await stream.caught_up()
        done = await command(database, "new-epoch")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("the log goes on in epoch ")
        await stream.until("LiveReset")
        await alice.posts("goes on")
        assert (await stream.next())["__typename"] == "TimelineEntryAdded"
