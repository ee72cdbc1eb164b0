"""Reads of posts, their replies and what the viewer did with them."""

from collections.abc import Callable, Collection, Mapping, Sequence

from dataloaders.database import Statements
from dataloaders.rows import AuthoredPostRow, Pair, PostRow, SlicedPostRow, UserRow
from dataloaders.slices import Slice, read_slices
from sql import load

POSTS = load("posts")


def columns(keys: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Pairs of keys as two columns for unnest."""
    return [owner for owner, _ in keys], [id for _, id in keys]


async def posts_with_reposts(
    db: Statements, keys: Sequence[Pair], actor_ids: Collection[int]
) -> list[AuthoredPostRow]:
    """Those of the posts that were not deleted, with their authors and their reposts by these accounts."""
    return await db.many(AuthoredPostRow, POSTS["posts_by_keys"], *columns(keys), actor_ids)


async def posts_by_keys(
    db: Statements, keys: Sequence[Pair], know_users: Callable[[Mapping[int, UserRow]], None]
) -> list[PostRow | None]:
    """Posts that were not deleted, in the order asked. Their authors come along, and are told to `know_users`."""
    rows = await posts_with_reposts(db, keys, ())
    know_users({row.author_id: row.author for row in rows})
    found: dict[Pair, PostRow] = {row[:2]: row.post for row in rows}
    return [found.get(key) for key in keys]


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
