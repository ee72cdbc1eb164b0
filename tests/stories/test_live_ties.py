"""Following and blocking while somebody watches, who may watch, and which cursors are taken."""

from typing import Any

import pytest

from tests.conftest import Server
from tests.live import (
    HOME_EVENTS,
    PUBLIC_EVENTS,
    Phone,
    Stopwatch,
    before_post,
    essence,
    read_until,
    watching,
)
from tests.people import Person, Socket

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

RESET = ("reset",)


async def test_a_follow_resets_the_followers_timeline_and_nobody_elses(
    server: Server, alice: Person, bob: Person
) -> None:
    await alice.posts("older")
    async with watching(server, bob) as bobs, watching(server, alice) as alices:
        await bob.follows(alice)
        assert essence(await bobs.next()) == RESET
        assert await bob.home_texts() == ["older"]
        await alice.posts("mark")
        # Live events of the followed account begin at once.
        assert await before_post(bobs, "mark") == await before_post(alices, "mark") == []


async def test_an_unfollow_resets_and_what_comes_later_does_not_arrive(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    await alice.posts("older")
    async with watching(server, bob) as stream:
        await bob.unfollows(alice)
        await alice.posts("unheard")
        await bob.posts("mark")
        # The Reset may be told when the later posts are in the log already, and then stands for them too.
        events = await read_until(stream, lambda event: essence(event) in [RESET, ("added", "mark", None)])
        assert [essence(event) for event in events] == [RESET]
        await bob.posts("second mark")
        assert await before_post(stream, "second mark") in ([], [("added", "mark", None)])
    assert await bob.home_texts() == ["second mark", "mark"]


async def test_doing_it_twice_resets_once(server: Server, alice: Person, bob: Person) -> None:
    await bob.follows(alice)
    async with watching(server, bob) as stream:
        await bob.follows(alice)
        await bob.posts("mark")
        assert await before_post(stream, "mark") == []


async def test_a_block_resets_both_home_timelines_and_both_public_ones(
    server: Server, alice: Person, mallory: Person
) -> None:
    await mallory.follows(alice)
    await alice.posts("good morning")
    async with (
        watching(server, alice) as alices,
        watching(server, mallory) as mallorys,
        watching(server, alice, PUBLIC_EVENTS) as alices_public,
        watching(server, mallory, PUBLIC_EVENTS) as mallorys_public,
    ):
        streams = (alices, mallorys, alices_public, mallorys_public)
        await alice.blocks(mallory)
        for stream in streams:
            assert essence(await stream.next()) == RESET
        assert await mallory.home_texts() == []
        await alice.posts("hidden from mallory")
        await mallory.posts("hidden from alice")
        assert await before_post(mallorys_public, "hidden from alice") == []
        assert await before_post(mallorys, "hidden from alice") == []
        assert await before_post(alices_public, "hidden from mallory") == []
        await alice.posts("mark")
        assert await before_post(alices_public, "mark") == []
        await alice.unblocks(mallory)
        for stream in streams:
            await read_until(stream, lambda event: essence(event) == RESET)
        assert "hidden from alice" not in str([alices.events, alices_public.events])
        assert "hidden from mallory" in [
            edge["node"]["post"]["text"] for edge in (await mallory.public())["edges"]
        ]


async def test_following_leaves_the_public_timeline_alone(server: Server, alice: Person, bob: Person) -> None:
    async with watching(server, bob, PUBLIC_EVENTS) as stream:
        await bob.follows(alice)
        await alice.posts("mark")
        assert await before_post(stream, "mark") == []


async def test_a_blocked_viewer_hears_nothing_also_through_reposts(
    server: Server, alice: Person, bob: Person, mallory: Person
) -> None:
    await mallory.follows(bob)
    await alice.blocks(mallory)
    async with watching(server, mallory) as home, watching(server, mallory, PUBLIC_EVENTS) as public:
        post = await alice.posts("not for mallory")
        await bob.reposts(post)
        await bob.likes(post)
        reply = await bob.posts("an answer that mallory may read", to=post)
        await bob.posts("mark")
        assert await before_post(home, "mark") == []
        assert await before_post(public, "mark") == []
    assert not await mallory.sees(post)
    assert await mallory.sees(reply)
    assert "not for mallory" not in str([home.events, public.events])


async def test_resets_come_at_most_once_a_second(alice: Person, bob: Person) -> None:
    phone = Phone(bob, HOME_EVENTS)
    async with phone.on():
        watch = Stopwatch()
        for _ in range(10):
            await bob.follows(alice)
            await bob.unfollows(alice)
        await bob.follows(alice)
        await alice.posts("mark")
        await phone.shows("mark")
        assert 1 <= phone.resets <= 1 + watch.whole_seconds()


async def test_anybody_watches_the_public_timeline(
    server: Server, passer_by: Person, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    async with watching(server, passer_by, PUBLIC_EVENTS) as stream:
        post = await alice.posts("for everybody")
        await alice.posts("a reply", to=post)
        await bob.reposts(post)
        await alice.posts("mark")
        assert await before_post(stream, "mark") == [("added", "for everybody", None)]
        await alice.deletes(post)
        (removed,) = [
            essence(event)
            for event in await read_until(stream, lambda event: essence(event)[0] == "removed")
            if essence(event)[0] == "removed"
        ]
        assert removed[2] == post
    await bob.asks("{ viewer { id } }")


async def test_the_public_timeline_tells_counters(
    server: Server, passer_by: Person, alice: Person, bob: Person
) -> None:
    post = await alice.posts("likeable")
    async with watching(server, passer_by, PUBLIC_EVENTS) as stream:
        await bob.likes(post)
        (event,) = await read_until(stream, lambda event: True)
        assert essence(event) == ("updated", "likeable")
        assert event["post"]["likeCount"] == 1


async def subscribes(socket: Socket, id: str, watched: str, after: object) -> None:
    document = f"subscription ($after: String) {{ {watched}(after: $after) {{ __typename liveCursor }} }}"
    payload: Any = {"query": document, "variables": {"after": after}}
    await socket.send({"id": id, "type": "subscribe", "payload": payload})


async def test_a_passer_by_has_no_home_timeline_to_watch(passer_by: Person, server: Server) -> None:
    async with passer_by.socket() as socket:
        await subscribes(socket, "one", HOME_EVENTS, None)
        refusal = await socket.receive()
        assert (refusal["type"], refusal["id"]) == ("error", "one")
        assert refusal["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        # The socket lives on.
        await subscribes(socket, "two", PUBLIC_EVENTS, None)
        assert (await socket.receive())["type"] == "next"
    assert server.application.parts.hub.listener_count <= 1


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "null",
        "aA",
        "aC4wLjA",  # too short an epoch is still one, but this is no canonical text
        "aC4wMDAwLi0x",
        "🦊",
        "\u0000",
        "x" * 5000,
        "aC5hYmNkZWYwMS45OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
        " ",
    ],
)
async def test_what_never_was_a_live_cursor_is_refused_and_the_socket_lives_on(
    alice: Person, cursor: str
) -> None:
    if cursor == "aC4wLjA":
        cursor += "="
    async with alice.socket() as socket:
        for watched in (HOME_EVENTS, PUBLIC_EVENTS):
            await subscribes(socket, watched, watched, cursor)
            refusal = await socket.receive()
            assert (refusal["type"], refusal["id"]) == ("error", watched), refusal
            assert refusal["payload"][0]["extensions"]["code"] == "INVALID_CURSOR"
        await subscribes(socket, HOME_EVENTS, HOME_EVENTS, None)
        assert (await socket.receive())["type"] == "next"


async def test_cursors_of_other_lists_are_refused(alice: Person) -> None:
    await alice.posts("one")
    home, public = await alice.home(), await alice.public()
    foreign = [
        (HOME_EVENTS, public["liveCursor"]),
        (PUBLIC_EVENTS, home["liveCursor"]),
        (HOME_EVENTS, home["edges"][0]["cursor"]),
        (HOME_EVENTS, home["edges"][0]["sortKey"]),
        (PUBLIC_EVENTS, public["edges"][0]["cursor"]),
    ]
    async with alice.socket() as socket:
        for nth, (watched, cursor) in enumerate(foreign):
            await subscribes(socket, str(nth), watched, cursor)
            refusal = await socket.receive()
            assert refusal["type"] == "error"
            assert refusal["payload"][0]["extensions"]["code"] == "INVALID_CURSOR"
        await subscribes(socket, "right", HOME_EVENTS, home["liveCursor"])
        assert (await socket.receive())["type"] == "next"
