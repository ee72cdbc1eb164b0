"""The bus carries wake-ups, on one Valkey and on a cluster alike, whatever happens to either."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.crc import key_slot

from app.embedded import EmbeddedValkey
from app.live import wake
from app.live.bus import LOG, OUTBOX
from app.live.cluster import Address, read_map
from app.live.cluster_bus import PARTITIONS, SLOTS, ClusterBus
from app.live.commands import Command, connected, wrong_kind
from app.live.trouble import TROUBLE
from app.live.wake import Wakes
from app.valkey_urls import check, seeds
from tests.live import holds
from tests.servers import Mistreated
from tests.valkey_cluster import Node, ValkeyCluster, free_ports


class Worker:
    """One worker's end of the bus, and what it heard."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.bus: Wakes | None = None

    @property
    def up(self) -> bool:
        return self.bus is not None and self.bus.up

    def rings(self, channel: str) -> None:
        assert self.bus is not None
        self.bus.publish(channel)

    def hears(self, channel: str) -> None:
        self.heard[channel] += 1


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[Worker]:
    made = Worker()
    heard: dict[str, Callable[[], None]] = {name: partial(made.hears, name) for name in (OUTBOX, LOG)}
    async with wake.connected(url, heard) as made.bus:
        yield made


@asynccontextmanager
async def two_workers(url: str) -> AsyncIterator[tuple[Worker, Worker]]:
    async with worker(url) as one, worker(url) as other:
        await holds(lambda: one.up and other.up)
        yield one, other


async def hears_of(one: Worker, other: Worker, channel: str = LOG) -> None:
    """Each ring wakes both, rung as often as it takes."""
    before = other.heard[channel]

    def rung() -> bool:
        one.rings(channel)
        return other.heard[channel] > before

    await holds(rung)


async def hears_the_first(one: Worker, other: Worker, rings: int = 1) -> None:
    """Rings wake the other one, each at once."""
    for nth in range(rings):
        channel = (LOG, OUTBOX)[nth % 2]
        before = Counter(other.heard)
        one.rings(channel)
        await holds(lambda: other.heard[channel] > before[channel])  # noqa: B023 - awaited here


async def test_a_ring_wakes_everybody_who_listens(either_valkey: str) -> None:
    async with two_workers(either_valkey) as (one, other):
        await hears_the_first(one, other, 20)
        await hears_the_first(other, one, 20)
        before = Counter(one.heard)
        one.rings(OUTBOX)
        await holds(lambda: one.heard[OUTBOX] > before[OUTBOX])


async def test_many_rings_become_few_messages(either_valkey: str) -> None:
    async with two_workers(either_valkey) as (one, other):
        before = Counter(other.heard)
        for _ in range(1_000):
            one.rings(LOG)
            one.rings(OUTBOX)
        await holds(lambda: other.heard[LOG] > before[LOG] and other.heard[OUTBOX] > before[OUTBOX])
        await hears_the_first(one, other, 2)
        assert (other.heard - before).total() <= 6


async def test_whoever_hears_again_looks_at_everything(own_either: Mistreated) -> None:
    async with two_workers(own_either.url) as (one, other):
        before = Counter(other.heard)
        await asyncio.to_thread(own_either.cut)
        await holds(lambda: all(other.heard[name] > before[name] for name in (LOG, OUTBOX)))
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 10)


async def test_a_flushed_valkey_carries_on(own_either: Mistreated) -> None:
    async with two_workers(own_either.url) as (one, other):
        await asyncio.to_thread(own_either.flush)
        await hears_the_first(one, other, 10)
        assert one.up
        assert other.up


async def test_a_restarted_valkey_carries_on(own_either: Mistreated) -> None:
    async with two_workers(own_either.url) as (one, other):
        await asyncio.to_thread(own_either.restart)
        await hears_of(one, other)
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 10)


async def test_a_killed_server_is_replaced(own_either: Mistreated) -> None:
    async with two_workers(own_either.url) as (one, other):
        await asyncio.to_thread(own_either.kill)
        await hears_of(one, other)
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 10)


async def test_a_server_that_hangs_holds_nobody_up_for_long(own_either: Mistreated) -> None:
    async with two_workers(own_either.url) as (one, other):
        await asyncio.to_thread(own_either.pause)
        one.rings(LOG)
        await asyncio.to_thread(own_either.resume)
        await hears_of(one, other)
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 10)


async def test_rings_go_on_through_the_other_nodes_while_one_is_dead(own_cluster: ValkeyCluster) -> None:
    async with two_workers(own_cluster.url) as (one, other):
        dead = own_cluster.primary_of(6_000)
        await asyncio.to_thread(own_cluster.kill, dead)
        # Nobody has taken its place yet: two of three rings, and what failed at the dead one goes elsewhere.
        await hears_the_first(one, other, 30)
        await asyncio.to_thread(own_cluster.failed_over, 6_000, dead)
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 30)


async def test_rings_go_on_through_the_other_nodes_while_one_hangs(own_cluster: ValkeyCluster) -> None:
    async with two_workers(own_cluster.url) as (one, other):
        hangs = own_cluster.primary_of(16_000)
        hangs.pause()
        await hears_the_first(one, other, 30)
        await asyncio.to_thread(own_cluster.failed_over, 16_000, hangs)
        hangs.resume()
        await hears_of(one, other)
        await holds(lambda: one.up and other.up)
        await hears_the_first(one, other, 30)


