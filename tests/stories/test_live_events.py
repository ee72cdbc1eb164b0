"""What somebody who watches their home timeline is told, and what not."""

import pytest

from tests.conftest import Oracle, Server
from tests.live import HOME_EVENTS, Stopwatch, before_post, counters, essence, quiet, read_until, watching
from tests.people import Person

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


async def test_a_post_arrives_at_the_author_and_the_followers(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    async with watching(server, bob) as bobs, watching(server, alice) as alices:
        written = await alice.tries_to_post("good morning")
        (held,) = (await bob.home())["edges"]
        assert held == written["timelineEdge"]
        for stream in (bobs, alices):
            event = await stream.next()
            assert essence(event) == ("added", "good morning", None)
            assert event["edge"] == held


async def test_strangers_and_their_strangers_hear_nothing(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    await carol.follows(bob)
    async with watching(server, carol) as stream:
        post = await alice.posts("not for carol")
        await alice.posts("nor this", to=post)
        await bob.likes(post)
        await alice.deletes(post)
        await carol.posts("mark")
        assert await before_post(stream, "mark") == []
    assert len(stream.events) == 2


async def test_replies_that_fit_the_home_timeline_arrive_and_others_do_not(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    dora = await server.sign_up("dora")
    await dora.follows(alice)
    await dora.follows(bob)
    alices, carols, doras = (
        await alice.posts("by alice"),
        await carol.posts("by carol"),
        await dora.posts("d"),
    )
    async with watching(server, dora) as stream:
        await alice.posts("to carol, whom dora does not follow", to=carols)
        await alice.posts("to herself", to=alices)
        await bob.posts("to alice, whom dora follows", to=alices)
        await bob.posts("to dora", to=doras)
        await carol.posts("by a stranger to dora", to=doras)
        await dora.posts("dora's own to a stranger", to=carols)
        await dora.posts("mark")
        assert await before_post(stream, "mark") == [
            ("added", "to herself", None),
            ("added", "to alice, whom dora follows", None),
            ("added", "to dora", None),
            ("added", "dora's own to a stranger", None),
        ]


async def test_the_first_repost_arrives_and_those_that_follow_it_do_not(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    dora = await server.sign_up("dora")
    await dora.follows(bob)
    await dora.follows(carol)
    post = await alice.posts("worth it")
    own = await bob.posts("bob's own")
    async with watching(server, dora) as stream:
        await bob.reposts(post)
        await carol.reposts(post)
        await carol.reposts(own)
        await dora.posts("mark")
        # A removal of what never came in may be among them, and is ignored by clients.
        heard = await before_post(stream, "mark")
        assert [event for event in heard if event[0] == "added"] == [("added", "worth it", "bob")]


async def test_a_repost_of_a_reply_that_does_not_fit_arrives_as_a_repost(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    await bob.follows(alice)
    reply = await alice.posts("to a stranger", to=await carol.posts("by a stranger"))
    async with watching(server, bob) as stream:
        await alice.reposts(reply)
        await bob.posts("mark")
        assert await before_post(stream, "mark") == [("added", "to a stranger", "alice")]


async def test_an_undone_repost_leaves_and_uncovers_the_next_with_its_old_time(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    dora = await server.sign_up("dora")
    await dora.follows(bob)
    await dora.follows(carol)
    post = await alice.posts("worth it")
    await bob.reposts(post)
    await carol.reposts(post)
    (bobs,) = (await dora.home())["edges"]
    async with watching(server, dora) as stream:
        await bob.undoes_repost(post)
        await dora.posts("mark")
        assert await before_post(stream, "mark") == [
            ("removed", bobs["node"]["id"], None),
            ("added", "worth it", "carol"),
        ]
    uncovered = next(event["edge"] for event in stream.events if event["__typename"] == "TimelineEntryAdded")
    mark, carols = (await dora.home())["edges"]
    assert uncovered["sortKey"] == carols["sortKey"] < mark["sortKey"]
    assert uncovered["node"]["enteredAt"] == carols["node"]["enteredAt"]
    assert uncovered["node"]["enteredAt"] > bobs["node"]["enteredAt"]


async def test_a_repost_of_a_hidden_post_is_told_neither_when_it_comes_nor_when_it_goes(
    server: Server, alice: Person, bob: Person, mallory: Person
) -> None:
    await bob.follows(alice)
    post = await mallory.posts("for some")
    await mallory.blocks(bob)
    async with watching(server, bob) as stream:
        await alice.reposts(post)
        await alice.likes(post)
        await alice.undoes_repost(post)
        await mallory.deletes(post)
        await bob.posts("mark")
        assert await before_post(stream, "mark") == []
    assert len(stream.events) == 2


async def test_likes_are_told_at_most_once_a_second_and_end_true(
    server: Server, alice: Person, bob: Person, carol: Person, stored: Oracle
) -> None:
    await bob.follows(alice)
    post = await alice.posts("likeable")
    async with watching(server, bob) as stream:
        watch = Stopwatch()
        for _ in range(10):
            for fan in (alice, bob, carol):
                await fan.likes(post)
                await fan.unlikes(post)
        await alice.likes(post)
        await carol.likes(post)
        told = await counters(stream, "likeable", likeCount=2)
        assert len(told) <= 2 + watch.whole_seconds()
    assert await stored.count("log", "kind = 'post_changed'") <= 2 + watch.whole_seconds()


async def test_one_change_is_told_once_to_somebody_who_follows_author_and_reposters(
    server: Server, alice: Person, bob: Person, carol: Person, stored: Oracle
) -> None:
    dora = await server.sign_up("dora")
    for followed in (alice, bob, carol):
        await dora.follows(followed)
    post = await alice.posts("popular")
    await bob.reposts(post)
    await carol.reposts(post)
    await quiet(server)
    async with watching(server, dora) as stream:
        await alice.likes(post)
        await quiet(server)
        await dora.posts("mark")
        events = await read_until(stream, lambda event: essence(event) == ("added", "mark", None))
    assert [essence(event) for event in events] == [("updated", "popular"), ("added", "mark", None)]
    # The change was told under the author and under both reposters.
    assert await stored.count("changed_posts") == 3


async def test_counters_are_told_to_the_followers_of_a_reposter(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    await carol.follows(bob)
    post = await alice.posts("far away")
    await bob.reposts(post)
    async with watching(server, carol) as stream:
        await alice.likes(post)
        await counters(stream, "far away", likeCount=1, repostCount=1)
        await alice.posts("an answer", to=post)
        await counters(stream, "far away", replyCount=1)


async def test_a_deleted_post_leaves_at_the_followers_of_author_and_reposter(
    server: Server, alice: Person, bob: Person, carol: Person, stored: Oracle
) -> None:
    dora = await server.sign_up("dora")
    await carol.follows(alice)
    await dora.follows(bob)
    post = await alice.posts("regretted")
    await bob.reposts(post)
    (carols,), (doras,) = (await carol.home())["edges"], (await dora.home())["edges"]
    await quiet(server)
    async with watching(server, carol) as at_carol, watching(server, dora) as at_dora:
        await alice.deletes(post)
        assert essence(await at_carol.next()) == ("removed", carols["node"]["id"], post)
        assert essence(await at_dora.next()) == ("removed", doras["node"]["id"], post)
    await quiet(server)
    assert await stored.count("entries") == 0
    assert await stored.count("reposters") == 0
    assert await carol.home_texts() == await dora.home_texts() == []


async def test_a_deleted_reply_corrects_the_count_of_what_it_answered(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    post = await alice.posts("question")
    reply = await alice.posts("answer", to=post)
    async with watching(server, bob) as stream:
        await alice.deletes(reply)
        await counters(stream, "question", replyCount=0)
    assert any(event["__typename"] == "TimelineEntryRemoved" for event in stream.events)


async def test_watching_one_timeline_twice_on_one_socket_tells_both(alice: Person, bob: Person) -> None:
    await bob.follows(alice)
    document = f"subscription {{ {HOME_EVENTS} {{ __typename }} }}"
    async with bob.socket() as socket:
        for id in ("one", "two"):
            await socket.send({"id": id, "type": "subscribe", "payload": {"query": document}})
        caught = {(await socket.receive())["id"], (await socket.receive())["id"]}
        await alice.posts("twice")
        told = {(await socket.receive())["id"], (await socket.receive())["id"]}
    assert caught == told == {"one", "two"}
