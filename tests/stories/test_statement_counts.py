"""What an operation costs in statements: as much for a long page as for a short one, however wide it nests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataloaders.rows import PostKey
from resolvers import home_entries
from resolvers.ids import post_gid, user_gid
from tests.conftest import Oracle, Serve, Server, Statements
from tests.networks import At, Network, Post
from tests.people import Person

# As many of each kind as two full pages and what makes them go on.
MANY = 110
FRIENDS = [f"friend{number:03}" for number in range(MANY)]
STRANGERS = [f"stranger{number:03}" for number in range(MANY)]


@dataclass
class Village:
    """A network in which every page that is asked for here is full, and all of its kinds of entries are in each."""

    viewer: Person
    network: Network
    star: Post

    def id(self, post: Post) -> str:
        return post_gid(PostKey(self.network.ids[post.author], post.at.id))


@pytest.fixture
async def village(server: Server, stored: Oracle) -> Village:
    """Everybody posts, is answered by two, and reposts a stranger; the viewer follows all friends."""
    network = Network()
    network.join("viewer", *FRIENDS, *STRANGERS)
    start = datetime.now(UTC) - timedelta(days=30)

    def at(days: int, minutes: int, number: int = 0) -> At:
        return At(start + timedelta(days=days, minutes=minutes), number)

    star = network.post(STRANGERS[0], at(0, 0), "the star")
    for number, (friend, stranger) in enumerate(zip(FRIENDS, STRANGERS, strict=True)):
        network.follow("viewer", friend)
        network.follow(friend, "viewer")
        network.follow(stranger, friend)
        post = network.post(stranger, at(1, number), f"post of {stranger}")
        # In the viewer's timeline a post, a reply to it by its author and a repost follow each other.
        own = network.post(friend, at(5, 3 * number), f"post of {friend}")
        network.post(friend, at(5, 3 * number + 1), f"{friend} goes on", own)
        network.repost(friend, at(5, 3 * number + 2), post)
        for nth, other in enumerate((STRANGERS[number - 1], STRANGERS[number - 2]), start=1):
            network.post(other, at(5, 3 * number + nth, nth), f"{other} answers", own)
            network.post(other, at(5, 3 * number + nth, nth + 2), f"{other} answers", post)
        network.post(stranger, at(1, number, 1), f"{stranger} to the star", star)
    for number in range(MANY):
        network.post(FRIENDS[0], at(2, number), f"prolific {number}")
    await network.write(stored.connection)
    return Village(network.person(server, "viewer"), network, star)


INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
USER = "id handle displayName followerCount viewerIsFollowing isFollowingViewer viewerIsBlocking"
POST = f"""id text isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted idempotencyKey
    author {{ {USER} }} replyTo {{ id text author {{ {USER} }} }}"""


def over(field: str, inside: str) -> str:
    """A list, paged by the operation's variables."""
    return f"list: {field}(first: $first, after: $after) {{ {INFO} edges {{ cursor node {{ {inside} }} }} }}"


@dataclass(frozen=True)
class Reading:
    """An operation over a list, and the most statements that it may take."""

    body: str
    most: int
    # Where the list stands in the answer.
    path: tuple[str, ...] = ()


# Every bound is the sum of what is argued beside it: one statement for each kind of thing on each level of the answer.
# Ties are what stands between the viewer and accounts, which the gate asks; marks are the viewer's likes and reposts.
READINGS = {
    "home page": Reading(
        over("homeTimeline", f"enteredAt repostedBy {{ {USER} }} post {{ {POST} }}"),
        # Who is followed, entries, ties, posts, who else reposted; marks, accounts; posts replied to and their authors.
        9,
    ),
    "home page, and its liveCursor again": Reading(
        over("homeTimeline", f"enteredAt repostedBy {{ {USER} }} post {{ {POST} }}")
        + " again: homeTimeline(first: $first) { liveCursor }",
        # As before, and the other page's entries, ties, posts and reposters.
        13,
    ),
    "public page": Reading(
        over("publicTimeline", f"post {{ {POST} }}"),
        # Entries, ties, posts; marks, accounts.
        5,
    ),
    "profile with posts": Reading(
        f'user(handle: "{FRIENDS[0]}") {{ {USER} postCount {over("posts", POST)} }}',
        # Handle, account, ties; their posts' keys, posts, marks.
        6,
        ("user",),
    ),
    "post with replies and their authors": Reading(
        f"node(id: $star) {{ ... on Post {{ {POST} {over('replies', POST)} }} }}",
        # Post, ties, marks, account; replies' keys, posts, ties, marks, accounts.
        9,
        ("node",),
    ),
    "followers and whether they are followed": Reading(
        f"viewer {{ {over('followers', USER)} }}",
        # The viewer; followers' keys, accounts, ties.
        4,
        ("viewer",),
    ),
    "nested two deep": Reading(
        over(
            "homeTimeline",
            "repostedBy { handle } post { text replies(first: 3) { pageInfo { hasNextPage } edges { node { text "
            "author { handle posts(first: 3) { pageInfo { hasNextPage } edges { node { text replyCount } } } } } } } }",
        ),
        # Who is followed, entries, ties, posts, who else reposted, reposters; replies' keys, posts, ties, authors;
        # their posts' keys, posts.
        12,
    ),
    "nested lists as long as the page": Reading(
        over(
            "homeTimeline",
            "post { replies(first: $first) { edges { node { author { posts(first: $first) { edges { node { text } } "
            "} } } } } }",
        ),
        # The same without reposters.
        11,
    ),
}


