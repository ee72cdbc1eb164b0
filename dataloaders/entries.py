"""Reads of timeline entries."""

from collections.abc import Sequence

from dataloaders.database import Statements
from dataloaders.posts import columns
from dataloaders.rows import EntryKey, EntryRow, SlicedPostRow
from dataloaders.slices import Slice, read_slices
from sql import load

ENTRIES = load("entries")


async def entries_by_keys(db: Statements, keys: Sequence[EntryKey]) -> list[EntryRow | None]:
    """Entries in the order asked."""
    found = {row.key: row for row in await db.many(EntryRow, ENTRIES["entries_by_keys"], *columns(keys))}
    return [found.get(key) for key in keys]


async def own_posts(db: Statements, slices: Sequence[Slice]) -> list[list[SlicedPostRow]]:
    """Slices of accounts' posts without replies and reposts; a slice's owner is (user_id,)."""
    return await read_slices(
        db,
        slices,
        SlicedPostRow,
        ENTRIES["own_posts_down"],
        ENTRIES["own_posts_up"],
        lambda some: [[item.owner[0] for item in some], [item.start.id for item in some]],
    )
