"""Numbers without gaps, each event once, each owner's in order, whoever tries to number at the same time."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import asyncpg
import pytest

from app.live.sequencer import Sequencer
from dataloaders import log
from dataloaders.database import Database, DatabaseUnavailable, Statements
from dataloaders.log import (
    count_of_owners,
    log_after,
    log_floor,
    log_of_owners,
    make_room,
    number_outbox,
    public_log,
    renew_epoch,
    take_lease,
    trim,
)
from dataloaders.rows import FanoutRow
from tests.conftest import Oracle
from tests.live import holds

PATIENCE = 1.5


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Database]:
    """The pool that servers use, on this test's database."""
    async with Database.connected(database, size=12) as found:
        yield found


async def announces(database: str, owner: int, count: int, seed: int) -> int:
    """Announce events in transactions of all sizes, some of which fail; how many were committed."""
    chance = random.Random(seed)
    committed = 0
    connection = await asyncpg.connect(database)
    try:
        while committed < count:
            size = min(chance.choice((1, 1, 2, 7)), count - committed)
            fails = chance.random() < 0.2
            with suppress(ZeroDivisionError):
                async with connection.transaction():
                    for nth in range(size):
                        await connection.execute(
                            "INSERT INTO outbox (owner_id, kind, public, data)"
                            " VALUES ($1, 'story', false, jsonb_build_object('nth', $2::integer))",
                            *(owner, committed + nth),
                        )
                    if fails:
                        raise ZeroDivisionError
                committed += size
    finally:
        await connection.close()
    return committed


async def log_is_right(stored: Oracle, written: dict[int, int]) -> None:
    """Dense numbers up to the head; of each owner everything once and in order; nothing left over."""
    rows = await stored.rows(
        "SELECT number, owner_id, (data->>'nth')::integer AS nth FROM log ORDER BY number"
    )
    ((head,),) = await stored.rows("SELECT number FROM sequencers")
    assert [row["number"] for row in rows] == list(range(1, head + 1))
    found: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        found[row["owner_id"]].append(row["nth"])
    assert found == {owner: list(range(count)) for owner, count in written.items()}
    assert await stored.count("outbox") == 0


async def test_several_sequencers_in_a_flood_number_everything_once(
    database: str, pool: Database, stored: Oracle
) -> None:
    numbered: list[int] = []
    sequencers = [Sequencer(pool, f"holder-{nth}", partial(numbered.append, nth)) for nth in range(3)]
    running = [asyncio.create_task(sequencer.run()) for sequencer in sequencers]
    owners = range(1, 7)
    try:
        async with asyncio.TaskGroup() as group:
            writers = {
                owner: group.create_task(announces(database, owner, 150, seed=owner)) for owner in owners
            }
            # Whoever leads is stopped, twice; somebody else goes on.
            for _ in range(2):
                await holds(lambda: any(sequencer.leads for sequencer in sequencers))
                leader = next(nth for nth, sequencer in enumerate(sequencers) if sequencer.leads)
                running[leader].cancel()
                await asyncio.wait([running[leader]])
                sequencers[leader] = Sequencer(pool, f"again-{leader}", lambda: numbered.append(9))
                running[leader] = asyncio.create_task(sequencers[leader].run())

        async def empty() -> bool:
            return await stored.count("outbox") == 0

        await holds(empty)
        await holds(lambda: [sequencer.leads for sequencer in sequencers].count(True) == 1)
        # Whoever is stopped while it numbers tells nobody, and those who wait look by themselves. The one that leads
        # in the end tells of what comes then.
        numbered.clear()
        written = {owner: writers[owner].result() for owner in owners}
        written[7] = await announces(database, 7, 10, seed=7)
        await holds(lambda: bool(numbered))
        await holds(empty)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    await log_is_right(stored, written)


async def test_statements_of_one_holder_at_the_same_time_number_everything_once(
    database: str, pool: Database, stored: Oracle
) -> None:
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        assert await make_room(db, "holder", 1_000)
    done = asyncio.Event()

    async def numbers(batch: int) -> int:
        moved = 0
        while True:
            last = done.is_set()
            async with pool.opened() as session, session.turn() as db:
                row = await number_outbox(db, "holder", batch)
            assert row is not None
            moved += row.moved
            if last and not row.moved:
                return moved

    numberers = [asyncio.create_task(numbers(batch)) for batch in (1, 3, 10, 100)]
    written = await asyncio.gather(*(announces(database, owner, 100, seed=owner) for owner in range(1, 5)))
    done.set()
    moved = await asyncio.gather(*numberers)
    assert sum(moved) == sum(written)
    await log_is_right(stored, dict(enumerate(written, start=1)))


