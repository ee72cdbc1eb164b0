"""Arguments of pages, cursors and IDs: clear errors for what no client should send, and never a fault of ours."""

import base64
import json
import random
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataloaders.rows import HIGHEST, EntryKey, Position, PostKey
from resolvers import ids
from resolvers.errors import BadInput, InvalidCursor
from resolvers.paging import PageRequest, decode_cursor, encode_cursor, page_request
from tests.conftest import Oracle
from tests.people import Answer, Person

numbers = st.integers(1, HIGHEST - 1)
places = st.builds(Position, numbers, numbers)
kinds = st.sampled_from("hprofg")


@given(kind=kinds, place=places)
def test_a_cursor_says_its_place_and_belongs_to_its_kind_of_list(kind: str, place: Position) -> None:
    cursor = encode_cursor(kind, place)
    assert decode_cursor(kind, cursor) == place
    for other in "hprofg".replace(kind, ""):
        with pytest.raises(InvalidCursor):
            decode_cursor(other, cursor)


def twisted(text: str, chance: random.Random) -> str:
    """The text with something wrong in it."""
    at = chance.randrange(len(text))
    sign = chance.choice("AZaz09-_=+/ \n\0é\U0001f600\u0663")
    return chance.choice(
        [
            text[:at] + sign + text[at + 1 :],
            text[:at] + sign + text[at:],
            text[:at],
            text + "=" * chance.randrange(1, 4),
            text + "A",
            " " + text,
            text.swapcase(),
            text[::-1],
            text * 9,
            base64.urlsafe_b64encode(text.encode()).decode(),
        ]
    )


