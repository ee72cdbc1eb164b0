"""What a client accepts: the media type of an answer and how it may be compressed (RFC 9110, 12.5).

Clients repeat a handful of headers, so what was made of them is kept.
"""

from functools import lru_cache
from typing import NamedTuple

# Longer ones are no client's; they count as if they were absent.
LONGEST_HEADER = 1_000

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
EVENTS = "text/event-stream"
# The best first, for clients that do not care: zstd takes the least time, br a little less room.
ENCODINGS = ("zstd", "br", "gzip")


class Accepted(NamedTuple):
    """What an Accept header asks for.

    `json`: the JSON type to answer with, None when none is accepted. `by_name`: it was named, not a wildcard's.
    `events`: a stream of events is accepted, by name; `events_first`: it is preferred to JSON.
    """

    json: str | None
    by_name: bool
    events: bool
    events_first: bool


class _Range(NamedTuple):
    value: str
    quality: float
    place: int


ANYTHING = Accepted(PLAIN_JSON, by_name=False, events=False, events_first=False)


def accepted(header: str | None) -> Accepted:
    """What is accepted; anything when the header is absent."""
    if header is None or not header.strip() or len(header) > LONGEST_HEADER:
        return ANYTHING
    return _accepted(header)


@lru_cache(maxsize=512)
def _accepted(header: str) -> Accepted:
    ranges = _ranges(header)
    # The quality of a type is that of the most specific range; between equals the client's order, then ours, decides.
    found: list[tuple[float, int, int, str, bool]] = []
    for ours, media in enumerate((PLAIN_JSON, RESPONSE_JSON)):
        for names in ((media,), ("application/*", "*/*")):
            range_ = _first(ranges, *names)
            if range_ is not None:
                if range_.quality > 0:
                    found.append((-range_.quality, range_.place, ours, media, range_.value == media))
                break
    events = _first(ranges, EVENTS)
    has_events = events is not None and events.quality > 0
    if not found:
        return Accepted(None, False, has_events, has_events)
    quality, place, _, media, by_name = min(found)
    first = has_events and events is not None and (-events.quality, events.place) < (quality, place)
    return Accepted(media, by_name, has_events, first)


def encoding(header: str | None) -> str | None:
    """The encoding to compress with, None for none."""
    if header is None or len(header) > LONGEST_HEADER:
        return None
    return _encoding(header)


@lru_cache(maxsize=512)
def _encoding(header: str) -> str | None:
    ranges = _ranges(header)
    best: tuple[float, int, str] | None = None
    for place, name in enumerate(ENCODINGS):
        range_ = _first(ranges, name) or _first(ranges, "*")
        if range_ is not None and range_.quality > 0:
            candidate = (-range_.quality, place, name)
            best = candidate if best is None else min(best, candidate)
    identity = _first(ranges, "identity")
    if best is None or (identity is not None and identity.quality > -best[0]):
        return None
    return best[2]


def _first(ranges: list[_Range], *names: str) -> _Range | None:
    """The first range with the first of these names that is there."""
    return next((range_ for name in names for range_ in ranges if range_.value == name), None)


def _ranges(header: str) -> list[_Range]:
    """The values of a list header with their qualities; parameters besides q are looked over."""
    ranges = []
    for place, part in enumerate(header.lower().split(",")):
        value, *parameters = (piece.strip() for piece in part.split(";"))
        if not value:
            continue
        quality = 1.0
        for parameter in parameters:
            name, _, given = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = min(max(float(given), 0.0), 1.0)
                except ValueError:
                    quality = 0.0
                if quality != quality:  # "nan" is a float
                    quality = 0.0
        ranges.append(_Range(value, quality, place))
    return ranges
