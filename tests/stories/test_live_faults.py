"""Servers and buses that die while people watch: nothing lost, only later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from app.embedded import EmbeddedValkey
from app.protocols import SocketProtocol
from tests.conftest import Oracle, Serve, Server, serving
from tests.live import (
    PUBLIC_EVENTS,
    before_post,
    essence,
    holds,
    late_transaction,
    quiet,
    read_until,
    watching,
)
from tests.people import Person, Stream
from tests.servers import Mistreated
from tests.valkey_cluster import ValkeyCluster

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@asynccontextmanager
async def two_people_at_two_servers(
    database: str, url: str
) -> AsyncIterator[tuple[Person, Person, Stream, list[Server]]]:
    """Alice posts at one server; Bob follows her and watches at another."""
    async with serving(database, url) as one, serving(database, url) as other:
        alice, bob = await one.sign_up("alice"), await other.sign_up("bob")
        await bob.follows(alice)
        await quiet(one, other)
        async with watching(other, bob) as stream:
            yield alice, bob, stream, [one, other]


async def bus_is_up(servers: list[Server], up: bool = True) -> None:
    await holds(lambda: all(server.application.parts.hub.bus_is_up is up for server in servers))


async def posts_arrive(alice: Person, stream: Stream, *texts: str) -> None:
    """All of them, once and in order, and nothing else."""
    for text in texts:
        await alice.posts(text)
    for text in texts:
        assert await before_post(stream, text) == []


async def closing_code(stream: Stream) -> int:
    """Read until the server closes the socket."""
    while True:
        try:
            await stream.next()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006


def texts_of(stream: Stream) -> list[str]:
    """The posts that came in."""
    return [essence(event)[1] for event in stream.events if essence(event)[0] == "added"]


async def test_a_post_at_one_server_arrives_at_the_other(database: str, either_valkey: str) -> None:
    async with two_people_at_two_servers(database, either_valkey) as (alice, _, stream, servers):
        await posts_arrive(alice, stream, "one", "two", "three")
        holders = [server.application.parts.hub.sequencer.leads for server in servers]
        assert holders.count(True) == 1


async def test_wake_ups_come_through_valkey(
    database: str, either_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_people_at_two_servers(database, either_valkey) as (alice, bob, stream, servers):
        await bus_is_up(servers)
        # From now on nobody looks by themselves before the test's patience ends.
        monkeypatch.setattr("app.live.hub.LOOK_EVERY", 1000.0)
        monkeypatch.setattr("app.live.sequencer.SWEEP", 1000.0)
        await posts_arrive(alice, stream, "one", "two")
        await posts_arrive(bob, stream, "three")


async def test_a_killed_valkey_loses_nothing(database: str, own_either: Mistreated) -> None:
    async with two_people_at_two_servers(database, own_either.url) as (alice, _, stream, servers):
        await bus_is_up(servers)
        await posts_arrive(alice, stream, "before")
        for nth in range(3):
            await asyncio.to_thread(own_either.kill)
            await posts_arrive(alice, stream, f"killed {nth}", f"still killed {nth}")
            await asyncio.to_thread(own_either.mend)
        await bus_is_up(servers)
        await posts_arrive(alice, stream, "after")


async def test_a_replica_takes_over_and_nothing_is_lost(
    database: str, own_cluster: ValkeyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_people_at_two_servers(database, own_cluster.url) as (alice, bob, stream, servers):
        await bus_is_up(servers)
        dead = own_cluster.primary_of(0)
        await asyncio.to_thread(own_cluster.kill, dead)
        await bus_is_up(servers, up=False)
        await posts_arrive(alice, stream, "while it is dead", "still dead")
        await asyncio.to_thread(own_cluster.failed_over, 0, dead)
        await bus_is_up(servers)
        await posts_arrive(bob, stream, "led by another")
        # From now on wake-ups bring them, or nobody does.
        monkeypatch.setattr("app.live.hub.LOOK_EVERY", 1000.0)
        monkeypatch.setattr("app.live.sequencer.SWEEP", 1000.0)
        await posts_arrive(alice, stream, *(f"post {nth}" for nth in range(10)))


async def test_a_valkey_that_hangs_or_is_restarted_loses_nothing(
    database: str, own_either: Mistreated
) -> None:
    async with two_people_at_two_servers(database, own_either.url) as (alice, _, stream, servers):
        await bus_is_up(servers)
        await asyncio.to_thread(own_either.pause)
        await posts_arrive(alice, stream, "it hangs", "still")
        await asyncio.to_thread(own_either.resume)
        await posts_arrive(alice, stream, "it goes on")
        await asyncio.to_thread(own_either.restart)
        await posts_arrive(alice, stream, "restarted")
        await bus_is_up(servers)
        await posts_arrive(alice, stream, "after")


async def test_a_valkey_that_is_gone_and_comes_back_loses_nothing(tmp_path: Path, database: str) -> None:
    valkey = EmbeddedValkey(tmp_path)
    await asyncio.to_thread(valkey.start)
    url = valkey.url
    try:
        async with two_people_at_two_servers(database, url) as (alice, _, stream, servers):
            await bus_is_up(servers)
            await asyncio.to_thread(valkey.stop)
            await bus_is_up(servers, up=False)
            await posts_arrive(alice, stream, "without", "a bus")
            await asyncio.to_thread(valkey.start)
            if valkey.url == url:
                await bus_is_up(servers)
            await posts_arrive(alice, stream, "with", "a bus again")
    finally:
        await asyncio.to_thread(valkey.stop)


async def test_a_flushed_valkey_and_cut_connections_lose_nothing(
    database: str, own_either: Mistreated
) -> None:
    async with two_people_at_two_servers(database, own_either.url) as (alice, _, stream, servers):
        for nth in range(3):
            await bus_is_up(servers)
            await asyncio.to_thread(own_either.flush)
            await posts_arrive(alice, stream, f"flushed {nth}")
            await asyncio.to_thread(own_either.cut)
            await posts_arrive(alice, stream, f"cut {nth}")
        await bus_is_up(servers)


async def test_servers_that_never_saw_a_valkey_deliver(database: str, tmp_path: Path) -> None:
    async with two_people_at_two_servers(database, f"unix://{tmp_path}/nobody.sock") as found:
        alice, _, stream, servers = found
        await bus_is_up(servers, up=False)
        await posts_arrive(alice, stream, "one", "two")


async def test_another_server_takes_over_from_a_sequencer_that_died(
    database: str, valkey: EmbeddedValkey, stored: Oracle
) -> None:
    async with two_people_at_two_servers(database, valkey.url) as (alice, _, stream, servers):
        # Somebody holds the lease and is gone without a word.
        await stored.rows("UPDATE sequencers SET holder = 'dead', beat_at = clock_timestamp()")
        await posts_arrive(alice, stream, "one", "two")
        ((holder,),) = await stored.rows("SELECT holder FROM sequencers")
        assert holder != "dead"
        assert [server.application.parts.hub.sequencer.leads for server in servers].count(True) == 1


async def test_the_other_server_numbers_when_the_leading_one_stops(
    database: str, valkey: EmbeddedValkey, stored: Oracle
) -> None:
    async with serving(database, valkey.url) as one:
        alice = await one.sign_up("alice")
        await holds(lambda: one.application.parts.hub.sequencer.leads)
        async with serving(database, valkey.url) as other:
            bob = await other.sign_up("bob")
            await bob.follows(alice)
            async with watching(other, bob) as stream:
                await posts_arrive(alice, stream, "at the first")
                one.uvicorn.should_exit = True
                await holds(lambda: other.application.parts.hub.sequencer.leads)
                alice.url = other.url
                await posts_arrive(alice, stream, "at the second")
    ((number, count),) = await stored.rows("SELECT number, (SELECT count(*) FROM log) FROM sequencers")
    assert number == count


async def test_a_stopping_server_closes_with_1012_and_nothing_is_lost_elsewhere(serve: Serve) -> None:
    one, other = await serve(), await serve()
    alice, bob = await other.sign_up("alice"), await one.sign_up("bob")
    await bob.follows(alice)
    written: list[str] = []

    async def writes() -> None:
        for nth in range(30):
            await alice.posts(f"post {nth}")
            written.append(f"post {nth}")

    async with watching(one, bob) as stream:
        writing = asyncio.create_task(writes())
        await stream.next()
        one.uvicorn.should_exit = True
        assert await closing_code(stream) == 1012
    bob.url = other.url
    cursor, heard = stream.events[-1]["liveCursor"], texts_of(stream)
    await writing
    async with bob.watches(after=cursor) as stream:
        await read_until(stream, lambda event: "post 29" in str(event))
    assert heard + texts_of(stream) == written


def protocol_of(server: Server) -> SocketProtocol:
    """The server's side of the only socket."""
    (found,) = (one for one in server.uvicorn.server_state.connections if isinstance(one, SocketProtocol))
    return found


