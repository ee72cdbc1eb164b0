"""Posts: what is stored of a text, who sees it, counters that are the same for everybody, and deleting."""

import asyncio
import unicodedata
from typing import Any

import pytest

from dataloaders.rows import PostKey
from resolvers.ids import post_gid
from tests.conftest import Oracle, Server
from tests.people import POST, Outcome, Person

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
ABSENT = post_gid(PostKey(12345, 67890))


async def read(person: Person, id: str, fields: str = POST) -> dict[str, Any] | None:
    """The post as the person sees it."""
    answer = await person.asks(
        f"query ($id: ID!) {{ node(id: $id) {{ ... on Post {{ {fields} }} }} }}", id=id
    )
    found: dict[str, Any] | None = answer.data["node"]
    return found


async def counts(person: Person, id: str) -> tuple[int, int, int]:
    """Likes, reposts and replies, as the person sees them."""
    found = await read(person, id, "likeCount repostCount replyCount")
    assert found is not None
    return found["likeCount"], found["repostCount"], found["replyCount"]


async def posts_counted(person: Person, handle: str) -> int:
    answer = await person.asks(
        "query ($handle: String!) { user(handle: $handle) { postCount } }", handle=handle
    )
    count: int = answer.data["user"]["postCount"]
    return count


@pytest.mark.parametrize(
    ("typed", "kept", "direction"),
    [
        ("good morning", "good morning", "LTR"),
        ("صباح الخير", "صباح الخير", "RTL"),
        ("🌞 123 …", "🌞 123 …", "NEUTRAL"),
        ("@alice https://example.org/ #صباح", "@alice https://example.org/ #صباح", "RTL"),
        ("1. صباح good", "1. صباح good", "RTL"),
        ("cafe\u0301", "caf\u00e9", "LTR"),
        ("\u212b", "\u00e5".upper(), "LTR"),
        ("one\r\ntwo\n\nthree", "one\ntwo\n\nthree", "LTR"),
        ("  indented \n", "  indented \n", "LTR"),
        ("\u2067שלום\u2069", "\u2067שלום\u2069", "NEUTRAL"),
    ],
)
async def test_a_text_is_kept_as_written_in_its_one_form(
    alice: Person, stored: Oracle, typed: str, kept: str, direction: str
) -> None:
    made = (await alice.tries_to_post(typed))["post"]
    assert (made["text"], made["textDirection"]) == (kept, direction)
    assert unicodedata.is_normalized("NFC", made["text"])
    found = await read(alice, made["id"])
    assert found is not None
    assert (found["text"], found["textDirection"]) == (kept, direction)
    [row] = await stored.rows("SELECT text, direction FROM posts")
    assert tuple(row) == (kept, direction)


@pytest.mark.parametrize(
    "text",
    ["x" * 500, FAMILY * 500, "e\u0301" * 500, "\n" * 499 + "x", "نص " * 166 + "نص", "a" + "\u0316" * 4999],
    ids=["letters", "families", "accents", "lines", "arabic", "one letter with 4,999 marks"],
)
async def test_a_text_at_the_edge_is_let_in(alice: Person, text: str) -> None:
    made = (await alice.tries_to_post(text))["post"]
    assert made["text"] == unicodedata.normalize("NFC", text)
    assert await alice.home_texts() == [made["text"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "\u200b\u2800",
        "x" * 501,
        FAMILY * 501,
        "a" + "\u0316" * 5000,
        "tab\there",
        "bell\a",
        "nul\0",
        "lone \r return",
        "lone surrogate \ud83c",
        "\u202eright to left without an end",
        "\u2069closes what it did not open",
        "\u2067over a\nline\u2069",
    ],
    ids=lambda text: ascii(text[:12]),
)
async def test_a_text_outside_the_rules_is_refused_and_nothing_happens(
    alice: Person, stored: Oracle, text: str
) -> None:
    refused = await alice.tries_to_post(text)
    [error] = refused.payload["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID", ["input", "text"])
    assert error["message"]
    assert refused.payload["post"] is None
    assert refused.payload["timelineEdge"] is None
    for table in ("posts", "entries", "outbox", "log"):
        assert await stored.count(table) == 0
    assert await posts_counted(alice, "alice") == 0


