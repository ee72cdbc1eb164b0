"""Reads of accounts."""

from collections.abc import Sequence

from dataloaders.database import Statements
from dataloaders.rows import HandleRow, UserRow
from sql import load

USERS = load("users")


async def users_by_ids(db: Statements, ids: Sequence[int]) -> list[UserRow | None]:
    """Accounts in the order asked; None where there is none."""
    found = {row.id: row for row in await db.many(UserRow, USERS["users_by_ids"], ids)}
    return [found.get(id) for id in ids]


async def user_ids_by_handles(db: Statements, handles: Sequence[str]) -> list[int | None]:
    """The ids behind folded handles."""
    rows = await db.many(HandleRow, USERS["user_ids_by_handles"], handles)
    found = {row.handle: row.user_id for row in rows}
    return [found.get(handle) for handle in handles]