async def test_partitions_that_move_to_another_node_are_heard_there(own_cluster: ValkeyCluster) -> None:
    async with two_workers(own_cluster.url) as (one, other):
        bus = one.bus
        assert isinstance(bus, ClusterBus)
        source, target, *_ = own_cluster.primaries()
        shares = {share.address: share for share in bus._hearing}
        moving = shares[Address(*source.address)].partitions[:5]
        for partition in moving:
            await asyncio.to_thread(own_cluster.move_slot, SLOTS[partition], target)

        def hears_them_there(worker: Worker) -> bool:
            assert isinstance(worker.bus, ClusterBus)
            heard = {
                p
                for share in worker.bus._hearing
                for p in share.partitions
                if share.address == target.address
            }
            return worker.up and heard >= set(moving)

        await holds(lambda: hears_them_there(one) and hears_them_there(other))
        await hears_the_first(one, other, 30)


async def test_each_node_carries_its_share_on_one_connection(valkey_cluster: ValkeyCluster) -> None:
    async with two_workers(valkey_cluster.url) as (one, _):
        assert isinstance(one.bus, ClusterBus)
        counts = [len(share.partitions) for share in one.bus._hearing]
        assert sum(counts) == PARTITIONS
        assert min(counts) > PARTITIONS / len(counts) / 2
        readers = [
            client
            for node in valkey_cluster.primaries()
            for client in node.redis.client_list(_type="pubsub")
            if client["ssub"] != "0"
        ]
        assert len(readers) == 2 * len(counts)
        assert {int(client["ssub"]) for client in readers} == set(counts)


async def test_commands_find_keys_wherever_they_are(own_cluster: ValkeyCluster) -> None:
    async with connected(own_cluster.url) as commands:
        puts = [Command(key, ("SET", key, key)) for key in map(str, range(300))]
        gets = [Command(key, ("GET", key)) for key in map(str, range(300))]
        await commands.send(puts)
        slot = key_slot(b"7")
        source = own_cluster.primary_of(slot)
        target = next(node for node in own_cluster.primaries() if node is not source)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        source.ask("MIGRATE", "127.0.0.1", target.port, "7", 0, 5000)
        # On its way: the source sends who asks to the target, for this command only.
        assert await commands.send(gets) == [get.key.encode() for get in gets]
        await asyncio.to_thread(own_cluster.move_slot, slot, target)
        assert await commands.send(gets) == [get.key.encode() for get in gets]
        await commands.ping()


async def test_commands_to_a_cluster_that_is_not_there_say_so() -> None:
    async with connected(f"redis+cluster://127.0.0.1:{free_ports(1)[0]}") as commands:
        with pytest.raises(TROUBLE):
            await commands.send([Command("a", ("GET", "a"))])
        with pytest.raises(TROUBLE):
            await commands.ping()


async def test_the_wrong_kind_of_address_is_told_in_a_sentence(
    valkey: EmbeddedValkey, valkey_cluster: ValkeyCluster
) -> None:
    port = valkey_cluster.nodes[0].port
    assert await wrong_kind(valkey.url) is None
    assert await wrong_kind(valkey_cluster.url) is None
    assert await wrong_kind(f"redis://127.0.0.1:{free_ports(1)[0]}") is None
    said = await wrong_kind(f"redis://127.0.0.1:{port}")
    assert said is not None
    assert "write redis+cluster://" in said


async def test_one_server_at_a_clusters_address_is_told_too(tmp_path: Path) -> None:
    port, other = free_ports(2)
    alone = Node(tmp_path / "alone", port, other, ("--cluster-enabled", "no"))
    alone.start()
    try:
        await holds(alone.answers)
        assert await wrong_kind(f"redis://127.0.0.1:{port}") is None
        said = await wrong_kind(f"redis+cluster://127.0.0.1:{port}")
        assert said is not None
        assert "write redis://" in said
        # Told or not, nobody is served wrongly: there is no map, and so no bus.
        async with worker(f"redis+cluster://127.0.0.1:{port}") as lonely:
            lonely.rings(LOG)
            assert not lonely.up
    finally:
        alone.kill()


def test_a_map_says_who_serves_a_slot() -> None:
    slots = [
        [101, 200, [b"10.0.0.2", 1, b"id", {}], [b"10.0.0.3", 2, b"id", {}]],
        [0, 50, [None, 3, b"id", {}]],
    ]
    found, replicas = read_map(Address("here", 3), 7, slots)
    assert found.epoch == 7
    assert replicas == {Address("10.0.0.3", 2)}
    assert found.primaries == {Address("here", 3), Address("10.0.0.2", 1)}
    served = {slot: found.address_of(slot) for slot in (0, 50, 51, 100, 101, 200, 201, 16_383)}
    assert [slot for slot, address in served.items() if address is None] == [51, 100, 201, 16_383]
    assert served[50] == ("here", 3)
    assert served[101] == ("10.0.0.2", 1)


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("redis+cluster://a:1", ["redis://a:1"]),
        ("redis+cluster://a:1,b:2/0", ["redis://a:1", "redis://b:2"]),
        ("rediss+cluster://me:p%2Cw@a,[::1]:2", ["rediss://me:p%2Cw@a", "rediss://me:p%2Cw@[::1]:2"]),
        (
            "redis+cluster://:pw@a:1,b:2?ssl_ca_certs=x",
            ["redis://:pw@a:1?ssl_ca_certs=x", "redis://:pw@b:2?ssl_ca_certs=x"],
        ),
    ],
)
def test_an_address_of_a_cluster_names_nodes(url: str, nodes: list[str]) -> None:
    assert seeds(check(url)) == nodes


async def test_it_ends_at_whatever_moment_it_is_told_to(either_valkey: str) -> None:
    async with asyncio.timeout(60):
        for steps in range(0, 120, 4):
            async with worker(either_valkey) as one:
                one.rings(LOG)
                # No matter how far it has come with connecting.
                for _ in range(steps):
                    await asyncio.sleep(0)