async def test_a_new_post_is_handed_back_as_the_timelines_show_it(alice: Person, bob: Person) -> None:
    await bob.follows(alice)
    made = await alice.tries_to_post("good morning", key="draft-1")
    edge = made["timelineEdge"]
    [home] = (await alice.home())["edges"]
    assert edge == home
    assert made["post"]["idempotencyKey"] == "draft-1"
    assert made["post"]["createdAt"].endswith("Z")
    [at_bobs] = (await bob.home())["edges"]
    assert (at_bobs["node"], at_bobs["sortKey"], at_bobs["cursor"]) == (
        home["node"],
        home["sortKey"],
        home["cursor"],
    )
    # The key is its author's alone.
    assert await read(bob, made["post"]["id"], "idempotencyKey") == {"idempotencyKey": None}
    assert await read(alice, made["post"]["id"], "idempotencyKey") == {"idempotencyKey": "draft-1"}


async def test_counters_are_the_same_whoever_looks(
    server: Server, alice: Person, bob: Person, carol: Person, mallory: Person
) -> None:
    post = await alice.posts("good morning")
    for person in (bob, carol, mallory):
        await person.likes(post)
        await person.reposts(post)
        await person.posts("and to you", to=post)
    # What Bob and Mallory hide from each other is hidden, and still counts.
    await bob.blocks(mallory)
    for viewer in (alice, bob, carol, mallory, server.passer_by()):
        assert await counts(viewer, post) == (3, 3, 3)
    replies = await read(bob, post, "replies { edges { node { author { handle } } } }")
    assert replies is not None
    assert [edge["node"]["author"]["handle"] for edge in replies["replies"]["edges"]] == ["bob", "carol"]
    flags = "viewerHasLiked viewerHasReposted"
    assert await read(bob, post, flags) == {"viewerHasLiked": True, "viewerHasReposted": True}
    for viewer in (alice, server.passer_by()):
        assert await read(viewer, post, flags) == {"viewerHasLiked": False, "viewerHasReposted": False}


async def test_post_count_is_posts_and_replies_and_not_reposts(alice: Person, bob: Person) -> None:
    theirs = await bob.posts("good morning")
    own = await alice.posts("a post")
    reply = await alice.posts("a reply", to=theirs)
    await alice.reposts(theirs)
    await alice.reposts(own)
    assert await posts_counted(bob, "alice") == 2
    await alice.undoes_repost(theirs)
    await alice.deletes(reply)
    assert await posts_counted(bob, "alice") == 1
    await alice.deletes(reply)
    await alice.deletes(own)
    assert await posts_counted(bob, "alice") == 0


async def test_reply_count_is_direct_replies_that_are_there(alice: Person, bob: Person) -> None:
    post = await alice.posts("good morning")
    first, second = await bob.posts("one", to=post), await alice.posts("two", to=post)
    below = await alice.posts("below", to=first)
    assert (await counts(bob, post))[2] == 2
    assert (await counts(bob, first))[2] == 1
    await bob.deletes(first)
    await bob.deletes(first)
    assert (await counts(bob, post))[2] == 1
    await alice.deletes(below)
    await alice.deletes(second)
    assert (await counts(bob, post))[2] == 0


async def test_doing_twice_is_doing_once(alice: Person, bob: Person, stored: Oracle) -> None:
    post = await alice.posts("good morning")
    outcomes = [
        await act(subject)
        for act, subject in [
            (bob.likes, post),
            (bob.likes, post),
            (bob.reposts, post),
            (bob.reposts, post),
        ]
    ]
    assert outcomes[0]["post"] == outcomes[1]["post"]
    assert outcomes[2]["post"] == outcomes[3]["post"]
    assert await counts(alice, post) == (1, 1, 0)
    assert await stored.count("entries", "id <> post_id") == 1
    twice = [await bob.follows(alice), await bob.follows(alice)]
    assert twice[0]["user"] == twice[1]["user"]
    assert twice[1]["user"]["followerCount"] == 1
    for table in ("likes", "reposters", "following", "followers"):
        assert await stored.count(table) == 1, table


