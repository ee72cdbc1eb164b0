"""Coming back with a cursor: nothing lost, nothing twice, in order; or it is said that nothing can be proved."""

from functools import partial
from typing import Any

import pytest

from resolvers import live
from resolvers.timelines import HOME, PUBLIC
from tests.conftest import Oracle, Server
from tests.live import (
    PUBLIC_EVENTS,
    Event,
    before_post,
    essence,
    late_transaction,
    quiet,
    read_until,
    watching,
)
from tests.people import Person, Stream

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

CAUGHT_UP = ("caught up",)
RESET = ("reset",)


async def replayed(stream: Stream) -> list[tuple[Any, ...]]:
    """What comes up to LiveCaughtUp, without news of counters."""
    events = await read_until(stream, lambda event: essence(event) == CAUGHT_UP)
    return [essence(event) for event in events[:-1] if essence(event)[0] != "updated"]


async def resumed(person: Person, cursor: str, watched: str = "homeTimelineEvents") -> list[tuple[Any, ...]]:
    """What somebody is told who comes back with the cursor."""
    async with person.watches(watched, after=cursor) as stream:
        return await replayed(stream)


def _says(text: str, event: Event) -> bool:
    return text in str(event)


async def test_there_is_always_a_caught_up_also_when_nothing_was_missed(alice: Person) -> None:
    cursor = (await alice.home())["liveCursor"]
    async with alice.watches(after=cursor) as stream:
        assert essence(await stream.next()) == CAUGHT_UP
    async with alice.watches() as stream:
        assert essence(await stream.next()) == CAUGHT_UP
        again = stream.events[-1]["liveCursor"]
    assert await resumed(alice, again) == []


async def test_page_then_away_then_live_is_everything_once_and_in_order(
    server: Server, alice: Person, bob: Person
) -> None:
    await bob.follows(alice)
    await quiet(server)
    page = await bob.home()
    for nth in range(5):
        await alice.posts(f"away {nth}")
    heard: list[Event] = []
    cursor = page["liveCursor"]
    for nth in range(3):
        async with bob.watches(after=cursor) as stream:
            await alice.posts(f"live {nth}")
            text = f"live {nth}"
            heard += await read_until(stream, partial(_says, text))
            cursor = heard[-1]["liveCursor"]
        await alice.posts(f"between {nth}")
    async with bob.watches(after=cursor) as stream:
        heard += await read_until(stream, lambda event: "between 2" in str(event))
    assert [essence(event)[1] for event in heard if essence(event)[0] == "added"] == [
        *(f"away {nth}" for nth in range(5)),
        *("live 0", "between 0", "live 1", "between 1", "live 2", "between 2"),
    ]


