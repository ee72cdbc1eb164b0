"""Budgets: shared through Valkey by blocks, never overdrawn together, and kept by each worker when Valkey is away."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.crc import key_slot

from app.budgets import IDLE, TEND_EVERY, Budgets, address_key, viewer_key
from app.costs import Budget, OverBudget, TooCostly
from app.embedded import EmbeddedValkey
from app.live.leases import ValkeyLeases
from app.valkey_urls import is_cluster, seeds
from tests.live import holds
from tests.valkey_cluster import ValkeyCluster

# A point comes back every thousand seconds: as good as never in a test.
STILL = Budget(1_000, 1_000_000)


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> str:
    """A budget of the test's own."""
    return address_key(f"test-{uuid4()}")


@asynccontextmanager
async def worker(
    url: str, budget: Budget, clock: Clock, *, most_accounts: int = 1_000
) -> AsyncIterator[Budgets]:
    """The budgets of one worker, tended only when the test does it."""
    async with ValkeyLeases.connected(url, *budget) as leases:
        budgets = Budgets(leases, budget, clock=clock, most_accounts=most_accounts)
        try:
            yield budgets
        finally:
            await budgets.close()


@asynccontextmanager
async def client(url: str) -> AsyncIterator["Redis | RedisCluster"]:
    redis = RedisCluster.from_url(seeds(url)[0]) if is_cluster(url) else Redis.from_url(url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def commands(redis: "Redis | RedisCluster") -> int:
    """How many scripts Valkey has run."""
    if isinstance(redis, RedisCluster):
        found = list((await redis.info("commandstats", target_nodes=RedisCluster.PRIMARIES)).values())
    else:
        found = [await redis.info("commandstats")]
    return sum(int(of_node.get("cmdstat_eval", {"calls": 0})["calls"]) for of_node in found)


async def spent_until_refused(budgets: Budgets, key: str, points: int) -> tuple[int, OverBudget]:
    total = 0
    while True:
        try:
            spending = budgets.spend(key, points) or await budgets.reserve(key, points)
        except OverBudget as refusal:
            return total, refusal
        assert spending.cost == points
        total += points


async def test_a_thousand_spends_send_a_few_commands(either_valkey: str, clock: Clock, key: str) -> None:
    async with client(either_valkey) as redis, worker(either_valkey, Budget(60_000, 60), clock) as budgets:
        before = await commands(redis)
        for _ in range(1_000):
            _ = budgets.spend(key, 10) or await budgets.reserve(key, 10)
        assert await commands(redis) - before == 2  # two blocks of 6,000


async def test_those_who_wait_for_one_key_wait_together(either_valkey: str, clock: Clock, key: str) -> None:
    async with client(either_valkey) as redis, worker(either_valkey, STILL, clock) as budgets:
        before = await commands(redis)
        done = await asyncio.gather(*(budgets.reserve(key, 2) for _ in range(50)))
        assert await commands(redis) - before == 1
        assert sorted(spending.remaining for spending in done) == list(range(900, 1_000, 2))


async def test_one_who_goes_while_waiting_takes_nothing_from_the_others(
    either_valkey: str, clock: Clock, key: str
) -> None:
    async with worker(either_valkey, STILL, clock) as budgets:
        first, second = (asyncio.create_task(budgets.reserve(key, 10)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).remaining == 990
        assert first.cancelled()


async def test_workers_never_grant_more_together_than_the_budget_holds(
    either_valkey: str, clock: Clock, key: str
) -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(either_valkey, STILL, clock)) for _ in range(8)]
        tasks = [spent_until_refused(budgets, key, 7) for budgets in workers for _ in range(5)]
        totals = [total for total, _ in await asyncio.gather(*tasks)]
        spent = sum(totals)
        # Each may sit on the rest of a block that is too small for one more.
        assert 1_000 - 8 * 7 < spent <= 1_000
    async with worker(either_valkey, STILL, clock) as later:
        rest, _ = await spent_until_refused(later, key, 1)
    assert spent + rest == 1_000


