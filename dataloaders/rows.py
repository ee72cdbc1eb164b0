"""One row class per result shape. Fields stand in the order of the SELECT list; a test holds the two together.

Rows are tuples underneath, so building one from a record costs one allocation.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import IntFlag
from typing import Any, NamedTuple, TypeAlias

# The moment from which ids count; see new_id() in the first migration.
ID_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
ID_SHIFT = 11
# Positions in a keyset: below and above everything.
LOWEST = -1
HIGHEST = 2**63 - 1


# A named tuple at about half the price of calling its class; keys are made by the hundred for one page.
_new = tuple.__new__


def time_of(id: int) -> datetime:
    """When the thing with this id came to be, to the microsecond, in UTC."""
    return ID_EPOCH + timedelta(microseconds=id >> ID_SHIFT)


def id_at(moment: datetime) -> int:
    """The lowest id of that microsecond."""
    return ((moment - ID_EPOCH) // timedelta(microseconds=1)) << ID_SHIFT


def id_span(span: timedelta) -> int:
    """By how much ids differ that lie this far apart."""
    return (span // timedelta(microseconds=1)) << ID_SHIFT


# A PostKey or EntryKey as its two parts: the first columns of a post, the third and fourth of an entry. Equal to the
# key, and taken from a row without a call: a page looks up hundreds.
Pair: TypeAlias = tuple[int, int]


class Position(NamedTuple):
    """A place in a keyset: the ordering id, then what tells equal ones apart."""

    id: int
    tie: int


class PostKey(NamedTuple):
    """Which post: its author leads."""

    author_id: int
    id: int


class EntryKey(NamedTuple):
    """Which timeline entry: the account that put it there leads."""

    actor_id: int
    id: int


class IdRow(NamedTuple):
    id: int


class UserIdRow(NamedTuple):
    user_id: int


class TextRow(NamedTuple):
    text: str


class UserRow(NamedTuple):
    id: int
    handle: str
    display_name: str
    bio: str | None
    avatar_url: str | None
    follower_count: int
    following_count: int
    post_count: int


class HandleRow(NamedTuple):
    handle: str
    user_id: int


class PasswordRow(NamedTuple):
    password_hash: str


class SessionRow(NamedTuple):
    user_id: int
    id: int
    generation: int
    refresh_digest: bytes
    rotated_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class RotationRow(NamedTuple):
    user_id: int
    id: int
    rotated_at: datetime


class LevelRow(NamedTuple):
    level: float


class WaitRow(NamedTuple):
    seconds: float


class TieRow(NamedTuple):
    """What stands between the viewer and another account; or, with a post_id, what the viewer did with its post."""

    user_id: int
    post_id: int | None
    followed_by_viewer: bool
    follows_viewer: bool
    blocked_by_viewer: bool
    blocks_viewer: bool
    liked: bool
    reposted: bool


class Relation(IntFlag):
    """What may stand between a viewer and an account or a post."""

    FOLLOWED_BY_VIEWER = 1
    FOLLOWS_VIEWER = 2
    BLOCKED_BY_VIEWER = 4
    BLOCKS_VIEWER = 8
    LIKED = 16
    REPOSTED = 32


class RelationRow(NamedTuple):
    """One thing that stands between a viewer and an account or, with a post_id, its post: a bit of Relation."""

    viewer_id: int
    user_id: int
    post_id: int | None
    what: int


class SinceRow(NamedTuple):
    since_id: int


class IdsRow(NamedTuple):
    ids: list[int]


class PostRow(NamedTuple):
    """A post as stored, deleted ones excepted."""

    author_id: int
    id: int
    text: str
    direction: str
    reply_to_author_id: int | None
    reply_to_id: int | None
    like_count: int
    repost_count: int
    reply_count: int
    idempotency_key: str | None

    @property
    def key(self) -> PostKey:
        return _new(PostKey, (self.author_id, self.id))

    @property
    def reply_to(self) -> PostKey | None:
        if self.reply_to_author_id is None or self.reply_to_id is None:
            return None
        return _new(PostKey, (self.reply_to_author_id, self.reply_to_id))


POST_COLUMNS = len(PostRow._fields)


USER_COLUMNS = len(UserRow._fields) - 1


class AuthoredPostRow(NamedTuple):
    """A post as stored, its author, and who of some accounts reposted it, with their entries."""

    author_id: int
    id: int
    text: str
    direction: str
    reply_to_author_id: int | None
    reply_to_id: int | None
    like_count: int
    repost_count: int
    reply_count: int
    idempotency_key: str | None
    handle: str
    display_name: str
    bio: str | None
    avatar_url: str | None
    follower_count: int
    following_count: int
    post_count: int
    actor_ids: list[int] | None
    entry_ids: list[int] | None

    @property
    def key(self) -> PostKey:
        return _new(PostKey, self[:2])

    @property
    def post(self) -> PostRow:
        return _new(PostRow, self[:POST_COLUMNS])

    @property
    def author(self) -> UserRow:
        return _new(UserRow, (self[0], *self[POST_COLUMNS : POST_COLUMNS + USER_COLUMNS]))

    @property
    def reposts(self) -> "list[RepostRow]":
        if self.actor_ids is None or self.entry_ids is None:
            return []
        return [
            RepostRow(self.author_id, self.id, actor_id, entry_id)
            for actor_id, entry_id in zip(self.actor_ids, self.entry_ids, strict=True)
        ]


class KeyedPostRow(NamedTuple):
    """A post found by its idempotency key, also when it was deleted since."""

    author_id: int
    id: int
    text: str
    direction: str
    reply_to_author_id: int | None
    reply_to_id: int | None
    like_count: int
    repost_count: int
    reply_count: int
    idempotency_key: str | None
    deleted: bool


class PostIdRow(NamedTuple):
    post_id: int


class EntryRow(NamedTuple):
    """One coming of a post into timelines."""

    actor_id: int
    id: int
    post_author_id: int
    post_id: int
    reply_to_author_id: int | None

    @property
    def key(self) -> EntryKey:
        return _new(EntryKey, (self.actor_id, self.id))

    @property
    def post_key(self) -> PostKey:
        return _new(PostKey, (self.post_author_id, self.post_id))

    @property
    def position(self) -> Position:
        """Where the entry stands in every timeline that has it."""
        return _new(Position, (self.id, self.actor_id))

    @property
    def is_repost(self) -> bool:
        return self.id != self.post_id


def positions_of(entries: Iterable[EntryRow]) -> list[Position]:
    """Where the entries stand."""
    return [_new(Position, (entry[1], entry[0])) for entry in entries]


class RepostRow(NamedTuple):
    author_id: int
    post_id: int
    actor_id: int
    entry_id: int


class ReposterRow(NamedTuple):
    actor_id: int
    entry_id: int


class SlicedPostRow(NamedTuple):
    """A post's key in the slice of the nth list that was asked for."""

    nth: int
    id: int
    author_id: int


class SlicedUserRow(NamedTuple):
    """An account in the slice of the nth list; id is its position there."""

    nth: int
    id: int
    user_id: int


class HeadRow(NamedTuple):
    epoch: str
    number: int


class NumberRow(NamedTuple):
    number: int


class LogRow(NamedTuple):
    number: int
    owner_id: int
    kind: str
    public: bool
    data: dict[str, Any]


class LeaseRow(NamedTuple):
    """The number of the newest event, and the number below which there are partitions."""

    number: int
    room: int


class RoomRow(NamedTuple):
    room: int | None


class FloorRow(NamedTuple):
    number: int | None


class MovedRow(NamedTuple):
    number: int
    moved: int


class SentRow(NamedTuple):
    sent: int


class FanoutRow(NamedTuple):
    author_id: int
    id: int
    post_id: int
    kind: str
    after_actor: int
