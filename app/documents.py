"""What is kept of documents that clients send: bounded in number and in length, whatever they send."""

from collections import OrderedDict
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class DocumentCache(Generic[Kept]):
    """What was made of the documents used last, by their text.

    `longest` is the length up to which a document is kept at all; `characters` bounds all of them together.
    """

    def __init__(self, *, documents: int, characters: int, longest: int) -> None:
        self._documents = documents
        self._characters = characters
        self._longest = longest
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self.characters = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, text: str) -> Kept | None:
        """What is kept of this document."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
        return found

    def keep(self, text: str, made: Kept) -> None:
        """Keep this, and forget what was not used for longest."""
        if len(text) > self._longest:
            return
        if text not in self._kept:
            self.characters += len(text)
        self._kept[text] = made
        while len(self._kept) > self._documents or self.characters > self._characters:
            forgotten, _ = self._kept.popitem(last=False)
            self.characters -= len(forgotten)