async def test_undoing_what_is_not_there_succeeds(alice: Person, bob: Person, stored: Oracle) -> None:
    post = await alice.posts("good morning")
    for _ in range(2):
        assert (await bob.unlikes(post))["post"]["likeCount"] == 0
        assert (await bob.undoes_repost(post))["post"]["repostCount"] == 0
        assert (await bob.unfollows(alice))["user"]["followerCount"] == 0
        assert not (await bob.unblocks(alice))["user"]["viewerIsBlocking"]
    await bob.likes(post)
    await bob.reposts(post)
    for _ in range(2):
        assert not (await bob.unlikes(post))["post"]["viewerHasLiked"]
        assert not (await bob.undoes_repost(post))["post"]["viewerHasReposted"]
    assert await counts(alice, post) == (0, 0, 0)
    assert await stored.count("entries") == 1


async def test_everybody_at_once_is_counted_once_each(server: Server, alice: Person, stored: Oracle) -> None:
    crowd = [await server.sign_up(f"guest{number}") for number in range(6)]
    post = await alice.posts("good morning")
    acts = [act for guest in crowd for act in (guest.likes, guest.likes, guest.reposts, guest.reposts)]
    replies = [guest.posts("and to you", to=post) for guest in crowd]
    outcomes, answers = await asyncio.gather(
        asyncio.gather(*(act(post) for act in acts)), asyncio.gather(*replies)
    )
    assert all(outcome.refused is None for outcome in outcomes)
    assert await counts(alice, post) == (6, 6, 6)
    undoing = [act(post) for guest in crowd for act in (guest.unlikes, guest.undoes_repost, guest.unlikes)]
    deleting = [guest.deletes(answer) for guest, answer in zip(crowd, answers, strict=True) for _ in range(2)]
    assert all(outcome.refused is None for outcome in await asyncio.gather(*undoing, *deleting))
    assert await counts(alice, post) == (0, 0, 0)
    for table in ("likes", "reposters", "replies"):
        assert await stored.count(table) == 0, table


async def test_a_deleted_post_is_gone_everywhere(
    server: Server, alice: Person, bob: Person, carol: Person, stored: Oracle
) -> None:
    await bob.follows(alice)
    await carol.follows(bob)
    post = await alice.posts("a secret after all")
    made = await alice.posts("stays")
    reply = await bob.posts("what do you mean?", to=post)
    await bob.reposts(post)
    await carol.likes(post)
    assert await carol.home_texts() == ["a secret after all"]
    [reposted] = [edge["node"]["id"] for edge in (await carol.home())["edges"]]
    [entry] = [
        edge["node"]["id"] for edge in (await alice.home())["edges"] if edge["node"]["post"]["id"] == post
    ]
    gone = (await alice.deletes(post))["deletedPostId"]
    assert gone == post
    for viewer in (alice, bob, carol, server.passer_by()):
        for id in (post, entry, reposted):
            assert not await viewer.sees(id)
        texts = [edge["node"]["post"]["text"] for edge in (await viewer.public())["edges"]]
        assert texts == ["stays"]
        own = await viewer.asks('{ user(handle: "alice") { postCount posts { edges { node { id } } } } }')
        assert own.data["user"] == {"postCount": 1, "posts": {"edges": [{"node": {"id": made}}]}}
        assert await read(viewer, reply, "text isReply replyTo { id }") == {
            "text": "what do you mean?",
            "isReply": True,
            "replyTo": None,
        }
    assert await alice.home_texts() == ["stays"]
    assert await bob.home_texts() == ["what do you mean?", "stays"]
    assert await carol.home_texts() == []
    [row] = await stored.rows("SELECT text FROM posts WHERE deleted_at IS NOT NULL")
    assert row["text"] == "", "nothing of what it said is kept"


