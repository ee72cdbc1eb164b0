"""What every use case is given: who asks, the database, the loaders, and the services of the process."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from dataloaders.database import Session
from dataloaders.loaders import Loaders
from dataloaders.log import log_head
from dataloaders.rows import HeadRow, LogRow
from resolvers.errors import Unauthenticated


class Viewer(NamedTuple):
    """The account that asks, and the session it signed in with."""

    id: int
    session_id: int


class Batch(NamedTuple):
    """Events in log order. `seen` is the number up to which the hub has read the log.

    `quiet`: nothing came for a while. `lost`: the log does not go on where it was; nothing can be proved.
    """

    rows: list[LogRow]
    seen: int
    quiet: bool = False
    lost: bool = False


class Listener(Protocol):
    """One stream's events, from the moment it was made on."""

    def widen(self, owners: Iterable[int]) -> None:
        """Hear what concerns these owners, and nobody else but the one it was made for."""

    def events(self) -> AsyncIterator[Batch]:
        """Batches as they come. Raises TooSlow when the listener did not keep up."""


class Bus(Protocol):
    """Wakes those who wait for events; implemented by the live hub. It may be down: nothing depends on it."""

    def ring(self) -> None:
        """Something was committed to the outbox."""

    def listen(self, *, owners: Iterable[int], public: bool) -> AbstractAsyncContextManager[Listener]:
        """A listener for the owners' events or, with `public`, for all public ones."""

    def position(self) -> HeadRow | None:
        """How far the log was read here a moment ago; None when that cannot be told."""

    def revoke(self, session_id: int) -> None:
        """Refuse the session's access tokens here from now on; the log tells the other workers."""


class PasswordHasher(Protocol):
    """Hashes passwords off the event loop."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, hash: str | None) -> bool: ...


class AccessTokenIssuer(Protocol):
    """Signs access tokens."""

    def issue(self, user_id: int, session_id: int, now: datetime) -> tuple[str, datetime]: ...


class RefreshClaims(Protocol):
    """What an authentic refresh token says."""

    @property
    def user_id(self) -> int: ...
    @property
    def session_id(self) -> int: ...
    @property
    def generation(self) -> int: ...


class RefreshTokenMaker(Protocol):
    """Makes and reads refresh tokens; see app/refresh.py."""

    def first(self, user_id: int, session_id: int) -> str: ...

    def successor(self, token: str) -> str: ...

    def parse(self, token: str) -> RefreshClaims | None: ...

    def digest(self, token: str) -> bytes: ...


class Allowance(NamedTuple):
    """How many attempts a bucket holds, and over what time it runs dry."""

    attempts: int
    per: timedelta


class Limits(NamedTuple):
    """Attempts at signing up and in."""

    sign_in_per_account: Allowance = Allowance(10, timedelta(minutes=15))
    sign_in_per_address: Allowance = Allowance(100, timedelta(minutes=15))
    sign_up_per_address: Allowance = Allowance(200, timedelta(hours=1))


class Spending(NamedTuple):
    """What an operation cost, and the budget that paid: points it holds, points left, seconds until it is full."""

    cost: int
    limit: int
    remaining: int
    resets_in: float


@dataclass(frozen=True, slots=True)
class Services:
    """What the process provides to use cases, wired in app/parts.py."""

    bus: Bus
    passwords: PasswordHasher
    access_tokens: AccessTokenIssuer
    refresh_tokens: RefreshTokenMaker
    refresh_lifetime: timedelta
    limits: Limits


@dataclass(slots=True)
class Context:
    """One operation's, or one live event's, surroundings. `find_address` finds the client's, for limits."""

    db: Session
    viewer: Viewer | None
    services: Services
    language: str = "en"
    find_address: Callable[[], str] = str
    # Whether the operation asks what the viewer did with posts.
    reads_marks: bool = False
    # What the operation cost; None where no budget is kept.
    spending: Spending | None = None
    _loaders: Loaders | None = field(init=False, default=None)
    _position: HeadRow | None = field(init=False, default=None)

    @property
    def loaders(self) -> Loaders:
        """The operation's loaders, made when the first of them is asked."""
        if self._loaders is None:
            self._loaders = Loaders(self.db, self.viewer_id)
        return self._loaders

    @property
    def viewer_id(self) -> int | None:
        """The viewer's account, None when anonymous."""
        return None if self.viewer is None else self.viewer.id

    @property
    def address(self) -> str:
        """What attempts of this client are counted by."""
        return self.find_address()

    def require_viewer(self) -> Viewer:
        """The viewer. Raises Unauthenticated when anonymous."""
        if self.viewer is None:
            raise Unauthenticated
        return self.viewer

    async def position(self) -> HeadRow:
        """A position in the log, taken once: everything up to it is seen by whatever is read afterwards."""
        if self._position is None:
            self._position = self.services.bus.position()
        if self._position is None:
            async with self.db.turn() as db:
                self._position = await log_head(db)
        return self._position

    async def renew(self) -> None:
        """Forget all that was read: the next live event is resolved on the state of its time."""
        await self.db.release()
        self._loaders = None
        self._position = None

    def changed(self) -> None:
        """Forget all that was read, after a mutation changed it."""
        self._loaders = None