async def test_whoever_is_behind_gets_everything_when_it_reads_again(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    await quiet(server)
    async with watching(server, bob) as stream:
        await posts_arrive(alice, stream, "before")
        protocol = protocol_of(server)
        protocol.pause_writing()
        for nth in range(5):
            await alice.posts(f"meanwhile {nth}")
        gone = await alice.posts("regretted")
        await alice.deletes(gone)
        await quiet(server)
        protocol.resume_writing()
        await alice.posts("after")
        await read_until(stream, lambda event: "after" in str(event))
        # What was deleted while it waited to be sent is not sent any more.
        assert texts_of(stream) == ["before", *(f"meanwhile {nth}" for nth in range(5)), "after"]
    assert server.application.parts.hub.listener_count == 0


async def test_whoever_cannot_keep_up_is_closed_with_1013_and_resumes(
    server: Server, alice: Person, bob: Person, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.subscriptions.subscription.QUEUE", 10)
    await bob.follows(alice)
    await quiet(server)
    async with watching(server, bob) as stream:
        await posts_arrive(alice, stream, "before")
        protocol = protocol_of(server)
        protocol.pause_writing()
        await alice.posts("post 0")
        (listener,) = server.application.parts.hub.listeners.all
        await holds(lambda: listener.group is None)
        async with late_transaction(database) as late:
            for nth in range(1, 30):
                await late.posts(alice, f"post {nth}")
        await quiet(server)
        protocol.resume_writing()
        assert await closing_code(stream) == 1013
    cursor, heard = stream.events[-1]["liveCursor"], texts_of(stream)
    async with bob.watches(after=cursor) as stream:
        await stream.caught_up()
    assert heard + texts_of(stream) == ["before", *(f"post {nth}" for nth in range(30))]


async def test_connections_of_every_kind_leave_nothing_behind(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    parts = server.application.parts
    hub, database = parts.hub, parts.database
    for nth in range(10):
        await alice.posts(f"post {nth}")
    cursor = (await bob.home())["liveCursor"]
    async with watching(server, bob) as stream:
        assert len(stream.events) == 1

    def sizes() -> list[int]:
        listeners = hub.listeners
        return [len(listeners.all), len(list(listeners.owners())), len(listeners.public), len(parts.sessions)]

    await holds(lambda: not any(sizes()))
    tasks = len(asyncio.all_tasks())

    async def comes_and_goes(nth: int) -> None:
        watched = PUBLIC_EVENTS if nth % 5 == 0 else "homeTimelineEvents"
        async with bob.watches(watched, after=cursor if nth % 3 and nth % 5 else None) as stream:
            if nth % 2:
                await stream.next()
            match nth % 4:
                case 0:
                    stream.socket.connection.transport.abort()
                case 1:
                    await stream.socket.send({"id": "s", "type": "complete"})
                case 2:
                    await alice.posts(f"while {nth} watches")
                case _:
                    await stream.socket.connection.close()

    for start in range(0, 200, 8):
        await asyncio.gather(*(comes_and_goes(nth) for nth in range(start, start + 8)))
    await holds(lambda: not any(sizes()))
    await holds(lambda: len(asyncio.all_tasks()) <= tasks)
    # The hub and the sequencer take one now and then; nobody keeps one.
    await holds(lambda: database.in_use == 0)
    await bob.home()
