"""Moments as the API writes and reads them: the scalar DateTime."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NewType, cast

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from execution import keeps
from resolvers.ids import ID_EPOCH, ID_SHIFT

# A datetime that the schema calls DateTime; a name of its own, so that no other scalar takes its place.
Moment = NewType("Moment", datetime)

_SECONDS = [f"{second:02}." for second in range(60)]


@lru_cache(maxsize=10_000)
def _minute(minutes: int) -> str:
    """The beginning of all moments in a minute."""
    return f"{ID_EPOCH + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:}"


def moments_of(ids: Iterable[int]) -> list[Moment]:
    """When the things with these ids came to be, written: a page has forty, and each took 3 us by way of datetime."""
    texts = []
    for id in ids:
        seconds, micros = divmod(id >> ID_SHIFT, 1_000_000)
        minutes, second = divmod(seconds, 60)
        texts.append(f"{_minute(minutes)}{_SECONDS[second]}{micros:06}Z")
    return cast(list[Moment], texts)


@keeps(str)
def format_moment(value: datetime | str) -> str:
    """RFC 3339, UTC, always microseconds, so that text order is time order. What is written already stays."""
    if isinstance(value, str):
        return value
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_moment(value: Any) -> datetime:
    """The moment a client sent. Raises GraphQLError when it is not RFC 3339."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GraphQLError("A DateTime is written as in RFC 3339: 2026-11-22T09:30:00.123456Z.")
    return moment


MOMENT: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description=(
        "A moment, RFC 3339, always UTC and always with microseconds: `2026-11-22T09:30:00.123456Z`. "
        "Text order is time order."
    ),
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=format_moment,
    parse_value=parse_moment,
)
