"""bigint[] as PostgreSQL reads and writes it."""

from collections.abc import AsyncIterator

import pytest

from dataloaders import arrays
from dataloaders.database import Database, Statements
from sql import Query

HIGHEST = 2**63 - 1
ECHO = Query("echo", "tests", "one", "SELECT $1::bigint[], $1::bigint[]::text", None)
NULLS = Query("nulls", "tests", "one", "SELECT ARRAY[NULL, 1, NULL, -1]::bigint[]", None)
SQUARE = Query("square", "tests", "one", "SELECT ARRAY[[1, 2], [3, 4]]::bigint[]", None)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Statements]:
    async with (
        Database.connected(database) as connected,
        connected.opened() as session,
        session.turn() as found,
    ):
        yield found


@pytest.mark.parametrize(
    "values",
    [[], [0], [1, -1, HIGHEST, -HIGHEST - 1], list(range(128)), list(range(129)), list(range(-600, 600))],
    ids=len,
)
async def test_what_is_sent_comes_back(db: Statements, values: list[int]) -> None:
    back, text = await db.one(tuple, ECHO, values)
    assert back == values
    assert text == "{" + ",".join(map(str, values)) + "}"


async def test_any_collection_is_sent(db: Statements) -> None:
    for values in ((2, 3), frozenset({2, 3}), {2: "two", 3: "three"}.keys()):
        assert (await db.one(tuple, ECHO, values))[0] == [2, 3]


async def test_nulls_come_as_none(db: Statements) -> None:
    assert (await db.one(tuple, NULLS))[0] == [None, 1, None, -1]


@pytest.mark.parametrize("wrong", [[None], ["1"], [HIGHEST + 1], [[1]], 1])
async def test_what_is_no_list_of_bigints_is_refused_and_nothing_sent(db: Statements, wrong: object) -> None:
    with pytest.raises(Exception, match=r"\$1"):
        await db.one(tuple, ECHO, wrong)
    assert (await db.one(tuple, ECHO, [1]))[0] == [1]


async def test_several_dimensions_are_an_error(db: Statements) -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        await db.one(tuple, SQUARE)


def test_formats_are_kept_for_short_arrays_only() -> None:
    for count in range(0, 3_000, 7):
        arrays.encode(range(count))
    assert arrays._format.cache_info().currsize <= 129
    assert max(arrays._format(count)[0].size for count in range(129)) < 2_000