async def test_without_the_lease_nothing_is_numbered(database: str, pool: Database, stored: Oracle) -> None:
    await announces(database, 1, 3, seed=1)
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        before = await stored.rows("SELECT * FROM sequencers")
        assert await number_outbox(db, "impostor", 100) is None
        assert not await take_lease(db, "impostor", PATIENCE)
        assert await stored.rows("SELECT * FROM sequencers") == before
    assert await stored.count("log") == 0
    assert await stored.count("outbox") == 3


async def test_a_holder_that_lost_its_lease_while_it_slept_does_no_harm(
    database: str, pool: Database, stored: Oracle
) -> None:
    await announces(database, 1, 3, seed=1)
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "sleeper", PATIENCE)
        await stored.rows("UPDATE sequencers SET beat_at = clock_timestamp() - interval '2 s'")
        assert await take_lease(db, "other", PATIENCE)
        assert await make_room(db, "sleeper", 100) is None
        assert await make_room(db, "other", 100) == 101
        assert await number_outbox(db, "sleeper", 100) is None
        moved = await number_outbox(db, "other", 100)
    assert moved == (3, 3)


async def test_a_sleeper_that_waits_for_the_lock_of_who_takes_over_is_fenced_off(
    database: str, pool: Database, stored: Oracle
) -> None:
    await announces(database, 1, 3, seed=1)
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "sleeper", PATIENCE)
    taking_over = await asyncpg.connect(database)
    try:
        async with pool.opened() as session, session.turn() as db:
            async with taking_over.transaction():
                await taking_over.execute("UPDATE sequencers SET holder = 'other'")
                sleeper = asyncio.create_task(number_outbox(db, "sleeper", 100))

                async def waits() -> bool:
                    (row,) = await stored.rows("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    return bool(row["count"])

                await holds(waits)
            assert await sleeper is None
    finally:
        await taking_over.close()
    assert await stored.count("log") == 0


async def test_a_candidate_takes_over_from_one_that_died_and_not_before(
    database: str, pool: Database, stored: Oracle
) -> None:
    await stored.rows("UPDATE sequencers SET holder = 'dead', beat_at = clock_timestamp()")
    candidate = Sequencer(pool, "heir", lambda: None)
    running = asyncio.create_task(candidate.run())
    try:
        await announces(database, 1, 5, seed=1)
        await holds(lambda: candidate.leads)
        ((held,),) = await stored.rows(
            "SELECT count(*) FROM log WHERE logged_at < now() - interval '1 hour' OR number > 5"
        )
        assert held == 0

        async def all_there() -> bool:
            return await stored.count("log") == 5

        await holds(all_there)
    finally:
        running.cancel()
        await asyncio.wait([running])
    # It said goodbye: the next one need not wait.
    ((holder,),) = await stored.rows("SELECT holder FROM sequencers")
    assert holder == ""


async def partitions(stored: Oracle) -> list[str]:
    return [
        row[0]
        for row in await stored.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'log'::regclass ORDER BY inhrelid"
        )
    ]


async def test_trimming_drops_whole_partitions_that_are_old(
    database: str, pool: Database, stored: Oracle
) -> None:
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        for _ in range(3):
            assert await make_room(db, "holder", 4)
        assert await partitions(stored) == ["log_1", "log_5", "log_9"]
        await announces(database, 1, 10, seed=1)
        await number_outbox(db, "holder", 100)
        # One that is not over is kept, however old all in it is; one in which anything is younger, too.
        await stored.rows("UPDATE log SET logged_at = now() - interval '2 h' WHERE number <> 8")
        await trim(db, 3600, 100)
        assert await partitions(stored) == ["log_5", "log_9"]
        assert await log_floor(db) == 4
        await stored.rows("UPDATE log SET logged_at = now() - interval '2 h'")
        await trim(db, 3600, 100)
        assert await partitions(stored) == ["log_9"]
        assert await log_floor(db) == 8
    assert [row["number"] for row in await stored.rows("SELECT number FROM log ORDER BY 1")] == [9, 10]


async def test_dropping_waits_for_no_reader(database: str, pool: Database, stored: Oracle) -> None:
    reader = await asyncpg.connect(database)
    try:
        async with pool.opened() as session, session.turn() as db:
            assert await take_lease(db, "holder", PATIENCE)
            for _ in range(2):
                assert await make_room(db, "holder", 4)
            await announces(database, 1, 5, seed=1)
            await number_outbox(db, "holder", 100)
            await stored.rows("UPDATE log SET logged_at = now() - interval '2 h'")
            async with reader.transaction():
                await reader.fetch("SELECT * FROM log")
                with pytest.raises(DatabaseUnavailable):
                    await trim(db, 3600, 100)
                assert await log_floor(db) == 0
            await trim(db, 3600, 100)
            assert await log_floor(db) == 4
    finally:
        await reader.close()


