"""Random networks: every list, walked in pages of every kind by every viewer, is what the rules say it is.

The seed of a network is in the test's name. MAYDAN_ORACLE_SEEDS="7 8 9" tries others.
"""

import os
import random
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from dataloaders.rows import PostKey
from resolvers import home_entries
from resolvers.ids import post_gid
from tests import oracles
from tests.conftest import Oracle, Server
from tests.networks import Network, Post, random_network
from tests.oracles import Ask, Edge, Page, Truth, Walker
from tests.people import Person

INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
Place = tuple[int, int]


def timeline(person: Person, field: str) -> Ask:
    """Asks for pages of a timeline."""

    async def ask(**page: object) -> Page:
        answer = await person.asks(
            "query ($first: Int, $after: String, $last: Int, $before: String) "
            f"{{ list: {field}(first: $first, after: $after, last: $last, before: $before) {{ {INFO} edges "
            "{ cursor sortKey node { enteredAt repostedBy { handle } post { text } } } } }",
            **page,
        )
        found = answer.data["list"]
        edges = [
            Edge(
                edge["cursor"],
                edge["sortKey"],
                (
                    edge["node"]["post"]["text"],
                    (edge["node"]["repostedBy"] or {}).get("handle"),
                    edge["node"]["enteredAt"],
                ),
            )
            for edge in found["edges"]
        ]
        return Page(edges, found["pageInfo"])

    return ask


def nested(person: Person, id: str, type_: str, field: str, shown: str) -> Ask:
    """Asks for pages of a list that stands below a node; of what is hidden nothing can be asked."""

    async def ask(**page: object) -> Page:
        answer = await person.asks(
            f"query ($id: ID!, $first: Int, $after: String) {{ node(id: $id) {{ ... on {type_} "
            f"{{ list: {field}(first: $first, after: $after) "
            f"{{ {INFO} edges {{ cursor node {{ {shown} }} }} }} }} }} }}",
            id=id,
            **page,
        )
        found = answer.data["node"]["list"]
        edges = [Edge(edge["cursor"], None, (edge["node"][shown],)) for edge in found["edges"]]
        return Page(edges, found["pageInfo"])

    return ask


