"""Pages of lists whose items may be hidden from the viewer.

A cursor is a position in a keyset, never an offset. A page is walked from its cursor on and refilled while it is
short, so hidden items neither end it early nor leave holes; both flags are found by looking for a visible item.
"""

import base64
import binascii
import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Generic, NamedTuple, Protocol, TypeVar

from dataloaders.rows import HIGHEST, LOWEST, Position
from resolvers.errors import BadInput, InvalidCursor
from resolvers.ids import url_safe, url_safe_each

Candidate = TypeVar("Candidate")
Shown = TypeVar("Shown")
ShownOut = TypeVar("ShownOut", covariant=True)

_POSITION = struct.Struct(">qq")
MAX_PAGE = 100
DEFAULT_PAGE = 20
# A refill never asks for more candidates at once than this.
MAX_CHUNK = 500


class PageRequest(NamedTuple):
    """How many items, in which direction along the list, from where (None: from the end of the list)."""

    size: int
    forward: bool
    cursor: Position | None


class Item(NamedTuple, Generic[Shown]):
    """A visible item and its position."""

    position: Position
    node: Shown


class Page(NamedTuple, Generic[Shown]):
    """Items in the list's own order, and whether a visible one follows at either side."""

    items: list[Item[Shown]]
    has_next: bool
    has_previous: bool


class Source(Protocol[Candidate, ShownOut]):
    """A list as stored, and the gate before it."""

    # Whether the list runs from high ids to low ones, as timelines do.
    descending: bool

    async def fetch(self, start: Position, down: bool, limit: int) -> Sequence[Candidate]:
        """At most `limit` candidates from a position (not included) on; fewer only at the list's end."""

    async def admit(self, candidates: Sequence[Candidate]) -> Sequence[ShownOut | None]:
        """Each candidate as the viewer may see it, None when hidden."""

    def positions(self, candidates: Sequence[Candidate]) -> Sequence[Position]:
        """Where each candidate stands."""


def encode_cursor(kind: str, position: Position) -> str:
    """An opaque cursor into lists of this kind (one letter)."""
    return url_safe(kind.encode() + _POSITION.pack(*position))


def encode_cursors(kind: str, positions: Iterable[tuple[int, int]]) -> list[str]:
    """The cursors of many positions."""
    letter = kind.encode()
    values = list(chain.from_iterable([(letter, id, tie) for id, tie in positions]))
    return url_safe_each("", "cqqx", 23, values)


def decode_cursor(kind: str, text: str) -> Position:
    """The position. Raises InvalidCursor for anything that was not a cursor of such a list."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) < 64 else b""
        position = Position(*_POSITION.unpack(data[1:]))
    except (ValueError, binascii.Error, struct.error):
        position = Position(LOWEST, LOWEST)
    # Nothing stands at the ends of the range, and from just within it a page can step to either side.
    if not all(0 < part < HIGHEST for part in position) or encode_cursor(kind, position) != text:
        raise InvalidCursor("This cursor does not belong to this list. Start again from the top.")
    return position


def page_request(
    kind: str,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> PageRequest:
    """The request that a connection's arguments make; null is the same as absent.

    Raises BadInput for counts outside 0 to 100 and mixed directions, InvalidCursor for a foreign cursor.
    """
    forward = last is None and before is None
    if not forward and (first is not None or after is not None):
        raise BadInput("Page in one direction: either first with after, or last with before.")
    size = first if forward else last
    if size is None:
        size = DEFAULT_PAGE
    name = "first" if forward else "last"
    if size < 0:
        raise BadInput(f"'{name}' must not be negative: ask for 0 to {MAX_PAGE}.")
    if size > MAX_PAGE:
        raise BadInput(f"'{name}' is {size}, which is too many: ask for at most {MAX_PAGE} and page on.")
    cursor = after if forward else before
    return PageRequest(size, forward, None if cursor is None else decode_cursor(kind, cursor))


def end_of(down: bool) -> Position:
    """The position before the first item of a walk in this direction."""
    return Position(HIGHEST, HIGHEST) if down else Position(LOWEST, LOWEST)


async def read_page(source: Source[Candidate, Shown], request: PageRequest) -> Page[Shown]:
    """The page. The number of statements does not depend on its size, unless much of it is hidden."""
    down = source.descending == request.forward
    behind = False
    if request.cursor is None:
        found = await _walk(source, end_of(down), down, request.size + 1)
    else:
        # The cursor's own item usually is still there, and then says that something lies behind.
        including = Position(request.cursor.id, request.cursor.tie + (1 if down else -1))
        found = await _walk(source, including, down, request.size + 2)
        if found and found[0].position == request.cursor:
            behind, found = True, found[1:]
        else:
            behind = bool(await _walk(source, request.cursor, not down, 1))
    ahead = len(found) > request.size
    items = found[: request.size]
    if request.forward:
        return Page(items, has_next=ahead, has_previous=behind)
    return Page(items[::-1], has_next=behind, has_previous=ahead)


async def _walk(
    source: Source[Candidate, Shown], start: Position, down: bool, want: int
) -> list[Item[Shown]]:
    found: list[Item[Shown]] = []
    make = tuple.__new__  # half the price of calling the class
    # Some more than wanted, since a few are usually hidden and a refill costs as much as a page.
    chunk = want + 5
    while True:
        candidates = await source.fetch(start, down, chunk)
        shown = await source.admit(candidates)
        positions = source.positions(candidates)
        found += [
            make(Item, (position, node))
            for position, node in zip(positions, shown, strict=True)
            if node is not None
        ]
        if len(found) >= want or len(candidates) < chunk:
            return found[:want]
        start = positions[-1]
        chunk = min(chunk * 2, MAX_CHUNK)