@pytest.fixture
async def server(serve: Serve) -> Server:
    """One that answers lists in lists of 25: what they cost in points is not asked here."""
    return await serve(cost_limit=0)


async def cost(statements: Statements, person: Person, document: str, **variables: Any) -> tuple[int, Any]:
    """How many statements the operation took, and its data."""
    statements.take()
    answer = await person.asks(document, **variables)
    return len(statements.take()), answer.data


@pytest.mark.parametrize("name", READINGS)
async def test_a_long_page_costs_as_many_statements_as_a_short_one(
    name: str, village: Village, statements: Statements
) -> None:
    reading = READINGS[name]
    star = "$star: ID!, " if "$star" in reading.body else ""
    document = f"query ({star}$first: Int, $after: String) {{ {reading.body} }}"

    async def page(first: int, after: str | None = None) -> tuple[int, dict[str, Any]]:
        took, data = await cost(
            statements, village.viewer, document, first=first, after=after, star=village.id(village.star)
        )
        for step in reading.path:
            data = data[step]
        assert len(data["list"]["edges"]) == first
        assert data["list"]["pageInfo"]["hasNextPage"]
        return took, data["list"]

    few, short = await page(5)
    many, _ = await page(50)
    assert few == many
    assert 0 < many <= reading.most
    for first in (5, 50):
        later, found = await page(first, short["pageInfo"]["endCursor"])
        assert found["pageInfo"]["hasPreviousPage"]
        assert later == few


@pytest.mark.parametrize("field", ["homeTimeline", "publicTimeline"])
async def test_reading_upward_costs_the_same(field: str, village: Village, statements: Statements) -> None:
    document = f"query ($last: Int, $before: String) {{ list: {field}(last: $last, before: $before) "
    document += f"{{ {INFO} edges {{ node {{ repostedBy {{ handle }} post {{ {POST} }} }} }} }} }}"
    _, top = await cost(statements, village.viewer, document, last=40, before=None)
    costs = set()
    for last, before in [
        (5, None),
        (50, None),
        *((n, top["list"]["pageInfo"]["startCursor"]) for n in (5, 40)),
    ]:
        took, data = await cost(statements, village.viewer, document, last=last, before=before)
        assert len(data["list"]["edges"]) == last
        costs.add(took)
    assert len(costs) == 1


async def test_nodes_of_all_kinds_cost_the_same_however_many(
    village: Village, statements: Statements
) -> None:
    network = village.network
    page = await village.viewer.home(first=100)
    kinds = [
        [user_gid(network.ids[handle]) for handle in FRIENDS],
        [village.id(post) for post in network.posts if post.author in STRANGERS],
        [edge["node"]["id"] for edge in page["edges"]],
        ["nonsense", user_gid(1)] * 50,
    ]
    document = f"""query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename id
        ... on User {{ {USER} }} ... on Post {{ {POST} }}
        ... on TimelineEntry {{ repostedBy {{ {USER} }} post {{ {POST} }} }} }} }}"""
    costs = []
    # One more than a multiple of three, so that in both the last entry is a repost by somebody not yet read.
    for each in (4, 25):
        ids = [id for some in zip(*kinds, strict=False) for id in some][: 4 * each]
        took, data = await cost(statements, village.viewer, document, ids=ids)
        assert sum(node is not None for node in data["nodes"]) == 3 * each
        costs.append(took)
    few, many = costs
    assert few == many
    # Accounts and ties; posts and ties; entries, ties and posts; marks; reposters and authors; posts replied to.
    assert many <= 10


async def test_who_follows_many_pays_no_more_for_a_long_page(
    village: Village, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The viewer follows too many for a merge. Where it is done all the same, it takes as many statements."""
    document = f"query ($first: Int) {{ {over('homeTimeline', f'post {{ {POST} }}')} }}".replace(
        ", after: $after", ""
    )
    assert len(FRIENDS) > home_entries.FEW
    costs = [(await cost(statements, village.viewer, document, first=first))[0] for first in (5, 50)]
    monkeypatch.setattr(home_entries, "FEW", len(FRIENDS) + 1)
    costs += [(await cost(statements, village.viewer, document, first=first))[0] for first in (5, 50)]
    assert len(set(costs)) == 1