def other_spelling(text: str) -> str | None:
    """The same bytes in another base64 spelling: the unused bits of the last sign set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = {2: 4, 3: 2}.get(len(text) % 4)
    return None if spare is None else text[:-1] + alphabet[alphabet.index(text[-1]) ^ (1 << (spare - 1))]


@given(kind=kinds, place=places, seed=st.integers())
def test_a_twisted_cursor_is_invalid_or_another_cursor(kind: str, place: Position, seed: int) -> None:
    cursor = encode_cursor(kind, place)
    wrong = twisted(cursor, random.Random(seed))
    try:
        decoded = decode_cursor(kind, wrong)
    except InvalidCursor:
        return
    assert encode_cursor(kind, decoded) == wrong


@given(text=st.text(st.characters(categories=None), max_size=80), kind=kinds)
def test_no_text_whatever_breaks_the_decoders(text: str, kind: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(kind, text)
    assert ids.decode(text) is None or len(text) in (12, 23)


@pytest.mark.parametrize(
    "place", [(-1, 5), (5, -1), (0, 5), (5, 0), (HIGHEST, 5), (5, HIGHEST), (-HIGHEST, HIGHEST)]
)
def test_a_place_where_nothing_can_stand_is_no_cursor(place: tuple[int, int]) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor("h", encode_cursor("h", Position(*place)))


@given(kind=kinds, place=places)
def test_one_place_has_one_spelling(kind: str, place: Position) -> None:
    cursor = encode_cursor(kind, place)
    for spelling in (other_spelling(cursor), cursor + "=", cursor + "\n"):
        if spelling is not None:
            with pytest.raises(InvalidCursor):
                decode_cursor(kind, spelling)


@given(one=numbers, two=numbers, seed=st.integers())
def test_an_id_says_what_it_names_and_nothing_else_does(one: int, two: int, seed: int) -> None:
    user, post, entry = ids.user_gid(one), ids.post_gid(PostKey(one, two)), ids.entry_gid(EntryKey(one, two))
    assert len({user, post, entry}) == 3
    assert ids.decode(user) == ("u", (one,))
    assert ids.decode(post) == ("p", (one, two))
    assert ids.decode(entry) == ("e", (one, two))
    assert ids.user_id_of(post) is None
    assert ids.post_key_of(entry) is None
    assert ids.post_key_of(user) is None
    for text in (user, post, entry):
        spelling = other_spelling(text[1:])
        assert spelling is None or ids.decode(text[0] + spelling) is None
        wrong = twisted(text, random.Random(seed))
        found = ids.decode(wrong)
        assert found is None or found != ids.decode(text) or wrong == text


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ({}, PageRequest(20, True, None)),
        ({"first": None, "after": None, "last": None, "before": None}, PageRequest(20, True, None)),
        ({"first": 0}, PageRequest(0, True, None)),
        ({"first": 100}, PageRequest(100, True, None)),
        ({"last": 5}, PageRequest(5, False, None)),
        ({"last": 0, "first": None}, PageRequest(0, False, None)),
        ({"after": encode_cursor("h", Position(7, 8))}, PageRequest(20, True, Position(7, 8))),
        ({"before": encode_cursor("h", Position(7, 8))}, PageRequest(20, False, Position(7, 8))),
    ],
)
def test_arguments_make_a_request(arguments: dict[str, Any], request_: PageRequest) -> None:
    assert page_request("h", **arguments) == request_


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": -1},
        {"last": -1},
        {"first": 101},
        {"last": 2**31 - 1},
        {"first": 5, "last": 5},
        {"first": 5, "before": "x"},
        {"last": 5, "after": "x"},
        {"after": "x", "before": "x"},
    ],
)
def test_arguments_that_no_client_should_send(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        page_request("h", **arguments)


LIST = "{ pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor } }"
TIMELINE = (
    "query ($first: Int, $after: String, $last: Int, $before: String) "
    "{ list: %s(first: $first, after: $after, last: $last, before: $before) " + LIST + " }"
)


async def timeline(person: Person, field: str, **page: Any) -> Answer:
    return await person.asks(TIMELINE.replace("%s", field), **page)


async def texts(person: Person, count: int) -> list[str]:
    return [await person.posts(f"number {number}") for number in range(count)]


@pytest.mark.parametrize("field", ["homeTimeline", "publicTimeline"])
async def test_a_timeline_refuses_wrong_arguments_and_says_which(alice: Person, field: str) -> None:
    await texts(alice, 2)
    page = (await timeline(alice, field)).data["list"]
    cursor = page["pageInfo"]["endCursor"]
    foreign = "publicTimeline" if field == "homeTimeline" else "homeTimeline"
    elsewhere = (await timeline(alice, foreign)).data["list"]["pageInfo"]["endCursor"]
    live = (await alice.asks("{ list: %s { liveCursor } }" % field)).data["list"]["liveCursor"]  # noqa: UP031 - braces are GraphQL's here
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"first": 101}, "BAD_USER_INPUT"),
        ({"first": -1}, "BAD_USER_INPUT"),
        ({"last": 101}, "BAD_USER_INPUT"),
        ({"last": -1}, "BAD_USER_INPUT"),
        ({"first": 1, "last": 1}, "BAD_USER_INPUT"),
        ({"first": 1, "before": cursor}, "BAD_USER_INPUT"),
        ({"last": 1, "after": cursor}, "BAD_USER_INPUT"),
        ({"after": cursor, "before": cursor}, "BAD_USER_INPUT"),
        ({"after": ""}, "INVALID_CURSOR"),
        ({"after": "nonsense"}, "INVALID_CURSOR"),
        ({"before": "nonsense"}, "INVALID_CURSOR"),
        ({"after": elsewhere}, "INVALID_CURSOR"),
        ({"after": live}, "INVALID_CURSOR"),
        ({"after": alice.id}, "INVALID_CURSOR"),
    ]
    for arguments, code in wrong:
        answer = await timeline(alice, field, **arguments)
        assert answer.error_codes == [code], arguments
        assert answer.body["data"] == {"list": None}
        assert answer.body["errors"][0]["path"] == ["list"]
    # And with the very same cursors all is well.
    assert (await timeline(alice, field, after=cursor)).data["list"]["edges"] == []
    assert len((await timeline(alice, field, before=cursor)).data["list"]["edges"]) == 1


async def test_null_is_the_same_as_absent_and_20_is_the_default(alice: Person) -> None:
    await texts(alice, 21)
    bare = (await alice.asks("{ list: homeTimeline " + LIST + " }")).data["list"]
    assert len(bare["edges"]) == 20
    assert (bare["pageInfo"]["hasNextPage"], bare["pageInfo"]["hasPreviousPage"]) == (True, False)
    nulls = {"first": None, "after": None, "last": None, "before": None}
    assert (await timeline(alice, "homeTimeline", **nulls)).data["list"] == bare
    literal = await alice.asks(
        "{ list: homeTimeline(first: null, after: null, last: null, before: null) " + LIST + " }"
    )
    assert literal.data["list"] == bare
    oldest = (await timeline(alice, "homeTimeline", last=None, before=bare["edges"][-1]["cursor"])).data[
        "list"
    ]
    assert [edge["cursor"] for edge in oldest["edges"]] == [edge["cursor"] for edge in bare["edges"][:-1]]
    # With `first: 20` said, a null `last` still takes no direction.
    assert (await timeline(alice, "homeTimeline", first=20, last=None)).data["list"] == bare


async def test_a_page_of_nothing_still_says_what_is_around_it(alice: Person) -> None:
    empty = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    for arguments in ({"first": 0}, {"last": 0}, {"first": 5}, {"last": 5}):
        page = (await timeline(alice, "homeTimeline", **arguments)).data["list"]
        assert page == {"edges": [], "pageInfo": empty}
    await texts(alice, 3)
    cursors = [edge["cursor"] for edge in (await timeline(alice, "homeTimeline")).data["list"]["edges"]]
    for arguments, around in [
        ({"first": 0}, (True, False)),
        ({"last": 0}, (False, True)),
        ({"first": 0, "after": cursors[1]}, (True, True)),
        ({"first": 0, "after": cursors[2]}, (False, True)),
        ({"last": 0, "before": cursors[1]}, (True, True)),
        ({"last": 0, "before": cursors[0]}, (True, False)),
    ]:
        page = (await timeline(alice, "homeTimeline", **arguments)).data["list"]
        assert page["edges"] == []
        info = page["pageInfo"]
        assert (info["hasNextPage"], info["hasPreviousPage"]) == around, arguments


NESTED = [
    ('user(handle: "alice") { list: posts(first: $first, after: $after) %s }', "posts"),
    ('user(handle: "alice") { list: followers(first: $first, after: $after) %s }', "followers"),
    ('user(handle: "alice") { list: following(first: $first, after: $after) %s }', "following"),
    ("node(id: $id) { ... on Post { list: replies(first: $first, after: $after) %s } }", "replies"),
]


@pytest.mark.parametrize(("field", "name"), NESTED, ids=[name for _, name in NESTED])
async def test_a_nested_list_costs_itself_and_nothing_around_it(alice: Person, field: str, name: str) -> None:
    post = await alice.posts("first")
    await alice.posts("an answer", to=post)
    document = "query ($id: ID!, $first: Int, $after: String) { same: node(id: $id) { id } found: "
    document += field.replace("%s", LIST) + " }"
    foreign = (await timeline(alice, "homeTimeline")).data["list"]["pageInfo"]["endCursor"]
    for arguments, code in [
        ({"first": 101}, "BAD_USER_INPUT"),
        ({"first": -1}, "BAD_USER_INPUT"),
        ({"after": foreign}, "INVALID_CURSOR"),
        ({"after": "%"}, "INVALID_CURSOR"),
    ]:
        answer = await alice.asks(document, id=post, **arguments)
        assert answer.error_codes == [code]
        assert answer.body["errors"][0]["path"] == ["found", "list"]
        assert answer.body["data"] == {"same": {"id": post}, "found": {"list": None}}


async def test_at_most_a_hundred_nodes(alice: Person) -> None:
    post = await alice.posts("one of many")
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    full = (await alice.asks(document, ids=[post, alice.id] * 50)).data["nodes"]
    assert [node["id"] for node in full] == [post, alice.id] * 50
    refused = await alice.asks(document, ids=[post] * 101)
    assert refused.error_codes == ["BAD_USER_INPUT"]
    assert refused.body["data"] is None
    assert (await alice.asks(document, ids=[])).data == {"nodes": []}


# One request for each example, with some dozens of hostile strings in it.
FUZZ = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


async def a_post(person: Person) -> str:
    """Their only post, written by the first example that wants it."""
    found = (await person.home())["edges"]
    return found[0]["node"]["post"]["id"] if found else await person.posts("good morning")


@FUZZ
@given(seed=st.integers(0, 2**64))
async def test_hostile_ids_are_as_if_they_did_not_exist(alice: Person, stored: Oracle, seed: int) -> None:
    chance = random.Random(seed)
    genuine = [alice.id, await a_post(alice)]
    tried: list[str] = [twisted(chance.choice(genuine), chance) for _ in range(60)]
    tried += [
        kind + base64.urlsafe_b64encode(struct.pack(">qq"[: 1 + count], *values)).rstrip(b"=").decode()
        for kind in "upe"
        for count in (1, 2)
        for values in [[chance.choice([0, 1, -1, HIGHEST, -HIGHEST - 1, chance.getrandbits(62)])] * count]
    ]
    wrong = [text for text in tried if text not in genuine]
    answer = await alice.asks("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=wrong)
    assert answer.data == {"nodes": [None] * len(wrong)}
    before = await stored.rows("SELECT * FROM posts ORDER BY id")
    absent = ids.post_gid(PostKey(5, 5))
    for text in chance.sample(wrong, 5):
        for mutation, name in [("likePost", "postId"), ("deletePost", "postId"), ("followUser", "userId")]:
            given_ = [await alice.does(mutation, "__typename", **{name: id}) for id in (text, absent)]
            assert given_[0] == given_[1]
            assert given_[0].refused == "NOT_FOUND"
    assert await stored.rows("SELECT * FROM posts ORDER BY id") == before


@FUZZ
@given(seed=st.integers(0, 2**64))
async def test_hostile_cursors_are_invalid_and_nothing_worse(alice: Person, seed: int) -> None:
    chance = random.Random(seed)
    post = await a_post(alice)
    lists = {
        "h": "homeTimeline(%s: %s) " + LIST,
        "p": "publicTimeline(%s: %s) " + LIST,
        "o": 'user(handle: "alice") { posts(%s: %s) ' + LIST + " }",
        "f": 'user(handle: "alice") { followers(%s: %s) ' + LIST + " }",
        "g": 'user(handle: "alice") { following(%s: %s) ' + LIST + " }",
        "r": f'node(id: "{post}") {{ ... on Post {{ replies(%s: %s) ' + LIST + " } }",
    }
    asked: list[str] = []
    for number in range(30):
        kind = chance.choice("hpofgr")
        ends = [1, 2, HIGHEST - 1, HIGHEST, 0, -1, chance.getrandbits(62), chance.getrandbits(50)]
        cursor = encode_cursor(kind, Position(chance.choice(ends), chance.choice(ends)))
        if chance.random() < 0.5:
            cursor = twisted(cursor, chance)
        argument = chance.choice(["after", "before"]) if kind in "hp" else "after"
        asked.append(f"c{number}: " + lists[kind] % (argument, json.dumps(cursor)))
    answer = await alice.asks("{ " + " ".join(asked) + " }")
    assert set(answer.error_codes) <= {"INVALID_CURSOR"}
    assert answer.status == 200
