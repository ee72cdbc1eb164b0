"""Reads of what stands between accounts."""

from collections.abc import Sequence

from dataloaders.database import Statements
from dataloaders.posts import columns
from dataloaders.rows import IdsRow, Pair, RelationRow, SlicedUserRow, TieRow
from dataloaders.slices import Slice, read_slices
from sql import Query, load

TIES = load("ties")


async def viewer_side(db: Statements, viewer_id: int, keys: Sequence[int | Pair]) -> dict[int | Pair, TieRow]:
    """What the viewer has to do with accounts, by their ids, and with posts, by their keys."""
    posts = [key for key in keys if isinstance(key, tuple)]
    users = [key for key in keys if not isinstance(key, tuple)]
    rows = await db.many(TieRow, TIES["viewer_side"], viewer_id, users, *columns(posts))
    return {row.user_id if row.post_id is None else (row.user_id, row.post_id): row for row in rows}


async def followed_by(db: Statements, user_ids: Sequence[int]) -> list[list[int]]:
    """Whom each account follows, sorted. Asked for one account, the viewer, in all that is not a test."""
    return [(await db.one(IdsRow, TIES["followed_by"], id)).ids for id in user_ids]


async def relations(
    db: Statements,
    viewers: Sequence[int],
    users: Sequence[int],
    posts: Sequence[Pair],
    *,
    marks: bool,
    followed: bool,
) -> list[RelationRow]:
    """What stands between many viewers and a few accounts: blocks, with `followed` whom the viewers follow.

    With `marks` all follows, and likes and reposts.
    """
    return await db.many(RelationRow, TIES["relations"], viewers, users, *columns(posts), marks, followed)


def _columns(some: Sequence[Slice]) -> list[list[int]]:
    return [
        [item.owner[0] for item in some],
        [item.start.id for item in some],
        [item.start.tie for item in some],
    ]


async def _slices(
    db: Statements, slices: Sequence[Slice], down: Query, up: Query
) -> list[list[SlicedUserRow]]:
    return await read_slices(db, slices, SlicedUserRow, down, up, _columns)


async def followers(db: Statements, slices: Sequence[Slice]) -> list[list[SlicedUserRow]]:
    """Slices of accounts' followers; a slice's owner is (user_id,)."""
    return await _slices(db, slices, TIES["followers_down"], TIES["followers_up"])


async def following(db: Statements, slices: Sequence[Slice]) -> list[list[SlicedUserRow]]:
    """Slices of whom accounts follow; a slice's owner is (user_id,)."""
    return await _slices(db, slices, TIES["following_down"], TIES["following_up"])
