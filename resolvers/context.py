"""What every use case is given: who asks, the database, the loaders, and the services of the process."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dataloaders.database import Session
from dataloaders.loaders import Loaders
from dataloaders.log import log_head
from dataloaders.rows import HeadRow, LogRow, Pair, TieRow
from resolvers.errors import Unauthenticated

if TYPE_CHECKING:
    from resolvers.home import Home


class Viewer(NamedTuple):
    """The account that asks, and the session it signed in with."""

    id: int
    session_id: int


class Reader(Protocol):
    """Whoever watches a timeline: `home` is whose entries come in; the public one has none."""

    @property
    def viewer_id(self) -> int | None: ...
    @property
    def home(self) -> "Home | None": ...


class Watcher(Reader, Protocol):
    """A reader, and of which timeline."""

    @property
    def kind(self) -> str: ...


class Listener(Protocol):
    """Tells one stream that something concerns it."""

    def hear(self, home: "Home | None") -> None:
        """Hear what concerns these accounts from now on."""

    def check(self) -> None:
        """Raises TooSlow when more was missed than any may."""

    async def wait(self, seconds: float) -> bool:
        """Wait until something comes; False when nothing did for so long."""


class Bus(Protocol):
    """Wakes those who wait for events; implemented by the live hub. It may be down: nothing depends on it."""

    @property
    def head(self) -> HeadRow:
        """How far the log was read here."""

    @property
    def catching_up(self) -> AbstractAsyncContextManager[None]:
        """Held while a stream that catches up reads."""

    def ring(self) -> None:
        """Something was committed to the outbox."""

    def listen(self, watcher: Watcher) -> AbstractContextManager[Listener]:
        """A listener for what concerns a stream."""

    def recent(self, reader: Reader, after: int, up_to: int, limit: int) -> list[LogRow] | None:
        """The reader's next events up to a number, from memory; None when they are not there any more."""

    def is_reset(self, watcher: Watcher, after: int) -> bool:
        """Whether a newer event, of those in memory, changes more of the timeline than events can tell."""

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

    def shared(self, viewer: Viewer | None, ties: Mapping[int | Pair, TieRow]) -> "Context":
        """The surroundings of all viewers to whom something looks as it does to this one.

        Posts and accounts are known as far as they are here; of the viewer nothing is known but these ties.
        """
        made = Context(self.db, viewer, self.services, self.language)
        made._loaders = self.loaders.shared(made.viewer_id, ties)
        return made

    async def renew(self) -> None:
        """Forget all that was read: the next live event is resolved on the state of its time."""
        await self.db.release()
        self._loaders = None
        self._position = None

    def changed(self) -> None:
        """Forget all that was read, after a mutation changed it."""
        self._loaders = None