async def test_what_refills_is_granted_and_no_more(either_valkey: str, clock: Clock, key: str) -> None:
    budget = Budget(500, 1)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(either_valkey, budget, clock)) for _ in range(3)]
        started, spent = loop.time(), 0
        while loop.time() - started < 0.5:
            clock.now += TEND_EVERY  # so that nobody takes a refusal of before for an answer
            for budgets in workers:
                try:
                    spent += (budgets.spend(key, 5) or await budgets.reserve(key, 5)).cost
                except OverBudget:
                    await asyncio.sleep(0)
        passed = loop.time() - started
    assert 500 < spent <= 500 + 500 * passed + 1


async def test_idle_blocks_come_back(either_valkey: str, clock: Clock, key: str) -> None:
    async with (
        worker(either_valkey, STILL, clock) as one,
        worker(either_valkey, STILL, clock) as other,
    ):
        assert (await one.reserve(key, 10)).remaining == 990
        with pytest.raises(OverBudget) as refused:
            await other.reserve(key, 950)
        assert refused.value.extensions == {
            "cost": 950,
            "remaining": 900,
            "limit": 1_000,
            "retryAfter": 50_000,
        }
        clock.now += IDLE / 2
        await one.tend()
        with pytest.raises(OverBudget):
            await other.reserve(key, 950)
        clock.now += IDLE
        await one.tend()
        assert (await other.reserve(key, 950)).remaining == 40
        # Who gave it back knows what is left by then, and takes it again.
        assert (await one.reserve(key, 10)).remaining == 30


async def test_a_refusal_is_known_for_a_second_without_asking(
    either_valkey: str, clock: Clock, key: str
) -> None:
    async with client(either_valkey) as redis, worker(either_valkey, STILL, clock) as budgets:
        await spent_until_refused(budgets, key, 1_000)
        before = await commands(redis)
        for _ in range(100):
            with pytest.raises(OverBudget):
                budgets.spend(key, 10)
        assert await commands(redis) == before
        clock.now += TEND_EVERY
        assert budgets.spend(key, 10) is None


async def test_a_budget_takes_room_until_it_is_full_again(either_valkey: str, clock: Clock, key: str) -> None:
    async with client(either_valkey) as redis:
        async with worker(either_valkey, Budget(1_000, 3_600), clock) as budgets:
            await budgets.reserve(key, 500)
            assert 1_799_000 < await redis.pttl(f"{key}:1000/3600") <= 1_800_000
        async with worker(either_valkey, Budget(1_000, 3_600), clock) as budgets:
            await budgets.reserve(key, 1)
            assert await redis.pttl(f"{key}:1000/3600") > 2_000_000
        # Given back but for 501 points.
        assert 1_800_000 < await redis.pttl(f"{key}:1000/3600") <= 1_803_600


async def test_more_than_a_budget_holds_is_refused_for_good(
    either_valkey: str, clock: Clock, key: str
) -> None:
    async with worker(either_valkey, STILL, clock) as budgets:
        with pytest.raises(TooCostly):
            await budgets.reserve(key, 1_001)
        assert (await budgets.reserve(key, 1_000)).remaining == 0
        assert len(budgets) == 1


async def test_a_flood_of_addresses_takes_no_more_room_and_their_blocks_come_back(
    either_valkey: str, clock: Clock, key: str
) -> None:
    async with (
        client(either_valkey) as redis,
        worker(either_valkey, STILL, clock, most_accounts=50) as budgets,
        worker(either_valkey, STILL, clock) as other,
    ):
        await asyncio.gather(*(budgets.reserve(f"{key}{n}", 10) for n in range(40)))
        for n in range(40, 90):
            await budgets.reserve(f"{key}{n}", 10)
            assert len(budgets) <= 50
        before = await commands(redis)
        await budgets.tend()
        assert await commands(redis) - before <= 50
        assert (await other.reserve(f"{key}5", 980)).remaining == 10


