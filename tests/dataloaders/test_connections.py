"""Connections between operations: lent again when nothing is left on them, and given to the pool otherwise."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from dataloaders import database as databases
from dataloaders.database import Database, DatabaseUnavailable, Session
from dataloaders.rows import IdRow
from sql import Query
from tests.live import holds

BACKEND = Query("backend", "tests", "one", "select pg_backend_pid()", None)
# Ends when it is cancelled.
SLOW = Query("slow", "tests", "run", "select pg_sleep(3600)", None)
END = Query("end", "tests", "run", "select pg_terminate_backend($1)", None)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with Database.connected(database, size=2) as found:
        yield found


async def backend(session: Session) -> int:
    async with session.turn() as statements:
        return (await statements.one(IdRow, BACKEND)).id


async def one_operation(db: Database) -> int:
    async with db.opened() as session:
        return await backend(session)


async def test_the_next_operation_gets_the_same_one_without_the_pool(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await one_operation(db)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the pool was asked")

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Pool, "acquire", never)
        patched.setattr(asyncpg.Pool, "release", never)
        assert [await one_operation(db) for _ in range(3)] == [first] * 3
    assert db.in_use == 0


async def test_what_operations_do_not_need_goes_back_to_the_pool(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "READY_SECONDS", 0.01)
    async with db.opened() as first, db.opened() as second:
        assert await backend(first) != await backend(second)
        assert db.in_use == 2
    await holds(lambda: db._pool.get_idle_size() == 2)
    assert db.in_use == 0
    await one_operation(db)


async def test_who_waits_gets_what_is_given_back(db: Database) -> None:
    async with db.opened() as first, db.opened() as second:
        backends = {await backend(first), await backend(second)}
        others = [asyncio.create_task(one_operation(db)) for _ in range(5)]
        await holds(lambda: db._waiting == 5)
        await first.close()
        assert set(await asyncio.gather(*others)) <= backends
    assert db.in_use == 0


async def test_a_statement_that_was_given_up_is_not_met_by_the_next_operation(db: Database) -> None:
    async def sleeps() -> None:
        async with db.opened() as session, session.turn() as statements:
            await statements.run(SLOW)

    sent: list[Query] = []
    db.watchers.append(sent.append)
    for _ in range(3):
        sent.clear()
        sleeping = asyncio.create_task(sleeps())
        await holds(lambda: sent == [SLOW])
        assert db.in_use == 1
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)
        await one_operation(db)
    assert db.in_use == 0


async def test_nor_is_a_transaction(db: Database) -> None:
    async def fails(error: type[BaseException]) -> None:
        async with db.opened() as session, session.transaction() as statements:
            await statements.one(IdRow, BACKEND)
            raise error

    async def is_cancelled() -> None:
        async with db.opened() as session, session.transaction() as statements:
            await statements.run(SLOW)

    for error in (RuntimeError, asyncio.CancelledError):
        with pytest.raises(error):
            await fails(error)
        await one_operation(db)
    sleeping = asyncio.create_task(is_cancelled())
    await holds(lambda: db.in_use == 1)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    await one_operation(db)
    assert db.in_use == 0


async def test_one_that_was_ended_meanwhile_is_replaced(db: Database, database: str) -> None:
    first = await one_operation(db)
    (ready,) = db._ready
    async with Database.connected(database) as other, other.opened() as session, session.turn() as statements:
        await statements.run(END, first)
    await holds(lambda: databases._is_lost(ready))
    assert await one_operation(db) != first
    assert db.in_use == 0


async def test_one_that_ends_under_an_operation_is_replaced(db: Database) -> None:
    async with db.opened() as session, db.opened() as other:
        first = await backend(session)
        async with other.turn() as statements:
            await statements.run(END, first)
        taken = session._connection
        assert taken is not None
        await holds(lambda: databases._is_lost(taken))
        with pytest.raises(DatabaseUnavailable):
            await backend(session)
    assert await one_operation(db) != first
    assert db.in_use == 0


async def test_all_of_them_are_closed_with_the_pool(database: str) -> None:
    async with Database.connected(database, size=3) as db:
        late = db.session()
        await backend(late)
        async with db.opened() as one, db.opened() as two:
            await backend(one)
            await backend(two)
        closing = asyncio.create_task(db._close())
        await holds(closing.done)
        await late.close()
        assert not db._ready
    assert db._pool.get_size() == 0
