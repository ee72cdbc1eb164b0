"""Networks of accounts, posts and ties, written straight into the tables: with any times, which no API call allows.

`Network` holds plain data, writes it, and lends its accounts to tests as people. What an oracle says about a network
is computed from this data alone.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from resolvers.ids import user_gid
from tests.conftest import Server
from tests.people import Person

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)


class At(NamedTuple):
    """A moment to the microsecond, and the number that keeps apart what falls into one."""

    time: datetime
    number: int = 0

    @property
    def id(self) -> int:
        return ((self.time - EPOCH) // timedelta(microseconds=1)) * 2048 + self.number

    @property
    def printed(self) -> str:
        """As the API prints it."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, eq=False)
class Post:
    """A post or reply, as it was written."""

    author: str
    at: At
    text: str
    answers: "Post | None" = None


@dataclass(frozen=True, eq=False)
class Repost:
    """One account's repost."""

    actor: str
    at: At
    post: Post


@dataclass
class Network:
    """Accounts by handle, and what they did."""

    ids: dict[str, int] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    reposts: list[Repost] = field(default_factory=list)
    deleted: set[Post] = field(default_factory=set)
    # Who follows (blocks) whom, since when.
    follows: dict[tuple[str, str], At] = field(default_factory=dict)
    blocks: set[tuple[str, str]] = field(default_factory=set)

    def join(self, *handles: str, at: At | None = None) -> None:
        """New accounts, in this order."""
        start = at or At(EPOCH + timedelta(days=1))
        for handle in handles:
            self.ids[handle] = start.id + len(self.ids)

    def post(self, author: str, at: At, text: str = "", answers: Post | None = None) -> Post:
        """A post, or with `answers` a reply."""
        made = Post(author, at, text or f"{author} {len(self.posts)}", answers)
        self.posts.append(made)
        return made

    def repost(self, actor: str, at: At, post: Post) -> Repost:
        """A repost of a post."""
        made = Repost(actor, at, post)
        self.reposts.append(made)
        return made

    def follow(self, follower: str, *followees: str, at: At | None = None) -> None:
        """The first follows the others, each since a moment of its own."""
        for followee in followees:
            since = at or At(EPOCH + timedelta(days=2), len(self.follows))
            self.follows[follower, followee] = since

    def block(self, blocker: str, *blocked: str) -> None:
        """The first blocks the others; follows between them end."""
        for other in blocked:
            assert blocker != other
            self.blocks.add((blocker, other))
            self.follows.pop((blocker, other), None)
            self.follows.pop((other, blocker), None)

    def hides(self, viewer: str | None, author: str) -> bool:
        """Whether a block in either direction hides what the author wrote."""
        return (viewer, author) in self.blocks or (author, viewer) in self.blocks

    async def write(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Write everything as the application would have left it."""
        ids = self.ids

        async def copy(table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
            await connection.copy_records_to_table(table, columns=columns.split(), records=list(rows))

        there = [post for post in self.posts if post not in self.deleted]
        await copy(
            "users",
            "id handle display_name follower_count following_count post_count",
            (
                (
                    id,
                    handle,
                    handle.title(),
                    sum(followee == handle for _, followee in self.follows),
                    sum(follower == handle for follower, _ in self.follows),
                    sum(post.author == handle for post in there),
                )
                for handle, id in ids.items()
            ),
        )
        await copy("handles", "handle user_id", ids.items())
        for table in ("following", "followers"):
            await copy(
                table,
                "follower_id followee_id since_id",
                ((ids[one], ids[other], at.id) for (one, other), at in self.follows.items()),
            )
        for table in ("blocks", "blocked_by"):
            await copy(
                table,
                "blocker_id blocked_id since_id",
                ((ids[one], ids[other], 1) for one, other in self.blocks),
            )
        await copy(
            "posts",
            "author_id id text direction reply_to_author_id reply_to_id repost_count reply_count deleted_at",
            (
                (
                    ids[post.author],
                    post.at.id,
                    "" if post in self.deleted else post.text,
                    "LTR",
                    ids[post.answers.author] if post.answers else None,
                    post.answers.at.id if post.answers else None,
                    sum(repost.post == post for repost in self.reposts),
                    sum(reply.answers == post for reply in there),
                    datetime.now(UTC) if post in self.deleted else None,
                )
                for post in self.posts
            ),
        )
        await copy(
            "entries",
            "actor_id id post_author_id post_id reply_to_author_id",
            (
                (
                    ids[actor],
                    at.id,
                    ids[post.author],
                    post.at.id,
                    ids[post.answers.author] if post.answers else None,
                )
                for actor, at, post in [
                    *((post.author, post.at, post) for post in there),
                    *((repost.actor, repost.at, repost.post) for repost in self.reposts),
                ]
            ),
        )
        await copy(
            "reposters",
            "author_id post_id actor_id entry_id",
            (
                (ids[repost.post.author], repost.post.at.id, ids[repost.actor], repost.at.id)
                for repost in self.reposts
            ),
        )
        await copy(
            "replies",
            "parent_author_id parent_id id author_id",
            (
                (ids[post.answers.author], post.answers.at.id, post.at.id, ids[post.author])
                for post in there
                if post.answers is not None
            ),
        )

    def person(self, server: Server, handle: str | None) -> Person:
        """The account as somebody who uses the server; None is a passer-by."""
        if handle is None:
            return server.passer_by()
        id = self.ids[handle]
        token, _ = server.application.parts.door.tokens.issue(id, id, datetime.now(UTC))
        return Person(server.url, server.http, handle=handle, id=user_gid(id), token=token)


def random_network(seed: int, *, accounts: int = 20, events: int = 200) -> Network:
    """Accounts who follow each other, and who posted, replied and reposted over the last four days.

    Times stand on a grid of six hours, give or take a microsecond, so that 24 hours exactly, and just not, are
    frequent; some entries share their time, or even their id, with another account's.
    """
    chance = random.Random(seed)
    network = Network()
    network.join(*(f"user{number:02}" for number in range(accounts)))
    handles = list(network.ids)
    start = datetime.now(UTC).replace(microsecond=500_000) - timedelta(days=4, hours=1)
    taken: set[tuple[str, int]] = set()

    def moment(actor: str, after: At | None) -> At | None:
        """A free place on the grid for the actor, later than something."""
        for _ in range(20):
            time = start + timedelta(
                hours=6 * chance.randrange(17), microseconds=chance.choice([-1, 0, 0, 1])
            )
            at = At(time, chance.randrange(4))
            if (actor, at.id) not in taken and (after is None or at.id > after.id):
                taken.add((actor, at.id))
                return at
        return None

    def answered(author: str) -> Post | None:
        own = [post for post in network.posts if post.author == author]
        return chance.choice(own if own and chance.random() < 0.2 else network.posts)

    def add_post(author: str) -> None:
        answers = answered(author) if network.posts and chance.random() < 0.45 else None
        at = moment(author, answers.at if answers else None)
        if at is not None:
            network.post(author, at, answers=answers)

    def add_repost(actor: str) -> None:
        # A few posts are reposted by many, so that reposts meet.
        post = chance.choice(network.posts[:: 7 if chance.random() < 0.6 else 1])
        at = moment(actor, post.at)
        if at is not None and not any(made.actor == actor and made.post == post for made in network.reposts):
            network.repost(actor, at, post)

    for _ in range(events):
        actor = handles[min(int(chance.expovariate(1 / 6)), accounts - 1)]
        if len(network.posts) < 10 or chance.random() < 0.55:
            add_post(actor)
        else:
            add_repost(actor)
    for follower in handles:
        # From nobody to everybody, some of them later than all that they brought in.
        for followee in chance.sample(handles, chance.choice([0, 2, 6, 6, 12, accounts])):
            if followee != follower:
                late = timedelta(days=chance.choice([0, 4]), minutes=10)
                network.follow(follower, followee, at=At(start + late, len(network.follows) % 2048))
    return network
