"""The whole demo network as rows, one iterator for each table, in the order of its columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from app.seed.activity import NO_PARENT, Activity, make_activity
from app.seed.people import HOUR, Person, make_people
from app.seed.texts import ARABIC, ENGLISH, post_text, reply_text
from app.seed.ties import Ties, make_ties
from dataloaders.rows import ID_SHIFT
from resolvers.text import text_direction

Row = tuple[Any, ...]


class Table(NamedTuple):
    """Rows for one table, and what they are to somebody who waits."""

    what: str
    name: str
    columns: tuple[str, ...]
    rows: Iterator[Row]
    total: int


@dataclass(frozen=True)
class Network:
    """People, their ties and what they did. The same numbers give the same network, moved to `now`."""

    people: list[Person]
    ties: Ties
    activity: Activity
    seed: int
    now: int

    @classmethod
    def made(cls, *, users: int, posts: int, seed: int, now: int) -> "Network":
        """Invent it: everything but the texts. `now` is in microseconds since the epoch of ids."""
        people = make_people(users, now, _random(seed, "people"))
        ties = make_ties(people, now, _random(seed, "ties"))
        activity = make_activity(people, ties, posts, now, _random(seed, "activity"))
        return cls(people, ties, activity, seed, now)

    @property
    def reply_count(self) -> int:
        return sum(self.activity.replies)

    @property
    def like_count(self) -> int:
        return sum(self.activity.likes)

    def tables(self, password_hash: str) -> list[Table]:
        """In the order in which they can be filled."""
        people, posts = len(self.people), len(self.activity.ids)
        follows, blocks = self.ties.follow_count, len(self.ties.blocks)
        reposts, replies = len(self.activity.repost_entries), self.reply_count
        users = "id handle display_name bio avatar_url follower_count following_count post_count"
        written = (
            "author_id id text direction reply_to_author_id reply_to_id like_count repost_count reply_count"
        )
        entries = "actor_id id post_author_id post_id reply_to_author_id"
        tables: list[tuple[str, str, str, Iterator[Row], int]] = [
            ("accounts", "users", users, self._users(), people),
            ("handles", "handles", "handle user_id", self._handles(), people),
            ("addresses", "emails", "email user_id", self._emails(), people),
            (
                "passwords",
                "credentials",
                "user_id email password_hash",
                self._credentials(password_hash),
                people,
            ),
            ("following", "following", "follower_id followee_id since_id", self._following(), follows),
            ("followers", "followers", "followee_id follower_id since_id", self._followers(), follows),
            ("blocks", "blocks", "blocker_id blocked_id since_id", self._blocks(), blocks),
            ("blocked by", "blocked_by", "blocked_id blocker_id since_id", self._blocked_by(), blocks),
            ("posts", "posts", written, self._posts(), posts),
            ("timelines", "entries", entries, self._entries(), posts + reposts),
            ("replies", "replies", "parent_author_id parent_id id author_id", self._replies(), replies),
            ("reposts", "reposters", "author_id post_id actor_id entry_id", self._reposters(), reposts),
            ("likes", "likes", "user_id author_id post_id", self._likes(), self.like_count),
        ]
        return [Table(what, name, tuple(names.split()), rows, n) for what, name, names, rows, n in tables]

    def _users(self) -> Iterator[Row]:
        written = [0] * len(self.people)
        for author in self.activity.authors:
            written[author] += 1
        ties = zip(self.ties.followers, self.ties.following, written, strict=True)
        for person, (followers, following, posts) in zip(self.people, ties, strict=True):
            yield (
                person.id,
                person.handle,
                person.name,
                person.bio,
                None,
                len(followers),
                len(following),
                posts,
            )

    def _handles(self) -> Iterator[Row]:
        return ((person.handle, person.id) for person in self.people)

    def _emails(self) -> Iterator[Row]:
        return ((email_of(person), person.id) for person in self.people)

    def _credentials(self, password_hash: str) -> Iterator[Row]:
        return ((person.id, email_of(person), password_hash) for person in self.people)

    def _following(self) -> Iterator[Row]:
        return self._pairs(self.ties.following)

    def _followers(self) -> Iterator[Row]:
        return self._pairs(self.ties.followers)

    def _pairs(self, lists: list[list[tuple[int, int]]]) -> Iterator[Row]:
        ids = [person.id for person in self.people]
        for one, others in zip(ids, lists, strict=True):
            for other, since in others:
                # The low bits are of no matter here, since the other account is part of the position.
                yield one, ids[other], since << ID_SHIFT

    def _blocks(self) -> Iterator[Row]:
        for one, other, since in self.ties.blocks:
            yield self.people[one].id, self.people[other].id, since << ID_SHIFT

    def _blocked_by(self) -> Iterator[Row]:
        return ((other, one, since) for one, other, since in self._blocks())

    def _posts(self) -> Iterator[Row]:
        """Written while they are sent, since the texts take most of the time."""
        random = _random(self.seed, "texts")
        dice = random.random
        people, following = self.people, self.ties.following
        activity = self.activity
        ids = [person.id for person in people]
        arabic = bytearray(len(activity.ids))
        columns = zip(
            activity.ids, activity.authors, activity.parents, activity.likes, activity.reposts,
            activity.replies, strict=True,
        )  # fmt: skip
        for nth, (id, author, parent, likes, reposts, replies) in enumerate(columns):
            if parent == NO_PARENT:

                def mention(author: int = author) -> str | None:
                    others = following[author]
                    return people[others[int(dice() * len(others))][0]].handle if others else None

                arabic[nth] = dice() < people[author].arabic_share
                hour = (self.now - (id >> ID_SHIFT)) // HOUR
                text = post_text(ARABIC if arabic[nth] else ENGLISH, hour, mention, dice)
                reply_to: tuple[int | None, int | None] = None, None
            else:
                arabic[nth] = arabic[parent]
                text = reply_text(ARABIC if arabic[nth] else ENGLISH, dice)
                reply_to = ids[activity.authors[parent]], activity.ids[parent]
            yield ids[author], id, text, text_direction(text), *reply_to, likes, reposts, replies

    def _author_id(self, post: int) -> int:
        return self.people[self.activity.authors[post]].id

    def _reply_to_author_id(self, post: int) -> int | None:
        parent = self.activity.parents[post]
        return None if parent == NO_PARENT else self._author_id(parent)

    def _entries(self) -> Iterator[Row]:
        for post, id in enumerate(self.activity.ids):
            author_id = self._author_id(post)
            yield author_id, id, author_id, id, self._reply_to_author_id(post)
        for id, actor, post in self.activity.repost_entries:
            key = self._author_id(post), self.activity.ids[post]
            yield self.people[actor].id, id, *key, self._reply_to_author_id(post)

    def _replies(self) -> Iterator[Row]:
        for post, parent in enumerate(self.activity.parents):
            if parent != NO_PARENT:
                answered = self._author_id(parent), self.activity.ids[parent]
                yield *answered, self.activity.ids[post], self._author_id(post)

    def _reposters(self) -> Iterator[Row]:
        for id, actor, post in self.activity.repost_entries:
            yield self._author_id(post), self.activity.ids[post], self.people[actor].id, id

    def _likes(self) -> Iterator[Row]:
        """In the order of the key, which PostgreSQL takes in twice as fast."""
        ids, authors = self.activity.ids, self.activity.authors
        author_ids = [person.id for person in self.people]
        for person, posts in zip(self.people, self.activity.liked, strict=True):
            for author_id, id in sorted([(author_ids[authors[post]], ids[post]) for post in posts]):
                yield person.id, author_id, id


def email_of(person: Person) -> str:
    """An address in the domain that belongs to nobody (RFC 2606)."""
    return f"{person.handle}@example.org"


def _random(seed: int, part: str) -> Random:
    """Each part has its own, so that a change in one leaves the others as they are."""
    return Random(f"{seed} {part}")