async def test_the_log_has_room_before_it_is_needed(
    database: str, pool: Database, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("BATCH", 7), ("LEAST", 20), ("MOST", 20)):
        monkeypatch.setattr(f"app.live.sequencer.{name}", value)
    sequencer = Sequencer(pool, "holder", lambda: None)
    running = asyncio.create_task(sequencer.run())

    async def empty() -> bool:
        return await stored.count("outbox") == 0

    try:
        await announces(database, 1, 150, seed=3)
        await holds(empty)
    finally:
        running.cancel()
        await asyncio.wait([running])
    await log_is_right(stored, {1: 150})
    assert len(await partitions(stored)) == 9


async def test_news_of_a_posts_counters_is_one_row_that_moves(
    database: str, pool: Database, stored: Oracle
) -> None:
    async def changes(count: int) -> None:
        for nth in range(count):
            await stored.rows(
                "INSERT INTO outbox (owner_id, kind, public, data)"
                " VALUES (1, 'post_changed', true, jsonb_build_object('post', '[1, 5]'::jsonb, 'change', $1::int))",
                nth,
            )

    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        assert await make_room(db, "holder", 100)
        await announces(database, 2, 1, seed=1)
        for _ in range(3):
            await changes(10)
            assert await number_outbox(db, "holder", 100)
        assert [row.number for row in await log_after(db, 0, 100)] == [1, 31]
        (news,) = await log_of_owners(db, [1], 0, 100, 100)
        assert (news.number, news.kind, news.data) == (31, "post_changed", {"post": [1, 5], "change": 9})
        # Whoever has seen less than the newest finds it; whoever has seen it finds nothing.
        assert await log_of_owners(db, [1], 30, 100, 100) == [news]
        assert await log_of_owners(db, [1], 31, 100, 100) == []
        assert [row.number for row in await public_log(db, None, 0, 100, 100)] == [31]
        assert await count_of_owners(db, [1, 2], 0, 100, 100) == 2
        await stored.rows("UPDATE changed_posts SET logged_at = now() - interval '2 h'")
        await trim(db, 3600, 100)
    assert await stored.count("changed_posts") == 0
    assert await stored.count("log", "kind = 'post_changed'") == 0


@pytest.mark.parametrize("batch", [1, 10])
async def test_news_that_is_public_stays_so_when_it_is_told_to_reposters_too(
    pool: Database, stored: Oracle, batch: int
) -> None:
    # The author reposted their own post: both are told under the same account.
    for public in (True, False):
        await stored.rows(
            "INSERT INTO outbox (owner_id, kind, public, data) VALUES (1, 'post_changed', $1, '{\"post\": [1, 5]}')",
            public,
        )
    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        assert await make_room(db, "holder", 100)
        for _ in range(2):
            await number_outbox(db, "holder", batch)
        assert [(row.number, row.public) for row in await log_after(db, 0, 100)] == [(2, True)]


async def test_another_server_begins_another_epoch(database: str, pool: Database, stored: Oracle) -> None:
    async def epoch() -> str:
        ((found,),) = await stored.rows("SELECT epoch FROM sequencers")
        return str(found)

    async with pool.opened() as session, session.turn() as db:
        assert await take_lease(db, "holder", PATIENCE)
        first = await epoch()
        assert await take_lease(db, "holder", PATIENCE)
        assert await epoch() == first
        # As in a copy of the database elsewhere, or after a promotion.
        await stored.rows("UPDATE sequencers SET origin = '7/00000001'")
        assert await take_lease(db, "holder", PATIENCE)
        second = await epoch()
        assert second != first
        assert await take_lease(db, "holder", PATIENCE)
        assert await epoch() == second
        assert (await renew_epoch(db)).epoch not in (first, second)


async def test_a_fan_out_that_always_fails_holds_up_no_other(
    database: str, pool: Database, stored: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry = log._carry

    async def fails(db: Statements, job: FanoutRow, limit: int) -> None:
        if job.post_id == 1:
            await db.run(log.LOG["announce"], 1, "story", False, {"half": "written"})
            raise ValueError("broken")
        await carry(db, job, limit)

    monkeypatch.setattr(log, "_carry", fails)
    for post in (1, 2, 3):
        await stored.rows(
            "INSERT INTO fanouts (author_id, post_id, kind) VALUES (1, $1, 'post_changed')", post
        )
    sequencer = Sequencer(pool, "holder", lambda: None)
    running = asyncio.create_task(sequencer.run())

    async def only_one_is_left() -> bool:
        return [row[0] for row in await stored.rows("SELECT post_id FROM fanouts")] == [1]

    try:
        await holds(only_one_is_left)
    finally:
        running.cancel()
        await asyncio.wait([running])
    ((attempts, waits),) = await stored.rows("SELECT attempts, not_before > now() FROM fanouts")
    assert attempts >= 1
    assert waits
    assert await stored.count("log") + await stored.count("outbox") == 0