async def test_every_events_cursor_resumes_right_after_it(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    dora = await server.sign_up("dora")
    await dora.follows(bob)
    await dora.follows(carol)
    post = await alice.posts("worth it")
    await bob.reposts(post)
    await carol.reposts(post)
    gone = await bob.posts("regretted")
    async with watching(server, dora) as stream:
        first = stream.events[-1]["liveCursor"]
        await bob.posts("one")
        await carol.posts("two")
        await bob.undoes_repost(post)  # one event that means two: bob's repost leaves, carol's comes
        await carol.posts("three")
        await bob.deletes(gone)
        await dora.posts("mark")
        told = await read_until(stream, lambda event: "mark" in str(event))
    told = [event for event in told if essence(event)[0] != "updated"]
    meanings = [essence(event) for event in told]
    assert [meaning[0] for meaning in meanings] == [
        *("added", "added", "removed", "added", "added", "removed", "added")
    ]
    assert await resumed(dora, first) == meanings
    for nth, event in enumerate(told):
        # Before the last of several things that one event means, its cursor repeats it whole.
        rest = meanings[nth:] if nth == 2 else meanings[nth + 1 :]
        assert await resumed(dora, event["liveCursor"]) == rest


async def test_the_public_timeline_resumes_past_many_events_and_ties_of_the_viewer(
    server: Server, alice: Person, bob: Person, stored: Oracle, database: str
) -> None:
    cursor = (await bob.public())["liveCursor"]
    many = live.TOGETHER + 10
    async with late_transaction(database) as late:
        for nth in range(many):
            await late.posts(alice, f"post {nth}")
            if nth == 5:
                # Following changes nothing here, and must not make a full chunk look like the last one.
                await late.announces((await stored.rows("SELECT 1"))[0][0], "ties_changed", False, {})
        await late.connection.execute(
            "INSERT INTO outbox (owner_id, kind, public, data)"
            " SELECT user_id, 'ties_changed', false, '{\"block\": false}' FROM handles WHERE handle = 'bob'"
        )
        for nth in range(many, 2 * many):
            await late.posts(alice, f"post {nth}")
    await quiet(server)
    assert await resumed(bob, cursor, PUBLIC_EVENTS) == [
        ("added", f"post {nth}", None) for nth in range(2 * many)
    ]


async def test_a_block_while_away_resets_the_public_timeline_also_after_many_own_events(
    server: Server, alice: Person, bob: Person, stored: Oracle, database: str
) -> None:
    cursor = (await bob.public())["liveCursor"]
    async with late_transaction(database) as late:
        for _ in range(live.TOGETHER + 10):
            await late.announces(
                (await stored.rows("SELECT user_id FROM handles WHERE handle = 'bob'"))[0][0],
                *("post_changed", False, {"post": [1, 1]}),
            )
    await bob.blocks(alice)
    await quiet(server)
    assert await resumed(bob, cursor, PUBLIC_EVENTS) == [RESET]


async def test_a_follow_while_away_resets(server: Server, alice: Person, bob: Person) -> None:
    cursor = (await bob.home())["liveCursor"]
    await bob.follows(alice)
    await quiet(server)
    async with bob.watches(after=cursor) as stream:
        assert await replayed(stream) == [RESET]
        await alice.posts("mark")
        assert await before_post(stream, "mark") == []


@pytest.mark.parametrize("kind", [HOME, PUBLIC])
async def test_cursors_from_which_nothing_can_be_proved_reset(
    server: Server, alice: Person, stored: Oracle, kind: str
) -> None:
    watched = "homeTimelineEvents" if kind == HOME else PUBLIC_EVENTS
    for nth in range(4):
        await alice.posts(f"post {nth}")
    await quiet(server)
    ((epoch, number),) = await stored.rows("SELECT epoch, number FROM sequencers")
    assert await resumed(alice, live.live_cursor(kind, epoch, number), watched) == []
    for other in (
        live.live_cursor(kind, epoch, number + 1),
        live.live_cursor(kind, epoch, 10**17),
        live.live_cursor(kind, "0ther000", number),
    ):
        async with alice.watches(watched, after=other) as stream:
            assert await replayed(stream) == [RESET]
            # The stream goes on, and its cursors are good again.
            await alice.posts("more")
            event = await stream.next()
            assert essence(event) == ("added", "more", None)
        assert await resumed(alice, event["liveCursor"], watched) == []
        await quiet(server)


async def test_a_trimmed_log_resets_only_those_who_missed_what_was_trimmed(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.recent.KEPT", 0)
    for nth in range(4):
        await alice.posts(f"post {nth}")
    await quiet(server)
    ((epoch, number),) = await stored.rows("SELECT epoch, number FROM sequencers")
    await stored.rows("DELETE FROM log WHERE number <= $1", number - 2)
    await stored.rows("UPDATE sequencers SET floor = number - 2")
    reached = [live.live_cursor(HOME, epoch, number - missed) for missed in (0, 1, 2, 3)]
    assert await resumed(alice, reached[0]) == []
    assert await resumed(alice, reached[1]) == [("added", "post 3", None)]
    assert await resumed(alice, reached[2]) == [("added", "post 2", None), ("added", "post 3", None)]
    assert await resumed(alice, reached[3]) == [RESET]
    await stored.rows("DELETE FROM log")
    await stored.rows("UPDATE sequencers SET floor = number")
    assert await resumed(alice, reached[0]) == []
    assert await resumed(alice, reached[1]) == [RESET]


@pytest.mark.parametrize("kept", [0, 1_000])
async def test_whoever_missed_too_much_is_reset(
    server: Server, alice: Person, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(live, "MOST_REPLAYED", 3)
    monkeypatch.setattr("app.live.recent.KEPT", kept)
    cursor = (await alice.home())["liveCursor"]
    for nth in range(3):
        await alice.posts(f"post {nth}")
    await quiet(server)
    assert len(await resumed(alice, cursor)) == 3
    await alice.posts("one too many")
    await quiet(server)
    assert await resumed(alice, cursor) == [RESET]


async def test_a_restored_database_resets_those_who_watch(
    server: Server, alice: Person, stored: Oracle
) -> None:
    async with watching(server, alice) as stream:
        await alice.posts("one")
        await before_post(stream, "one")
        await stored.rows("DELETE FROM log")
        await stored.rows("UPDATE sequencers SET epoch = 'f0e1d2c3', number = 0")
        assert essence(await stream.next()) == RESET
        after = stream.events[-1]["liveCursor"]
        await alice.posts("two")
        assert await before_post(stream, "two") == []
    assert await resumed(alice, after) == [("added", "two", None)]


async def test_a_post_that_was_committed_late_still_arrives(
    server: Server, alice: Person, bob: Person, carol: Person, database: str
) -> None:
    await carol.follows(alice)
    await carol.follows(bob)
    async with watching(server, carol) as stream:
        async with late_transaction(database) as late:
            await late.posts(alice, "began first")
            await bob.posts("began later")
            assert await before_post(stream, "began later") == []
            between = stream.events[-1]["liveCursor"]
            page_between = (await carol.home())["liveCursor"]
        assert await before_post(stream, "began first") == []
    newest, older = stream.events[-1]["edge"], stream.events[-2]["edge"]
    assert newest["sortKey"] < older["sortKey"]
    for cursor in (between, page_between):
        assert await resumed(carol, cursor) == [("added", "began first", None)]
    assert await carol.home_texts() == ["began later", "began first"]


async def test_a_repost_that_was_committed_late_covers_a_later_one(
    server: Server, alice: Person, bob: Person, carol: Person, database: str
) -> None:
    dora = await server.sign_up("dora")
    await dora.follows(bob)
    await dora.follows(carol)
    post = await alice.posts("worth it")
    async with watching(server, dora) as stream:
        async with late_transaction(database) as late:
            await late.reposts(bob, post)
            await carol.reposts(post)
            covered = (await read_until(stream, lambda event: essence(event)[0] == "added"))[-1]["edge"]
            assert covered["node"]["repostedBy"]["handle"] == "carol"
        await quiet(server)
        await dora.posts("mark")
        assert await before_post(stream, "mark") == [
            ("added", "worth it", "bob"),
            ("removed", covered["node"]["id"], None),
        ]
    edges = (await dora.home())["edges"]
    assert [edge["node"]["repostedBy"] for edge in edges] == [None, {"handle": "bob"}]


async def test_what_was_taken_back_meanwhile_is_not_replayed(
    server: Server, alice: Person, bob: Person, carol: Person
) -> None:
    await carol.follows(bob)
    await quiet(server)
    cursor = (await carol.home())["liveCursor"]
    post = await alice.posts("worth it")
    await bob.reposts(post)
    await bob.undoes_repost(post)
    await bob.deletes(await bob.posts("regretted"))
    await quiet(server)
    assert all(meaning[0] == "removed" for meaning in await resumed(carol, cursor))