class World:
    """A network on a server, its people, and every cursor that was ever shown to any of them."""

    def __init__(self, server: Server, network: Network, seed: int) -> None:
        self.network = network
        self.chance = random.Random(seed)
        self.people = {handle: network.person(server, handle) for handle in (None, *network.ids)}
        self.cursors: dict[str, dict[Place, str]] = {}

    def post_id(self, post: Post) -> str:
        return post_gid(PostKey(self.network.ids[post.author], post.at.id))

    def walker(self, name: str, ask: Ask, truths: list[Truth]) -> Walker:
        """A walker of a list; cursors of lists of one name are shared, since they are places in it."""
        walker = Walker(ask, truths, self.chance)
        walker.cursors = self.cursors.setdefault(name, {})
        return walker

    async def walk_timelines(self, handle: str | None, *, probes: int) -> None:
        """The timelines of one viewer, downward, upward, and from any place."""
        person = self.people[handle]
        lists = [("publicTimeline", oracles.public(self.network, handle))]
        if handle is not None:
            lists.append(("homeTimeline", oracles.home(self.network, handle)))
        for field, truths in lists:
            walker = self.walker(field, timeline(person, field), truths)
            await walker.down()
            if probes:
                await walker.up()
                await walker.page(None)
            places = self.chance.sample(sorted(walker.cursors), min(probes, len(walker.cursors)))
            await walker.probe(places, backward=True)
            walker.check_sort_keys()

    async def walk_nested(self, handle: str | None, *, lists: int) -> None:
        """Some lists below accounts and posts, as one viewer sees them."""
        network, person = self.network, self.people[handle]
        walkers: list[Walker] = []
        kinds: list[tuple[str, str, Callable[[Network, str | None, str], list[Truth]]]] = [
            ("posts", "text", oracles.posts_of),
            ("followers", "handle", oracles.followers_of),
            ("following", "handle", oracles.followed_by),
        ]
        for other in self.chance.sample(list(network.ids), lists):
            if (other, handle) in network.blocks:
                assert not await person.sees(self.people[other].id)
                continue
            for field, shown, truth in kinds:
                ask = nested(person, self.people[other].id, "User", field, shown)
                walkers.append(self.walker(f"{other} {field}", ask, truth(network, handle, other)))
        answered = [post for post in network.posts if any(reply.answers is post for reply in network.posts)]
        for post in self.chance.sample(answered, lists):
            if post in network.deleted or network.hides(handle, post.author):
                assert not await person.sees(self.post_id(post))
                continue
            ask = nested(person, self.post_id(post), "Post", "replies", "text")
            truths = oracles.replies_to(network, handle, post)
            walkers.append(self.walker(f"{self.post_id(post)} replies", ask, truths))
        for walker in walkers:
            await walker.down()
            places = self.chance.sample(sorted(walker.cursors), min(3, len(walker.cursors)))
            await walker.probe(places, backward=False)

    async def change(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Things that hide: deletions, blocks, the end of follows and of reposts."""
        network, people, chance = self.network, self.people, self.chance
        for post in chance.sample(network.posts, len(network.posts) // 10):
            assert (await people[post.author].deletes(self.post_id(post))).refused is None
            network.deleted.add(post)
        undone = [repost for repost in network.reposts if repost.post not in network.deleted][::9]
        for repost in undone:
            assert (await people[repost.actor].undoes_repost(self.post_id(repost.post))).refused is None
            network.reposts.remove(repost)
        for one, other in list(network.follows)[::11]:
            assert (await people[one].unfollows(people[other])).refused is None
            del network.follows[one, other]
        for _ in range(len(network.ids) // 2):
            one, other = chance.sample(list(network.ids), 2)
            assert (await people[one].blocks(people[other])).refused == (
                "NOT_FOUND" if (other, one) in network.blocks else None
            )
            network.block(one, other)
        # Only two who block at the same moment block each other: then neither found the other gone.
        for one, other in network.blocks:
            for table in ("blocks", "blocked_by"):
                await connection.execute(
                    f"INSERT INTO {table} (blocker_id, blocked_id, since_id) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING",
                    network.ids[one],
                    network.ids[other],
                )


# A home timeline is read in one of three ways, by how many accounts come in and how quiet they are.
READINGS: dict[str, dict[str, int]] = {
    "merged": {},
    "walked": {"FEW": 0},
    "in spans": {"FEW": 0, "WALK_PER_ACCOUNT": 1, "SHORTEST_SPAN": 1},
}
ASKED_FOR = os.environ.get("MAYDAN_ORACLE_SEEDS", "").split()
RUNS = [(int(seed), reading) for seed in ASKED_FOR for reading in READINGS] or list(enumerate(READINGS))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "reading"), RUNS)
async def test_every_walk_gives_what_the_rules_say(
    server: Server, stored: Oracle, seed: int, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in READINGS[reading].items():
        monkeypatch.setattr(home_entries, name, value)
    world = World(server, random_network(seed), seed)
    await world.network.write(stored.connection)
    for handle in world.people:
        await world.walk_timelines(handle, probes=0)
    for handle in world.chance.sample(sorted(world.network.ids), 2):
        await world.walk_nested(handle, lists=20)
    await world.change(stored.connection)
    # Every cursor that was shown before still says where to go on, also those of what is hidden or gone now.
    for handle in world.people:
        await world.walk_timelines(handle, probes=8)
    for handle in (None, *world.chance.sample(sorted(world.network.ids), 4)):
        await world.walk_nested(handle, lists=10)


async def test_posts_that_come_while_a_page_is_read_show_nothing_twice(
    alice: Person, bob: Person, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk ends after so many entries; where that was, others' new posts have moved when its end is asked for."""
    for name, value in READINGS["in spans"].items():
        monkeypatch.setattr(home_entries, name, value)
    texts = [f"number {number}" for number in range(6)]
    for text in texts:
        await alice.posts(text)
    beyond = home_entries.HomeEntries._beyond
    came: list[str] = []

    async def meanwhile(*arguments: Any) -> Any:
        came.append(await bob.posts("meanwhile"))
        return await beyond(*arguments)

    monkeypatch.setattr(home_entries.HomeEntries, "_beyond", meanwhile)
    assert await alice.home_texts(first=4) == texts[:1:-1]
    assert await alice.home_texts(last=4) == texts[3::-1]
    assert len(came) >= 2
