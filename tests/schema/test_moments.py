"""Moments are written the same whichever way they come."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from dataloaders.rows import HIGHEST, id_at, time_of
from schema.moments import format_moment, moments_of


@given(st.lists(st.integers(0, HIGHEST), max_size=50))
@example([0, HIGHEST])
@example([id_at(datetime(2028, 2, 29, 23, 59, 59, 999_999, UTC)), id_at(datetime(2028, 3, 1, tzinfo=UTC))])
def test_those_of_ids(ids: list[int]) -> None:
    written: list[object] = [*moments_of(ids)]
    assert written == [format_moment(time_of(id)) for id in ids]


def test_any_zone_is_told_as_utc() -> None:
    moment = datetime(2026, 11, 22, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    assert format_moment(moment) == "2026-11-21T22:30:00.000000Z"


def test_what_is_written_stays() -> None:
    assert format_moment("2026-11-21T22:30:00.000000Z") == "2026-11-21T22:30:00.000000Z"
