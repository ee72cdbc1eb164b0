"""How long somebody may be away and how much they may miss: a day, and ten thousand events."""

from typing import Any

import pytest

from resolvers.live import MOST_REPLAYED
from resolvers.meaning import meaning_of
from tests.conftest import Oracle, Server
from tests.live import before_post, counters, essence, holds, quiet, read_until, user_key, watching
from tests.people import Person

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


async def passes(stored: Oracle, hours: float) -> None:
    """Let time pass for the log."""
    for table in ("log", "changed_posts"):
        await stored.rows(
            f"UPDATE {table} SET logged_at = logged_at - make_interval(secs => $1)", hours * 3600
        )


async def is_trimmed(server: Server) -> None:
    """Wait until the sequencer has dropped what has served its time."""
    sequencer = server.application.parts.hub.sequencer
    sequencer._due["trim"] = 0
    await holds(lambda: sequencer._due["trim"] > 0)
    sequencer._due["trim"] = 0
    await holds(lambda: sequencer._due["trim"] > 0)


async def told(person: Person, cursor: str) -> list[tuple[object, ...]]:
    """What somebody is told who comes back with the cursor."""
    async with person.watches(after=cursor) as stream:
        events = await read_until(stream, lambda event: essence(event) == ("caught up",))
    return [essence(event) for event in events[:-1] if essence(event)[0] != "updated"]


async def test_a_day_away_is_replayed_and_more_is_reset(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing in memory, and partitions of a few events.
    monkeypatch.setattr("app.live.recent.KEPT", 0)
    for name in ("BATCH", "LEAST", "MOST"):
        monkeypatch.setattr(f"app.live.sequencer.{name}", 2)
    sequencer = server.application.parts.hub.sequencer
    await stored.rows("UPDATE sequencers SET number = room - 1 WHERE room > 0")
    await holds(lambda: sequencer._at >= sequencer._room - 1)
    await alice.posts("in a partition of its own")
    await quiet(server)
    cursor = (await alice.home())["liveCursor"]
    for nth in range(6):
        await alice.posts(f"post {nth}")
    await quiet(server)
    everything = [("added", f"post {nth}", None) for nth in range(6)]
    await passes(stored, 23.8)
    await is_trimmed(server)
    assert await told(alice, cursor) == everything
    await passes(stored, 2)
    await is_trimmed(server)
    assert await told(alice, cursor) == [("reset",)]
    assert await stored.count("log") <= 4
    async with watching(server, alice) as stream:
        await alice.posts("later")
        assert await before_post(stream, "later") == []


async def test_who_was_away_while_nothing_happened_is_not_reset(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.recent.KEPT", 0)
    await alice.posts("before")
    await quiet(server)
    await passes(stored, 40)
    cursor = (await alice.home())["liveCursor"]
    await is_trimmed(server)
    await alice.posts("after")
    await quiet(server)
    assert await told(alice, cursor) == [("added", "after", None)]


async def test_what_leaves_memory_while_a_stream_catches_up_is_not_passed_over(
    server: Server, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.recent.KEPT", 4)
    monkeypatch.setattr("resolvers.live.TOGETHER", 2)
    cursor = (await alice.home())["liveCursor"]
    for nth in range(6):
        await alice.posts(f"post {nth}")
    await quiet(server)
    batches = 0

    async def while_it_catches_up(*given: Any) -> Any:
        nonlocal batches
        batches += 1
        # The first two are read from PostgreSQL with all there is, the next two from memory, those behind them no more.
        if batches == 2:
            for nth in range(6, 10):
                await alice.posts(f"post {nth}")
            await quiet(server)
        return await meaning_of(*given)

    monkeypatch.setattr("resolvers.live.meaning_of", while_it_catches_up)
    assert await told(alice, cursor) == [("added", f"post {nth}", None) for nth in range(10)]


@pytest.mark.parametrize("kept", [0, 20_000])
async def test_ten_thousand_missed_events_are_replayed_and_one_more_is_reset(
    server: Server, alice: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr("app.live.recent.KEPT", kept)
    cursor = (await alice.home())["liveCursor"]
    await stored.rows(
        # Posts that are not there any more: what is asked is how much is read.
        "INSERT INTO outbox (owner_id, kind, public, data) SELECT $1::bigint, 'entry_added', true,"
        " jsonb_build_object('entry', jsonb_build_array($1::bigint, nth, $1::bigint, nth, null))"
        " FROM generate_series(1, $2::int) nth",
        *(user_key(alice), MOST_REPLAYED - 1),
    )
    await alice.posts("ten thousandth")
    await quiet(server)
    assert await told(alice, cursor) == [("added", "ten thousandth", None)]
    await alice.posts("one too many")
    await quiet(server)
    assert await told(alice, cursor) == [("reset",)]


async def test_likes_do_not_fill_the_log(server: Server, alice: Person, bob: Person, stored: Oracle) -> None:
    post = await alice.posts("likeable")
    await bob.reposts(post)
    await quiet(server)
    logged = await stored.count("log")
    async with watching(server, alice) as stream:
        for _ in range(2):
            await alice.likes(post)
            await counters(stream, "likeable", likeCount=1)
            await alice.unlikes(post)
            await counters(stream, "likeable", likeCount=0)
    await quiet(server)
    assert await stored.count("log") == logged
    rows = await stored.rows("SELECT owner_id, public FROM changed_posts ORDER BY public")
    assert [tuple(row) for row in rows] == [(user_key(bob), False), (user_key(alice), True)]


async def test_a_post_of_yesterday_sends_no_news_unless_it_came_in_again(
    server: Server, alice: Person, bob: Person, stored: Oracle
) -> None:
    old = await alice.posts("old")
    again = await alice.posts("again")
    await quiet(server)
    day = (26 * 3600 * 1_000_000) << 11
    for table, key in (("posts", "id"), ("entries", "post_id")):
        await stored.rows(f"UPDATE {table} SET {key} = {key} - $1", day)
    await stored.rows("UPDATE entries SET id = post_id")
    edges = (await alice.home())["edges"]
    posts = {edge["node"]["post"]["text"]: edge["node"]["post"]["id"] for edge in edges}
    assert posts["old"] != old
    assert posts["again"] != again
    await bob.reposts(posts["again"])
    await quiet(server)
    async with watching(server, alice) as stream:
        await bob.likes(posts["old"])
        await quiet(server)
        await bob.likes(posts["again"])
        (event,) = await counters(stream, "again", likeCount=1)
        assert not [essence(one) for one in stream.events if essence(one) == ("updated", "old")]
    assert event["post"]["repostCount"] == 1
