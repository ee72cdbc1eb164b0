"""The client's own key for a draft: the same call again gives the first post back, for 24 hours."""

import pytest

from dataloaders.rows import PostKey
from resolvers.ids import post_gid
from tests.conftest import Oracle
from tests.live import user_key
from tests.people import Person


async def age(stored: Oracle, post_author: Person, hours: float) -> None:
    """Make all posts of somebody so much older; a post's time is in its id."""
    (row,) = await stored.rows(
        "UPDATE posts SET id = id - ($2::float8 * 3600 * 1000000)::bigint * 2048 WHERE author_id = $1 RETURNING id",
        *(user_key(post_author), hours),
    )
    await stored.rows(
        "UPDATE entries SET id = $2, post_id = $2 WHERE actor_id = $1", user_key(post_author), row["id"]
    )


async def test_the_same_call_again_gives_the_first_post_back(
    alice: Person, bob: Person, stored: Oracle
) -> None:
    first = await alice.tries_to_post("cafe\u0301\r\n", key="draft")
    # The text as it is stored, and as it was typed.
    for text in ("cafe\u0301\r\n", "caf\u00e9\n"):
        again = await alice.tries_to_post(text, key="draft")
        assert again["post"]["id"] == first["post"]["id"]
        assert again["timelineEdge"] == first["timelineEdge"]
        assert again["post"]["idempotencyKey"] == "draft"
    assert await stored.count("posts") == 1
    # Somebody else's key is another key.
    assert (await bob.tries_to_post("caf\u00e9\n", key="draft"))["post"]["id"] != first["post"]["id"]
    assert await stored.count("posts") == 2


async def test_a_reply_again_is_given_back_also_when_its_parent_is_gone(
    alice: Person, bob: Person, stored: Oracle
) -> None:
    parent = await alice.posts("any questions?")
    reply = (await bob.tries_to_post("why?", to=parent, key="draft"))["post"]["id"]
    assert (await bob.tries_to_post("why?", to=parent, key="draft"))["post"]["id"] == reply
    await alice.deletes(parent)
    assert (await bob.tries_to_post("why?", to=parent, key="draft"))["post"]["id"] == reply
    assert await stored.count("posts", "deleted_at IS NULL") == 1


async def test_anything_else_under_the_key_is_a_conflict(alice: Person, bob: Person, stored: Oracle) -> None:
    parent, other = await bob.posts("one"), await bob.posts("two")
    await alice.posts("a reply", to=parent, key="draft")
    for text, to in (("another reply", parent), ("a reply", other), ("a reply", None), ("a reply ", parent)):
        refused = await alice.tries_to_post(text, to=to, key="draft")
        [error] = refused.payload["userErrors"]
        assert (error["code"], error["field"]) == ("CONFLICT", ["input", "idempotencyKey"])
        assert refused.payload["post"] is refused.payload["timelineEdge"] is None
    assert await stored.count("posts", f"author_id = {user_key(alice)}") == 1
    # Keys are compared as they are: case and composition count.
    for key in ("Draft", "draft ", "drafte\u0301", "draft\u00e9"):
        await alice.posts("a reply", to=parent, key=key)
    assert await stored.count("posts", f"author_id = {user_key(alice)}") == 5


ABSENT = post_gid(PostKey(12345, 67890))


@pytest.mark.parametrize("absent", [ABSENT, "", "no ID", "\0", "an account's"])
async def test_an_id_that_is_none_is_as_if_its_post_did_not_exist(
    alice: Person, bob: Person, stored: Oracle, absent: str
) -> None:
    to = bob.id if absent == "an account's" else absent
    await alice.posts("good morning", key="used")
    for key, code, field in (
        ("used", "CONFLICT", "idempotencyKey"),
        ("free", "NOT_FOUND", "replyToId"),
        (None, "NOT_FOUND", "replyToId"),
    ):
        refused = await alice.tries_to_post("good morning", to=to, key=key)
        [error] = refused.payload["userErrors"]
        assert (error["code"], error["field"]) == (code, ["input", field])
    assert await stored.count("posts") == 1
    # What was refused used up no key.
    await alice.posts("good evening", key="free")


async def test_after_its_deletion_the_key_finds_nothing(alice: Person, stored: Oracle) -> None:
    post = await alice.posts("good morning", key="draft")
    await alice.deletes(post)
    for text in ("good morning", "good evening"):
        refused = await alice.tries_to_post(text, key="draft")
        [error] = refused.payload["userErrors"]
        assert (error["code"], error["field"]) == ("NOT_FOUND", ["input", "idempotencyKey"])
    assert await stored.count("posts", "deleted_at IS NULL") == 0
    assert await alice.home_texts() == []


async def test_a_key_is_free_again_after_a_day(alice: Person, stored: Oracle) -> None:
    await alice.posts("good morning", key="draft")
    await age(stored, alice, hours=23.9)
    (home,) = (await alice.home())["edges"]
    held = home["node"]["post"]["id"]
    assert (await alice.tries_to_post("good morning", key="draft"))["post"]["id"] == held
    assert (await alice.tries_to_post("good evening", key="draft")).refused == "CONFLICT"
    shown = "query ($id: ID!) { node(id: $id) { ... on Post { text idempotencyKey } } }"
    assert (await alice.asks(shown, id=held)).data["node"]["idempotencyKey"] == "draft"
    await age(stored, alice, hours=0.2)
    (home,) = (await alice.home())["edges"]
    old = home["node"]["post"]["id"]
    assert (await alice.asks(shown, id=old)).data["node"] == {"text": "good morning", "idempotencyKey": None}
    # The same text or another: it is a new post, and the key is the new one's.
    new = await alice.tries_to_post("good evening", key="draft")
    assert new["post"]["id"] != old
    assert await alice.home_texts() == ["good evening", "good morning"]
    assert (await alice.tries_to_post("good evening", key="draft"))["post"]["id"] == new["post"]["id"]
    assert (await alice.tries_to_post("good morning", key="draft")).refused == "CONFLICT"
    assert await stored.count("posts") == 2


async def test_a_deleted_posts_key_is_free_again_after_a_day(alice: Person, stored: Oracle) -> None:
    await alice.posts("good morning", key="draft")
    await age(stored, alice, hours=24.1)
    (home,) = (await alice.home())["edges"]
    await alice.deletes(home["node"]["post"]["id"])
    await alice.posts("good morning", key="draft")
    assert await alice.home_texts() == ["good morning"]
    assert await stored.count("posts", "deleted_at IS NULL") == 1


async def test_the_key_is_its_authors_alone(alice: Person, bob: Person, passer_by: Person) -> None:
    post = await alice.posts("good morning", key="draft")
    await bob.follows(alice)
    shown = "query ($id: ID!) { node(id: $id) { ... on Post { idempotencyKey } } }"
    keys = [
        (await who.asks(shown, id=post)).data["node"]["idempotencyKey"] for who in (alice, bob, passer_by)
    ]
    assert keys == ["draft", None, None]


async def test_a_key_outside_the_rules_is_refused(alice: Person, stored: Oracle) -> None:
    for key in ("", "x" * 129, "nul\0", "line\n", "\ud83d", "\x85"):
        refused = await alice.tries_to_post("good morning", key=key)
        [error] = refused.payload["userErrors"]
        assert (error["code"], error["field"]) == ("INVALID", ["input", "idempotencyKey"])
    assert await stored.count("posts") == 0
    for key in ("x" * 128, "😀" * 128, " "):
        await alice.posts("good morning", key=key)
    assert await stored.count("posts") == 3
