"""Many people at the same moment: one wins, once is once, nobody deadlocks, and counters stay true."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable

import pytest

from dataloaders import database
from tests.conftest import Oracle, Server
from tests.live import holds, user_key
from tests.people import PASSWORD, Outcome, Person

MANY = 50

# Each is empty when the counters are what the rows say.
WRONG_COUNTERS = {
    "users": """
        SELECT u.handle FROM users u WHERE
            follower_count <> (SELECT count(*) FROM followers WHERE followee_id = u.id)
            OR following_count <> (SELECT count(*) FROM following WHERE follower_id = u.id)
            OR post_count <> (SELECT count(*) FROM posts WHERE author_id = u.id AND deleted_at IS NULL)
    """,
    "posts": """
        SELECT p.text FROM posts p WHERE deleted_at IS NULL AND (
            like_count <> (SELECT count(*) FROM likes WHERE author_id = p.author_id AND post_id = p.id)
            OR repost_count <> (SELECT count(*) FROM reposters WHERE author_id = p.author_id AND post_id = p.id)
            OR reply_count <> (SELECT count(*) FROM posts r WHERE r.reply_to_author_id = p.author_id
                AND r.reply_to_id = p.id AND r.deleted_at IS NULL))
    """,
    "replies": """
        SELECT parent_author_id, parent_id, author_id, id FROM replies
        EXCEPT SELECT reply_to_author_id, reply_to_id, author_id, id FROM posts WHERE deleted_at IS NULL
    """,
    "following without followers": """
        (SELECT follower_id, followee_id, since_id FROM following
            EXCEPT SELECT follower_id, followee_id, since_id FROM followers)
        UNION ALL (SELECT follower_id, followee_id, since_id FROM followers
            EXCEPT SELECT follower_id, followee_id, since_id FROM following)
    """,
    "blocks without blocked": """
        (SELECT blocker_id, blocked_id, since_id FROM blocks
            EXCEPT SELECT blocker_id, blocked_id, since_id FROM blocked_by)
        UNION ALL (SELECT blocker_id, blocked_id, since_id FROM blocked_by
            EXCEPT SELECT blocker_id, blocked_id, since_id FROM blocks)
    """,
    "follows across a block": """
        SELECT f.follower_id FROM following f JOIN blocks b
            ON (b.blocker_id, b.blocked_id) IN ((f.follower_id, f.followee_id), (f.followee_id, f.follower_id))
    """,
    "entries": """
        (SELECT actor_id, id FROM entries WHERE id = post_id
            EXCEPT SELECT author_id, id FROM posts WHERE deleted_at IS NULL)
        UNION ALL (SELECT author_id, id FROM posts WHERE deleted_at IS NULL
            EXCEPT SELECT actor_id, id FROM entries WHERE id = post_id)
    """,
    "reposts": """
        (SELECT actor_id, id FROM entries WHERE id <> post_id EXCEPT SELECT actor_id, entry_id FROM reposters)
        UNION ALL (SELECT actor_id, entry_id FROM reposters EXCEPT SELECT actor_id, id FROM entries)
    """,
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a crowd may wait longer for a connection than one person should."""
    monkeypatch.setattr(database, "ACQUIRE_TIMEOUT", 60.0)


async def assert_counters_are_true(stored: Oracle) -> None:
    """Counters and pairs of tables agree with the rows they stand for."""
    for what, query in WRONG_COUNTERS.items():
        assert not await stored.rows(query), what


async def crowd(server: Server, size: int) -> list[Person]:
    """People with accounts."""
    return list(await asyncio.gather(*(server.sign_up(f"guest_{nth}") for nth in range(size))))


async def at_once(*calls: Awaitable[Outcome]) -> list[str | None]:
    """What each call was refused with, all of them made at the same moment."""
    return [outcome.refused for outcome in await asyncio.gather(*calls)]


async def test_one_of_fifty_who_want_a_handle_gets_it(server: Server, stored: Oracle) -> None:
    def wishes(nth: int) -> Awaitable[Outcome]:
        return server.passer_by().does(
            "signUp",
            "viewer { handle } tokens { accessToken }",
            handle="Zaynab" if nth % 2 else "zaynab",
            displayName="Zaynab",
            email=f"zaynab{nth}@example.org",
            password=PASSWORD,
        )

    outcomes = await asyncio.gather(*map(wishes, range(MANY)))
    assert Counter(outcome.refused for outcome in outcomes) == {None: 1, "CONFLICT": MANY - 1}
    for outcome in outcomes:
        if outcome.refused:
            assert outcome.payload["userErrors"][0]["field"] == ["input", "handle"]
            assert outcome.payload["viewer"] is outcome.payload["tokens"] is None
        else:
            assert outcome["viewer"] == {"handle": "zaynab"}
    # The others left nothing behind, their e-mail addresses are free.
    for table in ("users", "handles", "emails", "credentials", "sessions"):
        assert await stored.count(table) == 1, table


