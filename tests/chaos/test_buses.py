"""What is done to a bus of a campaign happens to it, and is over when it is over."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.live.cluster_bus import ClusterBus
from tests.chaos.buses import MOVED, ClusteredValkey
from tests.chaos.proxy import Proxies
from tests.live import holds
from tests.valkey_cluster import Node

Workers = list[tuple[Proxies, ClusterBus]]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[ClusteredValkey]:
    """A cluster as a campaign has it."""
    bus = ClusteredValkey(tmp_path, random.Random(1))
    try:
        await bus.start()
        yield bus
    finally:
        await asyncio.to_thread(bus._cluster.stop)


@pytest.fixture
async def workers(bus: ClusteredValkey) -> AsyncIterator[Workers]:
    """Two who hear all of it, each by a network of its own."""
    async with AsyncExitStack() as stack:
        found: Workers = []
        for number in range(2):
            network, url = await bus.network(number)
            stack.push_async_callback(network.stop)
            found.append((network, await stack.enter_async_context(ClusterBus.connected(url, {}))))
        await holds(lambda: all(heard.up for _, heard in found))
        yield found


def serving(bus: ClusteredValkey) -> set[Node]:
    return set(bus._cluster.primaries())


async def test_each_worker_has_a_network_of_its_own(bus: ClusteredValkey, workers: Workers) -> None:
    (network, first), (_, second) = workers
    network.refuse()
    await holds(lambda: not first.up)
    assert second.up
    network.heal()
    await holds(lambda: first.up)
    one = await bus.network_to_one(1)
    one.refuse()
    await holds(lambda: not second.up)
    assert first.up
    # All but the share of that node.
    assert len(second._hearing) == 2
    one.heal()
    await holds(lambda: second.up)


async def test_whoever_takes_over_is_heard(bus: ClusteredValkey, workers: Workers) -> None:
    before = serving(bus)
    await bus.hand_over()
    await holds(lambda: len(serving(bus) - before) == 1)
    await holds(lambda: all(heard.up for _, heard in workers))
    # Who handed over is a replica now, and one that was never in step with its primary does not take over.
    await asyncio.to_thread(bus._cluster.healthy)
    before = serving(bus)
    await bus.kill()
    await holds(lambda: len(serving(bus) - before) == 1)
    await holds(lambda: all(heard.up for _, heard in workers))
    await bus.stop()
    await holds(lambda: not any(heard.up for _, heard in workers))
    await bus.start()
    await holds(lambda: all(heard.up for _, heard in workers))


async def test_a_shard_that_is_killed_is_served_by_nobody_until_it_is_back(
    bus: ClusteredValkey, workers: Workers
) -> None:
    await bus.kill_shard()
    assert sum(not node.alive for node in bus._cluster.nodes) == 2
    await holds(lambda: not any(heard.up for _, heard in workers))

    async def heard_again() -> bool:
        await bus.look()
        return all(heard.up for _, heard in workers)

    await holds(heard_again)


async def test_slots_that_move_are_heard_where_they_are(bus: ClusteredValkey, workers: Workers) -> None:
    def slots() -> dict[Node, int]:
        node = bus._cluster.nodes[0]
        found = dict.fromkeys(bus._cluster.nodes, 0)
        for low, high, port in bus._cluster.shards(node):
            found[next(one for one in bus._cluster.nodes if one.port == port)] += high - low + 1
        return found

    before = slots()
    await bus.move_slots()
    await holds(lambda: slots() != before)
    gained = max(slots()[node] - before[node] for node in before)
    assert 0 < gained <= MOVED
    await holds(lambda: all(heard.up for _, heard in workers))
