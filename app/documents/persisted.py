"""Documents that clients ask for by an id: trusted ones from PostgreSQL, registered ones from Valkey."""

import time
from collections import OrderedDict

from app.live.texts import SharedTexts
from dataloaders.database import Database
from dataloaders.documents import trusted_document

# Ids of trusted documents whose text is kept, in number and in characters.
KEPT_IDS, KEPT_CHARACTERS = 5_000, 10_000_000
# Seconds for which an id that is not known is not looked up again: an import is noticed after this time.
UNKNOWN_SECONDS = 1.0


class PersistedDocuments:
    """Texts by id."""

    def __init__(self, database: Database, shared: SharedTexts) -> None:
        self._database, self._shared = database, shared
        self._trusted: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def trusted(self, id: str) -> str | None:
        """The text of a trusted document, by its id in the manifest or its SHA-256. Raises DatabaseUnavailable."""
        found = self._trusted.get(id)
        if found is not None:
            self._trusted.move_to_end(id)
            return found
        if self._unknown.get(id, 0.0) > time.monotonic():
            return None
        async with self._database.opened() as session, session.turn() as db:
            found = await trusted_document(db, id)
        if found is None:
            self._unknown[id] = time.monotonic() + UNKNOWN_SECONDS
            if len(self._unknown) > KEPT_IDS:
                self._unknown.popitem(last=False)
            return None
        if id not in self._trusted:
            self._characters += len(found)
        self._trusted[id] = found
        while len(self._trusted) > KEPT_IDS or self._characters > KEPT_CHARACTERS:
            self._characters -= len(self._trusted.popitem(last=False)[1])
        return found

    async def registered(self, digest: str) -> str | None:
        """The text that a client registered, by its SHA-256 as hexadecimal digits."""
        return await self._shared.get(digest)

    async def register(self, digest: str, text: str) -> None:
        """Let the other workers know this text."""
        await self._shared.put(digest, text)