async def test_one_of_fifty_who_want_an_email_address_gets_it(server: Server, stored: Oracle) -> None:
    def wishes(nth: int) -> Awaitable[Outcome]:
        address = "zaynab@example.org" if nth % 2 else "ZAYNAB@EXAMPLE.ORG"
        return server.passer_by().does(
            "signUp",
            "viewer { handle }",
            handle=f"zaynab{nth}",
            displayName="Zaynab",
            email=address,
            password=PASSWORD,
        )

    refused = await at_once(*map(wishes, range(MANY)))
    assert Counter(refused) == {None: 1, "CONFLICT": MANY - 1}
    for table in ("users", "handles", "emails", "credentials", "sessions"):
        assert await stored.count(table) == 1, table


async def test_fifty_people_like_and_repost_one_post_at_once(
    server: Server, alice: Person, stored: Oracle
) -> None:
    post = await alice.posts("good morning")
    guests = await crowd(server, MANY)
    assert set(await at_once(*(guest.likes(post) for guest in guests))) == {None}
    assert set(await at_once(*(guest.reposts(post) for guest in guests))) == {None}
    (row,) = await stored.rows("SELECT like_count, repost_count FROM posts")
    assert tuple(row) == (MANY, MANY)
    assert await stored.count("likes") == await stored.count("reposters") == MANY
    # Half of them change their minds while the others insist.
    halves = [guest.unlikes(post) if nth % 2 else guest.likes(post) for nth, guest in enumerate(guests)]
    halves += [
        guest.undoes_repost(post) if nth % 2 else guest.reposts(post) for nth, guest in enumerate(guests)
    ]
    assert set(await at_once(*halves)) == {None}
    (row,) = await stored.rows("SELECT like_count, repost_count FROM posts")
    assert tuple(row) == (MANY // 2, MANY // 2)
    await assert_counters_are_true(stored)


async def test_one_person_who_likes_and_reposts_fifty_times_did_it_once(
    alice: Person, bob: Person, stored: Oracle
) -> None:
    post = await alice.posts("good morning")
    for act, state in ((bob.likes, (1, 0)), (bob.reposts, (1, 1)), (bob.unlikes, (0, 1))):
        assert set(await at_once(*(act(post) for _ in range(MANY)))) == {None}
        (row,) = await stored.rows("SELECT like_count, repost_count FROM posts")
        assert tuple(row) == state
    assert await stored.count("entries", "id <> post_id") == 1
    assert set(await at_once(*(bob.undoes_repost(post) for _ in range(MANY)))) == {None}
    assert await stored.count("entries", "id <> post_id") == await stored.count("reposters") == 0
    await assert_counters_are_true(stored)


async def test_fifty_calls_with_one_key_write_one_post(alice: Person, bob: Person, stored: Oracle) -> None:
    parent = await bob.posts("any questions?")
    for written, (text, to) in enumerate((("good morning", None), ("a reply", parent)), 1):
        key = f"draft {written}"
        made = await asyncio.gather(*(alice.tries_to_post(text, to=to, key=key) for _ in range(MANY)))
        assert len({outcome["post"]["id"] for outcome in made}) == 1
        assert len({outcome["timelineEdge"]["cursor"] for outcome in made}) == 1
        assert await stored.count("posts", f"author_id = {user_key(alice)}") == written
    await assert_counters_are_true(stored)


async def test_one_key_for_two_texts_at_once_writes_one_of_them(alice: Person, stored: Oracle) -> None:
    calls = (alice.tries_to_post(f"text {nth % 2}", key="one key") for nth in range(MANY))
    made = await asyncio.gather(*calls)
    (row,) = await stored.rows("SELECT text FROM posts")
    for nth, outcome in enumerate(made):
        assert outcome.refused == (None if row["text"] == f"text {nth % 2}" else "CONFLICT")


async def test_follows_and_blocks_in_both_directions_never_deadlock(server: Server, stored: Oracle) -> None:
    people = await crowd(server, 6)
    chance = random.Random(20261122)
    refused: set[str | None] = set()
    for _ in range(5):
        steps = []
        for _ in range(MANY):
            one, other = chance.sample(people, 2)
            ties = (one.follows, one.follows, one.follows, one.unfollows, one.blocks, one.unblocks)
            steps.append(chance.choice(ties)(other))
        refused |= set(await at_once(*steps))
        await assert_counters_are_true(stored)
    # Not there (blocked by them) or blocked by oneself; a deadlock would have been an error of the answer.
    assert refused == {None, "NOT_FOUND", "CONFLICT"}


async def test_two_who_block_each_other_at_once_are_rid_of_each_other(
    alice: Person, bob: Person, stored: Oracle
) -> None:
    for _ in range(5):
        await asyncio.gather(alice.follows(bob), bob.follows(alice))
        assert await stored.count("following") == 2
        calls = [alice.blocks(bob), bob.blocks(alice), alice.follows(bob), bob.follows(alice)]
        refused = await at_once(*calls)
        # Whoever comes second may find nobody there any more; nobody follows afterwards.
        assert set(refused[:2]) <= {None, "NOT_FOUND"}
        assert await stored.count("following") == await stored.count("followers") == 0
        assert await stored.count("blocks") >= 1
        await assert_counters_are_true(stored)
        await asyncio.gather(alice.unblocks(bob), bob.unblocks(alice))
        assert await stored.count("blocks") == await stored.count("blocked_by") == 0


async def test_one_follower_fifty_times_is_one_follower(alice: Person, bob: Person, stored: Oracle) -> None:
    for act, count in ((bob.follows, 1), (bob.unfollows, 0)):
        assert set(await at_once(*(act(alice) for _ in range(MANY)))) == {None}
        assert await stored.count("following") == await stored.count("followers") == count
        await assert_counters_are_true(stored)
    assert await stored.count("outbox") + await stored.count("log") == 2, "announced once each"


async def test_replies_and_deletions_at_once_leave_true_counters(server: Server, stored: Oracle) -> None:
    people = await crowd(server, 5)
    chance = random.Random(7)
    posts = [(person, await person.posts(f"by {person.handle}")) for person in people]
    for _, parent in list(posts):
        replies = await asyncio.gather(*(person.posts("a reply", to=parent) for person in people))
        posts += zip(people, replies, strict=True)
    steps: list[Awaitable[Outcome]] = []
    for author, post in posts[::2]:
        others = chance.sample(people, 2)
        steps += [other.tries_to_post("late reply", to=post) for other in others]
        steps += [chance.choice((other.likes, other.reposts, other.unlikes))(post) for other in people]
        if chance.random() < 0.6:
            steps += [author.deletes(post), author.deletes(post)]
    chance.shuffle(steps)
    refused = Counter(await at_once(*steps))
    assert set(refused) == {None, "NOT_FOUND"}
    await assert_counters_are_true(stored)
    assert await stored.count("posts", "deleted_at IS NOT NULL") > 0
    assert await stored.count("replies") > 0


async def test_a_block_and_replies_at_once_leave_no_reply_after_the_block(
    server: Server, alice: Person, mallory: Person, stored: Oracle
) -> None:
    post = await alice.posts("good morning")

    async def writes(nth: int) -> Outcome:
        return await mallory.tries_to_post(f"insult {nth}", to=post)

    async def blocks() -> Outcome:
        # In the middle of it: some have been written.
        async def begun() -> bool:
            return await stored.count("replies") > 0

        await holds(begun)
        return await alice.blocks(mallory)

    refused = await at_once(blocks(), *map(writes, range(MANY)))
    assert set(refused) <= {None, "NOT_FOUND"}
    written = await stored.count("replies")
    assert written == refused[1:].count(None)
    (since,) = await stored.rows("SELECT since_id FROM blocks")
    assert await stored.count("replies", f"id > {since['since_id']}") == 0
    assert (await mallory.tries_to_post("one more", to=post)).refused == "NOT_FOUND"
    assert await stored.count("replies") == written
    await assert_counters_are_true(stored)


@pytest.mark.parametrize("size", [1, 100])
async def test_posts_at_once_are_all_there_once(alice: Person, stored: Oracle, size: int) -> None:
    await asyncio.gather(*(alice.posts(f"post {nth}") for nth in range(size)))
    texts = await alice.home_texts(first=100)
    assert sorted(texts) == sorted(f"post {nth}" for nth in range(size))
    await assert_counters_are_true(stored)
