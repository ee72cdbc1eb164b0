"""Pages of the timelines, and single entries."""

import struct
from collections.abc import Iterable, Sequence

from dataloaders.entries import ENTRIES
from dataloaders.rows import EntryKey, EntryRow, Position, positions_of
from resolvers.context import Context
from resolvers.home import home_of
from resolvers.home_entries import HomeEntries
from resolvers.paging import Page, page_request, read_page
from resolvers.visibility import VisibleEntry, VisibleUser, visible_entries, visible_entry, visible_users

_SORT_KEY = struct.Struct(">qq")
HOME = "h"
PUBLIC = "p"


async def home_page(
    ctx: Context,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Page[VisibleEntry]:
    """A page of the viewer's home timeline. Raises Unauthenticated, BadInput, InvalidCursor."""
    ctx.require_viewer()
    request = page_request(HOME, first, after, last, before)
    return await read_page(HomeEntries(ctx, await home_of(ctx)), request)


class PublicEntries:
    """The public timeline as a source of pages: everybody's posts, no replies and no reposts."""

    descending = True

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def positions(self, entries: Sequence[EntryRow]) -> list[Position]:
        return positions_of(entries)

    async def fetch(self, start: Position, down: bool, limit: int) -> list[EntryRow]:
        query = ENTRIES["public_entries_down" if down else "public_entries_up"]
        async with self._ctx.db.turn() as db:
            return await db.many(EntryRow, query, *start, limit)

    async def admit(self, entries: Sequence[EntryRow]) -> list[VisibleEntry | None]:
        return await visible_entries(self._ctx, entries)


async def public_page(
    ctx: Context,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Page[VisibleEntry]:
    """A page of the public timeline. Raises BadInput, InvalidCursor."""
    return await read_page(PublicEntries(ctx), page_request(PUBLIC, first, after, last, before))


async def entry_by_key(ctx: Context, key: EntryKey) -> VisibleEntry | None:
    """One entry, None when it is not there for the viewer."""
    return await visible_entry(ctx, key)


async def reposters_of(ctx: Context, entries: Sequence[VisibleEntry]) -> list[VisibleUser | None]:
    """Who reposted, None where the entry is the post itself."""
    actors = [entry.row.actor_id if entry.row.is_repost else None for entry in entries]
    wanted = [actor for actor in actors if actor is not None]
    users = iter(await visible_users(ctx, wanted, whole=len(entries) > 1))
    return [None if actor is None else next(users) for actor in actors]


def sort_keys(entries: Iterable[EntryRow]) -> list[str]:
    """They compare, as ASCII, as the timeline is sorted; unique in a timeline."""
    pack = _SORT_KEY.pack
    return [pack(entry.id, entry.actor_id).hex() for entry in entries]
