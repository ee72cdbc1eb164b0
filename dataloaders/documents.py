"""Documents that the operator trusts."""

from dataloaders.database import Statements
from dataloaders.rows import TextRow
from sql import load

DOCUMENTS = load("documents")


async def trusted_document(db: Statements, id: str) -> str | None:
    """The text of the document with this id."""
    row = await db.maybe(TextRow, DOCUMENTS["trusted_document"], id)
    return None if row is None else row.text


async def trust_document(db: Statements, id: str, text: str) -> bool | None:
    """Let this id stand for this text: whether that is new. None when it stands for another one, for ever."""
    if await db.maybe(TextRow, DOCUMENTS["trust_document"], id, text) is not None:
        return True
    return False if await trusted_document(db, id) == text else None
