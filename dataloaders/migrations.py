"""Which migrations a database has."""

from typing import NamedTuple

from dataloaders.database import Statements
from sql import load

MIGRATIONS = load("migrations")


class VersionRow(NamedTuple):
    version: str


async def applied_migrations(db: Statements) -> set[str]:
    """The versions that were applied."""
    return {row.version for row in await db.many(VersionRow, MIGRATIONS["applied_migrations"])}
