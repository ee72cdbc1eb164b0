"""Reads of sessions."""

from collections.abc import Sequence
from datetime import datetime

from dataloaders.database import Statements
from dataloaders.rows import Pair, RotationRow
from sql import load

SESSIONS = load("sessions")


async def sessions_rotated_at(db: Statements, keys: Sequence[Pair]) -> list[datetime | None]:
    """When sessions, by account and id, were last refreshed, in the order asked; None for those that are over."""
    users, ids = [key[0] for key in keys], [key[1] for key in keys]
    rows = await db.many(RotationRow, SESSIONS["sessions_rotated_at"], users, ids)
    found = {(row.user_id, row.id): row.rotated_at for row in rows}
    return [found.get((key[0], key[1])) for key in keys]
