"""The gate: who may find an account and see what it wrote; the rules alone, and through everything that shows things.

Amina wrote it. Basma, whom nobody blocks, reposted and answered it, and was reposted and answered by Amina.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataloaders.rows import EntryKey, PostKey, TieRow
from resolvers.ids import entry_gid, post_gid, user_gid
from resolvers.visibility import Hidden, why_post_hidden, why_user_hidden
from tests.conftest import Oracle, Server
from tests.networks import At, Network, Post, Repost
from tests.people import Person


@dataclass(frozen=True)
class Kind:
    """What stands between a viewer and Amina, and what they see of her."""

    tie: TieRow | None
    finds_user: bool
    sees_posts: bool


def tie(*, follows: bool = False, blocks: bool = False, blocked: bool = False) -> TieRow:
    """A viewer's tie to Amina: they follow her, block her, are blocked by her."""
    return TieRow(1, None, follows, False, blocks, blocked, liked=False, reposted=False)


# One row for each kind of viewer. Whatever can be seen later gets its columns here.
KINDS: dict[str, Kind] = {
    "anonymous": Kind(None, finds_user=True, sees_posts=True),
    "self": Kind(None, finds_user=True, sees_posts=True),
    "stranger": Kind(tie(), finds_user=True, sees_posts=True),
    "follower": Kind(tie(follows=True), finds_user=True, sees_posts=True),
    "blocker": Kind(tie(blocks=True), finds_user=True, sees_posts=False),
    "blocked": Kind(tie(blocked=True), finds_user=False, sees_posts=False),
    "both": Kind(tie(blocks=True, blocked=True), finds_user=False, sees_posts=False),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_the_rule_for_accounts(kind: str) -> None:
    row = KINDS[kind]
    assert (why_user_hidden(row.tie) is None) is row.finds_user


@every_kind
def test_the_rule_for_posts(kind: str) -> None:
    row = KINDS[kind]
    assert (why_post_hidden(row.tie) is None) is row.sees_posts


def test_the_rules_say_why() -> None:
    assert why_user_hidden(tie(blocked=True)) is Hidden.BLOCKED_BY_THEM
    assert why_user_hidden(tie(blocks=True)) is None
    assert why_post_hidden(tie(blocks=True)) is Hidden.BLOCKED_BY_VIEWER
    assert why_post_hidden(tie(blocked=True)) is Hidden.BLOCKED_BY_THEM
    # Following is no way round a block.
    assert why_post_hidden(tie(follows=True, blocked=True)) is Hidden.BLOCKED_BY_THEM


class Square:
    """The network of this file, and the viewer of one kind in it."""

    def __init__(self, kind: str) -> None:
        network = self.network = Network()
        network.join("amina", "basma", "viewer")
        now = datetime.now(UTC)

        def at(hours_ago: int) -> At:
            return At(now - timedelta(hours=hours_ago))

        self.post = network.post("amina", at(90), "amina's post")
        self.other = network.post("basma", at(89), "basma's post")
        self.reply = network.post("amina", at(60), "amina's reply", self.other)
        self.answer = network.post("basma", at(59), "basma's answer", self.post)
        # More than a day after the posts, so that those who see both see the reposts as well.
        self.repost = network.repost("amina", at(30), self.other)
        self.reposted = network.repost("basma", at(2), self.post)
        network.follow("amina", "basma")
        network.follow("basma", "amina")
        self.handle = {"anonymous": None, "self": "amina"}.get(kind, "viewer")
        if self.handle is not None:
            network.follow(self.handle, "basma")
        if kind == "follower":
            network.follow("viewer", "amina")
        if kind in ("blocker", "both"):
            network.block("viewer", "amina")
        if kind in ("blocked", "both"):
            network.block("amina", "viewer")

    def user_id(self, handle: str) -> str:
        return user_gid(self.network.ids[handle])

    def id_of(self, thing: Post | Repost) -> str:
        """A post's ID, or the ID of a repost's entry."""
        if isinstance(thing, Post):
            return post_gid(PostKey(self.network.ids[thing.author], thing.at.id))
        return entry_gid(EntryKey(self.network.ids[thing.actor], thing.at.id))

    def entry_of(self, post: Post) -> str:
        return entry_gid(EntryKey(self.network.ids[post.author], post.at.id))


@pytest.fixture
async def square(kind: str, stored: Oracle) -> Square:
    square = Square(kind)
    await square.network.write(stored.connection)
    return square


@pytest.fixture
def viewer(server: Server, square: Square) -> Person:
    return square.network.person(server, square.handle)


@every_kind
async def test_looking_up_by_id_and_handle(kind: str, viewer: Person, square: Square) -> None:
    row = KINDS[kind]
    found = await viewer.asks('{ user(handle: "Amina") { handle postCount viewerIsBlocking } }')
    flags = {"handle": "amina", "postCount": 2, "viewerIsBlocking": kind == "blocker"}
    assert found.data["user"] == (flags if row.finds_user else None)
    expected = {
        square.user_id("amina"): row.finds_user,
        square.id_of(square.post): row.sees_posts,
        square.entry_of(square.post): row.sees_posts,
        square.id_of(square.reply): row.sees_posts,
        square.entry_of(square.reply): row.sees_posts,
        square.id_of(square.repost): row.sees_posts,  # what Amina brought in
        square.id_of(square.reposted): row.sees_posts,  # Amina's post, whoever brought it in
        square.user_id("basma"): True,
        square.id_of(square.other): True,
        square.id_of(square.answer): True,
        user_gid(12345): False,
    }
    assert {id: await viewer.sees(id) for id in expected} == expected
    answer = await viewer.asks("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=list(expected))
    assert answer.data["nodes"] == [{"id": id} if there else None for id, there in expected.items()]


@every_kind
async def test_timelines(kind: str, viewer: Person, square: Square) -> None:
    sees = KINDS[kind].sees_posts
    public = [edge["node"]["post"]["text"] for edge in (await viewer.public())["edges"]]
    assert public == ["basma's post"] + ["amina's post"] * sees
    if kind == "anonymous":
        refused = await viewer.asks("{ homeTimeline { edges { cursor } } }")
        assert refused.error_codes == ["UNAUTHENTICATED"]
        assert refused.body["data"] == {"homeTimeline": None}
        return
    home = [
        (edge["node"]["post"]["text"], (edge["node"]["repostedBy"] or {}).get("handle"))
        for edge in (await viewer.home())["edges"]
    ]
    of_amina = kind in ("self", "follower")
    expected = {
        ("amina's post", "basma"): sees,
        ("basma's post", "amina"): of_amina,
        ("basma's answer", None): of_amina,
        ("amina's reply", None): of_amina,
        ("basma's post", None): True,
        ("amina's post", None): of_amina,
    }
    assert home == [entry for entry, there in expected.items() if there]


@every_kind
async def test_lists_below_accounts_and_posts(kind: str, viewer: Person, square: Square) -> None:
    row = KINDS[kind]
    document = """query ($amina: ID!, $basma: ID!, $post: ID!, $other: ID!, $answer: ID!) {
        amina: node(id: $amina) { ... on User { posts { ...posts } followers { ...users } } }
        basma: node(id: $basma) { ... on User { followerCount followers { ...users } following { ...users } } }
        post: node(id: $post) { ... on Post { replies { ...posts } } }
        other: node(id: $other) { ... on Post { replyCount repostCount replies { ...posts } } }
        answer: node(id: $answer) { ... on Post { isReply replyTo { text author { handle } } } }
    }
    fragment posts on PostConnection { edges { node { text } } pageInfo { hasNextPage hasPreviousPage } }
    fragment users on UserConnection { edges { node { handle } } pageInfo { hasNextPage hasPreviousPage } }
    """
    ids = {
        "amina": square.user_id("amina"),
        "basma": square.user_id("basma"),
        "post": square.id_of(square.post),
        "other": square.id_of(square.other),
        "answer": square.id_of(square.answer),
    }
    data = (await viewer.asks(document, **ids)).data

    def shown(connection: dict[str, Any]) -> list[str]:
        assert connection["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": False}
        return [node for edge in connection["edges"] for node in edge["node"].values()]

    assert (data["amina"] is not None) is row.finds_user
    if data["amina"] is not None:
        assert shown(data["amina"]["posts"]) == ["amina's post"] * row.sees_posts
        assert "basma" in shown(data["amina"]["followers"])
    assert ("amina" in shown(data["basma"]["followers"])) is row.finds_user
    assert ("amina" in shown(data["basma"]["following"])) is row.finds_user
    assert (data["post"] is not None) is row.sees_posts
    if data["post"] is not None:
        assert shown(data["post"]["replies"]) == ["basma's answer"]
    assert shown(data["other"]["replies"]) == ["amina's reply"] * row.sees_posts
    # Counters are global: what is hidden still counts.
    assert (data["other"]["replyCount"], data["other"]["repostCount"]) == (1, 1)
    assert data["basma"]["followerCount"] == (1 if kind == "anonymous" else 2 - (kind == "self"))
    parent = {"text": "amina's post", "author": {"handle": "amina"}}
    assert data["answer"] == {"isReply": True, "replyTo": parent if row.sees_posts else None}


ON_POSTS = ["likePost", "unlikePost", "repost", "undoRepost", "deletePost"]
ON_USERS = ["followUser", "unfollowUser", "blockUser", "unblockUser"]


async def bytes_of(person: Person, mutation: str, **input: str) -> bytes:
    """The very bytes of the answer, up to what is left of the viewer's budget."""
    name = mutation[0].upper() + mutation[1:]
    request = {
        "query": f"mutation ($input: {name}Input!) {{ {mutation}(input: $input) "
        "{ __typename userErrors { code message field } } }",
        "variables": {"input": input},
    }
    headers = {"authorization": f"Bearer {person.token}"} if person.token else {}
    answer = await person.http.post(f"{person.url}/graphql", json=request, headers=headers)
    assert answer.status_code == 200
    answered, _, _ = answer.content.partition(b',"remaining":')
    assert answered.endswith(b'"budget":10000000')
    return answered


async def everything(stored: Oracle) -> dict[str, list[Any]]:
    """All that acting on things could change."""
    ties = ["likes", "following", "followers", "blocks", "blocked_by"]
    tables = ["users", "posts", "entries", "replies", "reposters", *ties, "outbox", "log"]
    return {table: await stored.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables}


@pytest.mark.parametrize("kind", ["blocker", "blocked", "both"])
async def test_acting_on_what_is_hidden_is_acting_on_nothing(
    kind: str, viewer: Person, square: Square, stored: Oracle
) -> None:
    before = await everything(stored)
    absent_post, absent_user = post_gid(PostKey(12345, 67890)), user_gid(12345)
    for mutation in ON_POSTS:
        absent = await bytes_of(viewer, mutation, postId=absent_post)
        assert b'"NOT_FOUND"' in absent
        hidden = [square.id_of(square.post), square.id_of(square.reply)]
        others = ["", "nonsense", square.user_id("basma"), square.id_of(square.reposted)]
        for id in hidden + others:
            assert await bytes_of(viewer, mutation, postId=id) == absent, (mutation, id)
    absent = await bytes_of(viewer, "createPost", text="an answer", replyToId=absent_post)
    assert b'"NOT_FOUND"' in absent
    for id in (square.id_of(square.post), square.id_of(square.reply), "nonsense"):
        assert await bytes_of(viewer, "createPost", text="an answer", replyToId=id) == absent
    if not KINDS[kind].finds_user:
        # Whoever blocks can unblock by ID, also somebody who blocks them in turn.
        for mutation in ON_USERS[:3] if kind == "both" else ON_USERS:
            absent = await bytes_of(viewer, mutation, userId=absent_user)
            assert b'"NOT_FOUND"' in absent
            for id in (square.user_id("amina"), "nonsense", square.id_of(square.other)):
                assert await bytes_of(viewer, mutation, userId=id) == absent, (mutation, id)
    assert await everything(stored) == before


@pytest.mark.parametrize("kind", ["both"])
async def test_who_block_each_other_can_still_unblock_by_id(
    kind: str, viewer: Person, square: Square, stored: Oracle
) -> None:
    amina = Person(viewer.url, viewer.http, id=square.user_id("amina"))
    assert (await viewer.unblocks(amina))["user"]["handle"] == "amina"
    [left] = await stored.rows("SELECT blocker_id, blocked_id FROM blocks")
    assert tuple(left) == (square.network.ids["amina"], square.network.ids["viewer"])
    assert not await viewer.sees(amina.id)
    # What is not there any more is not there: she is hidden as for anybody whom she blocks.
    absent = await bytes_of(viewer, "unblockUser", userId=user_gid(12345))
    assert await bytes_of(viewer, "unblockUser", userId=amina.id) == absent


@pytest.mark.parametrize("kind", ["blocker"])
async def test_whom_the_viewer_blocks_is_found_and_not_followed(
    kind: str, viewer: Person, square: Square, stored: Oracle
) -> None:
    amina = Person(viewer.url, viewer.http, id=square.user_id("amina"))
    before = await everything(stored)
    assert (await viewer.follows(amina)).refused == "CONFLICT"
    assert (await viewer.unfollows(amina))["user"]["handle"] == "amina"
    assert (await viewer.blocks(amina))["user"]["viewerIsBlocking"]
    assert await everything(stored) == before
    assert not (await viewer.unblocks(amina))["user"]["viewerIsBlocking"]
    assert await viewer.sees(square.id_of(square.post))


@pytest.mark.parametrize("kind", ["anonymous"])
async def test_a_passer_by_can_change_nothing(
    kind: str, viewer: Person, square: Square, stored: Oracle
) -> None:
    before = await everything(stored)
    inputs = [
        *((mutation, {"postId": square.id_of(square.post)}) for mutation in ON_POSTS),
        *((mutation, {"userId": square.user_id("amina")}) for mutation in ON_USERS),
        ("createPost", {"text": "hello"}),
        ("createPost", {"text": ""}),
        ("likePost", {"postId": "nonsense"}),
    ]
    for mutation, input in inputs:
        name = mutation[0].upper() + mutation[1:]
        answer = await viewer.asks(
            f"mutation ($input: {name}Input!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}",
            input=input,
        )
        assert answer.error_codes == ["UNAUTHENTICATED"], mutation
    assert await everything(stored) == before


async def test_a_block_holds_at_once_and_both_ways(alice: Person, mallory: Person, stored: Oracle) -> None:
    """Through the API alone: posts, follows and lists before and after."""
    await alice.follows(mallory)
    await mallory.follows(alice)
    hers, theirs = await alice.posts("good morning"), await mallory.posts("ha")
    reply = await mallory.posts("no it is not", to=hers)
    assert await mallory.home_texts() == ["no it is not", "ha", "good morning"]
    await alice.blocks(mallory)
    assert await mallory.home_texts() == ["no it is not", "ha"]
    assert await alice.home_texts() == ["good morning"]
    assert not await mallory.sees(hers)
    assert not await mallory.sees(alice.id)
    assert not await alice.sees(theirs)
    assert not await alice.sees(reply)
    assert await alice.sees(mallory.id)
    for table in ("following", "followers"):
        assert await stored.count(table) == 0
    counts = await stored.rows("SELECT follower_count, following_count FROM users")
    assert [tuple(row) for row in counts] == [(0, 0), (0, 0)]
    await alice.unblocks(mallory)
    assert await mallory.sees(hers)
    assert await mallory.home_texts() == ["no it is not", "ha"], "follows do not come back by themselves"
