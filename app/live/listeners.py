"""Who listens in this process, and the index that finds those whom an event concerns."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from dataloaders.rows import LogRow
from resolvers.errors import TooSlow

if TYPE_CHECKING:
    from resolvers.home import Home

# Events that a listener may fall behind before it is closed; it comes back with its cursor.
QUEUE = 1000
# Listeners to one account up to which a tuple holds them: a set of one takes 216 bytes, and most have few. The only one
# is held by itself: a tuple of one takes 64 bytes.
FEW = 8


class Group(Protocol):
    """Listeners that are served together."""

    def offer(self, row: LogRow, listeners: "Sequence[Listener]") -> None:
        """An event came that concerns these of them."""


class Listener:
    """One stream here. While it is in a group, the group serves it; else it only counts what it misses."""

    # Idle streams are many: what each of them holds counts.
    __slots__ = ("_index", "group", "home", "missed", "owners", "sent", "viewer_id")

    def __init__(self, index: "Listeners", viewer_id: int | None) -> None:
        self._index = index
        self.viewer_id = viewer_id
        self.home: Home | None = None
        self.owners: Collection[int] = ()
        self.group: Group | None = None
        # Events up to this number do not concern it any more.
        self.sent = 0
        # Events that came while it was in no group.
        self.missed = 0

    def hear(self, home: "Home | None") -> None:
        """Hear what concerns the accounts of this home, or, without one, the viewer."""
        if home is not None:
            owners: Collection[int] = home.actors
        else:
            owners = () if self.viewer_id is None else (self.viewer_id,)
        if owners is not self.owners:
            self._index.move(self, owners)
        self.home = home

    def miss(self) -> None:
        """An event came, and no group serves the listener."""
        self.missed += 1

    def lose(self) -> None:
        """The log does not go on where it was: nothing can be proved from here."""


class Waiting(Listener):
    """A stream that reads by itself, whenever something comes."""

    __slots__ = ("_wake",)

    def __init__(self, index: "Listeners", viewer_id: int | None) -> None:
        super().__init__(index, viewer_id)
        self._wake = asyncio.Event()

    def miss(self) -> None:
        super().miss()
        self._wake.set()

    def lose(self) -> None:
        self._wake.set()

    def check(self) -> None:
        """Raises TooSlow when more was missed than any may."""
        if self.missed > QUEUE:
            raise TooSlow

    async def wait(self, seconds: float) -> bool:
        """Wait until something comes; False when nothing did for so long."""
        self.missed = 0
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            # Something may have come in the very moment in which the patience ended.
            if not self._wake.is_set():
                return False
        self._wake.clear()
        return True


class Listeners:
    """All of this process, by the accounts that concern them."""

    def __init__(self) -> None:
        self._by_owner: dict[int, Listener | tuple[Listener, ...] | set[Listener]] = {}
        self.public: set[Listener] = set()
        self.all: set[Listener] = set()

    def add(self, listener: Listener, *, public: bool) -> None:
        """One more; it hears nothing but, with `public`, what is public."""
        self.all.add(listener)
        if public:
            self.public.add(listener)

    def remove(self, listener: Listener) -> None:
        """It listens no longer."""
        self.all.discard(listener)
        self.public.discard(listener)
        self.move(listener, ())

    def move(self, listener: Listener, owners: Collection[int]) -> None:
        """Change whose events it hears."""
        for owner in listener.owners:
            self._forget(owner, listener)
        for owner in owners:
            found = self._of(owner)
            if isinstance(found, set):
                found.add(listener)
            elif not found:
                self._by_owner[owner] = listener
            elif len(found) < FEW:
                self._by_owner[owner] = (*found, listener)
            else:
                self._by_owner[owner] = {*found, listener}
        listener.owners = owners

    def _of(self, owner: int) -> tuple[Listener, ...] | set[Listener]:
        found = self._by_owner.get(owner, ())
        return (found,) if isinstance(found, Listener) else found

    def _forget(self, owner: int, listener: Listener) -> None:
        found = self._of(owner)
        if isinstance(found, set) and len(found) > 1:
            found.discard(listener)
            return
        left = [one for one in found if one is not listener]
        if not left:
            del self._by_owner[owner]
        else:
            self._by_owner[owner] = left[0] if len(left) == 1 else tuple(left)

    def owners(self) -> Iterable[int]:
        """The accounts whose events anybody hears."""
        return self._by_owner.keys()

    def hearing(self, row: LogRow) -> Collection[Listener]:
        """Those whom an event concerns, each once."""
        found = self._of(row.owner_id)
        if not row.public or not self.public:
            return found
        # Copied: who is told may leave.
        return self.public.union(found)
