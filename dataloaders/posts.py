"""Reads of posts, their replies and what the viewer did with them."""

from collections.abc import Sequence
from itertools import starmap

from dataloaders.database import Statements
from dataloaders.rows import MarksRow, PostKey, PostRow, SlicedPostRow
from dataloaders.slices import Slice, read_slices
from sql import load

POSTS = load("posts")


def columns(keys: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Pairs of keys as two columns for unnest."""
    return [owner for owner, _ in keys], [id for _, id in keys]


async def posts_by_keys(db: Statements, keys: Sequence[PostKey]) -> list[PostRow | None]:
    """Posts that were not deleted, in the order asked."""
    found = {row.key: row for row in await db.many(PostRow, POSTS["posts_by_keys"], *columns(keys))}
    return [found.get(key) for key in keys]


async def marks_of_viewer(db: Statements, viewer_id: int, keys: Sequence[PostKey]) -> list[MarksRow]:
    """Whether the viewer liked and reposted each post."""
    rows = await db.many(MarksRow, POSTS["marks_of_viewer"], viewer_id, *columns(keys))
    found = {PostKey(row.author_id, row.id): row for row in rows}
    return list(starmap(lambda author_id, id: found[PostKey(author_id, id)], keys))


async def replies(db: Statements, slices: Sequence[Slice]) -> list[list[SlicedPostRow]]:
    """Slices of the replies to posts; a slice's owner is (author_id, post_id)."""
    return await read_slices(
        db,
        slices,
        SlicedPostRow,
        POSTS["replies_down"],
        POSTS["replies_up"],
        lambda some: [
            [item.owner[0] for item in some],
            [item.owner[1] for item in some],
            [item.start.id for item in some],
            [item.start.tie for item in some],
        ],
    )