async def test_acting_on_a_deleted_post_is_acting_on_nothing(
    alice: Person, bob: Person, stored: Oracle
) -> None:
    post = await alice.posts("a secret after all")
    await bob.likes(post)
    await alice.deletes(post)
    before = [
        await stored.rows(f"SELECT * FROM {table}") for table in ("posts", "entries", "likes", "reposters")
    ]
    for person in (alice, bob):
        for act in (person.likes, person.unlikes, person.reposts, person.undoes_repost):
            assert (await act(post)).payload == (await act(ABSENT)).payload
            assert (await act(post)).refused == "NOT_FOUND"
        answered = await person.tries_to_post("too late", to=post)
        assert answered.refused == "NOT_FOUND"
        assert answered.payload["userErrors"][0]["field"] == ["input", "replyToId"]
    assert (await bob.deletes(post)).refused == "NOT_FOUND"
    # The author has said so already, and may say it again.
    for _ in range(2):
        assert (await alice.deletes(post))["deletedPostId"] == post
    after = [
        await stored.rows(f"SELECT * FROM {table}") for table in ("posts", "entries", "likes", "reposters")
    ]
    assert after == before


async def test_only_the_author_deletes(
    alice: Person, mallory: Person, passer_by: Person, stored: Oracle
) -> None:
    post = await alice.posts("good morning")
    refused = await mallory.deletes(post)
    [error] = refused.payload["userErrors"]
    assert (error["code"], error["field"]) == ("FORBIDDEN", ["input", "postId"])
    answer = await passer_by.asks(
        "mutation ($id: ID!) { deletePost(input: {postId: $id}) { deletedPostId } }", id=post
    )
    assert answer.error_codes == ["UNAUTHENTICATED"]
    await alice.blocks(mallory)
    assert (await mallory.deletes(post)).payload == (await mallory.deletes(ABSENT)).payload
    assert (await mallory.deletes(post)).refused == "NOT_FOUND"
    assert await stored.count("posts", "deleted_at IS NULL") == 1
    assert await alice.home_texts() == ["good morning"]


async def test_every_payload_has_a_result_or_a_user_error(alice: Person, bob: Person) -> None:
    """Never both and never neither, for everything that can be done to posts and accounts."""
    post = await alice.posts("good morning")
    own = await bob.posts("mine")

    async def outcomes() -> list[tuple[str, Outcome]]:
        made = [("post", await bob.tries_to_post("hello")), ("post", await bob.tries_to_post(""))]
        for act in (bob.likes, bob.unlikes, bob.reposts, bob.undoes_repost):
            made += [("post", await act(id)) for id in (post, ABSENT, "nonsense", alice.id)]
        made += [("deletedPostId", await bob.deletes(id)) for id in (own, post, ABSENT, "nonsense")]
        nobody = Person(alice.url, alice.http, id="nonsense")
        for tie in (bob.follows, bob.unfollows, bob.blocks, bob.follows, bob.unblocks):
            made += [("user", await tie(person)) for person in (alice, bob, nobody)]
        return made

    seen = set()
    for result, outcome in await outcomes():
        assert (outcome.payload[result] is None) is (outcome.refused is not None), outcome
        seen.add(outcome.refused)
    assert seen == {None, "INVALID", "NOT_FOUND", "FORBIDDEN", "CONFLICT"}


async def test_nobody_follows_or_blocks_themselves(alice: Person, stored: Oracle) -> None:
    for act in (alice.follows, alice.blocks):
        refused = await act(alice)
        [error] = refused.payload["userErrors"]
        assert (error["code"], error["field"]) == ("INVALID", ["input", "userId"])
    for table in ("following", "followers", "blocks", "blocked_by"):
        assert await stored.count(table) == 0