async def test_without_valkey_each_worker_keeps_the_same_budgets(
    own_valkey: EmbeddedValkey, clock: Clock, key: str
) -> None:
    async with worker(own_valkey.url, STILL, clock) as budgets:
        await budgets.reserve(key, 400)
        await asyncio.to_thread(own_valkey.stop)
        # What is known of this one holds on; another one is new.
        spent, refusal = await spent_until_refused(budgets, key, 100)
        assert spent == 600
        assert refusal.extensions["remaining"] == 0
        assert refusal.retry_after == 100_000
        assert not budgets.shared
        other = viewer_key(1)
        assert budgets.spend(other, 300) is not None  # nobody waits any more
        assert (await spent_until_refused(budgets, other, 100))[0] == 700
        clock.now += 250_000
        assert (await spent_until_refused(budgets, other, 100))[0] == 200
        await budgets.tend()
        assert not budgets.shared
        with pytest.raises(TooCostly):
            budgets.spend(other, 1_001)


async def test_a_valkey_that_never_was_there_is_no_matter(tmp_path: Path, clock: Clock, key: str) -> None:
    async with worker(f"unix://{tmp_path}/nobody", STILL, clock) as budgets:
        assert (await spent_until_refused(budgets, key, 10))[0] == 1_000


async def test_budgets_are_shared_again_when_valkey_is_back(
    own_valkey: EmbeddedValkey, clock: Clock, key: str
) -> None:
    async with worker(own_valkey.url, STILL, clock) as budgets:
        await budgets.reserve(key, 10)
        own_valkey.kill()
        await budgets.reserve(key, 500)

        async def are_shared() -> bool:
            await budgets.tend()
            return budgets.shared

        await holds(are_shared)
        async with client(own_valkey.url) as redis:
            before = await commands(redis)
            await budgets.reserve(viewer_key(2), 500)
            assert await commands(redis) - before == 1


async def test_budgets_of_a_cluster_outlive_a_failover(
    own_cluster: ValkeyCluster, clock: Clock, key: str
) -> None:
    async with worker(own_cluster.url, STILL, clock) as budgets:
        await budgets.reserve(key, 10)
        slot = key_slot(key.encode())
        dead = own_cluster.primary_of(slot)
        await asyncio.to_thread(own_cluster.kill, dead)
        # Meanwhile from what is known here.
        await budgets.reserve(key, 500)
        assert not budgets.shared
        await asyncio.to_thread(own_cluster.failed_over, slot, dead)

        async def are_shared() -> bool:
            await budgets.tend()
            return budgets.shared

        await holds(are_shared)
        await budgets.reserve(key, 300)
        assert budgets.shared


async def test_a_flushed_valkey_is_no_matter(own_valkey: EmbeddedValkey, clock: Clock, key: str) -> None:
    async with client(own_valkey.url) as redis, worker(own_valkey.url, STILL, clock) as budgets:
        await budgets.reserve(key, 10)
        await redis.flushall()
        await redis.script_flush()
        spent, _ = await spent_until_refused(budgets, key, 10)
        assert 900 <= spent <= 1_090  # the block that was here, and a new budget
        assert budgets.shared


async def test_nobody_waits_for_a_valkey_that_hangs_but_the_first(
    own_valkey: EmbeddedValkey, clock: Clock, key: str, tmp_path: Path
) -> None:
    pid = int((tmp_path / "valkey" / "state").read_text().split()[0])
    async with worker(own_valkey.url, STILL, clock) as budgets:
        await budgets.reserve(key, 10)
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(5):
                await asyncio.gather(*(budgets.reserve(viewer_key(n), 10) for n in range(700)))
                await budgets.tend()
            assert not budgets.shared
            for n in range(700, 800):
                assert budgets.spend(viewer_key(n), 10) is not None
        finally:
            os.kill(pid, signal.SIGCONT)

        async def are_shared() -> bool:
            await budgets.tend()
            return budgets.shared

        await holds(are_shared)
        assert (await budgets.reserve(key, 500)).remaining <= 490


async def test_connected_budgets_tend_themselves(own_valkey: EmbeddedValkey, key: str) -> None:
    async with client(own_valkey.url) as redis:
        async with Budgets.connected(own_valkey.url, STILL) as budgets:
            await budgets.reserve(key, 10)
            own_valkey.kill()
            await budgets.reserve(key, 500)
            await holds(lambda: budgets.shared)
            await budgets.reserve(key, 10)
        # At the end all is given back but what was spent.
        left = await redis.pttl(f"{key}:1000/1000000")
        assert 0 < left <= 600 * 1_000_000
