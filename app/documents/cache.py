"""What is kept of documents that clients send: bounded in number and in bytes, whatever they send."""

from collections import OrderedDict
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class DocumentCache(Generic[Kept]):
    """What was made of the documents used last, by their SHA-256.

    Each has a size in bytes, said by whoever keeps it. `longest` is the size up to which one is kept at all; `size`
    bounds all of them together, `documents` their number.
    """

    def __init__(self, *, documents: int, size: int, longest: int) -> None:
        self._documents = documents
        self._size = size
        self._longest = longest
        self._kept: OrderedDict[bytes, tuple[Kept, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: bytes) -> Kept | None:
        """What is kept of this document."""
        found = self._kept.get(digest)
        if found is None:
            return None
        self._kept.move_to_end(digest)
        return found[0]

    def keep(self, digest: bytes, made: Kept, size: int) -> None:
        """Keep this, and forget what was not used for longest."""
        self.forget(digest)
        if size > self._longest:
            return
        self._kept[digest] = made, size
        self.size += size
        while len(self._kept) > self._documents or self.size > self._size:
            self.forget(next(iter(self._kept)))

    def forget(self, digest: bytes) -> None:
        """Keep it no longer."""
        found = self._kept.pop(digest, None)
        if found is not None:
            self.size -= found[1]
