"""The bad network is bad in the ways it is told to be, and the table of faults is drawn from by the seed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from tests.chaos.faults import FAULTS, plan, possible
from tests.chaos.proxy import Proxies, Proxy
from tests.people import EVENT_PATIENCE

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything twice."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := await reader.read(100):
                writer.write(data + data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


async def connected(proxy: Proxy) -> Ends:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def hears(reader: asyncio.StreamReader, length: int) -> bytes:
    async with asyncio.timeout(EVENT_PATIENCE):
        return await reader.readexactly(length)


async def test_a_good_network_brings_everything(proxy: Proxy) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"salam")
    assert await hears(reader, 10) == b"salamsalam"
    writer.close()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_what_a_line_holds_comes_when_it_heals(proxy: Proxy, way: str) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"one")
    assert await hears(reader, 6) == b"oneone"
    {"up": proxy.up, "down": proxy.down}[way].set(held=True)
    writer.write(b"two")
    answer = asyncio.create_task(hears(reader, 6))
    other_reader, other_writer = await connected(proxy)
    other_writer.write(b"six")
    other = asyncio.create_task(hears(other_reader, 6))
    done, _ = await asyncio.wait([answer, other], timeout=0.1)
    assert not done
    proxy.heal()
    assert (await answer, await other) == (b"twotwo", b"sixsix")
    writer.close()
    other_writer.close()


async def test_a_line_that_drips_brings_a_byte_first(proxy: Proxy) -> None:
    reader, writer = await connected(proxy)
    proxy.down.set(drips=True)
    writer.write(b"abc")
    async with asyncio.timeout(EVENT_PATIENCE):
        assert await reader.read(100) == b"a"
    proxy.heal()
    assert await hears(reader, 5) == b"bcabc"
    writer.close()


async def test_a_line_that_refuses_resets_what_is_there_and_what_comes(proxy: Proxy) -> None:
    reader, writer = await connected(proxy)
    writer.write(b"one")
    assert await hears(reader, 6) == b"oneone"
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await hears(reader, 1)
    writer.close()
    reader, writer = await connected(proxy)
    with pytest.raises(ConnectionResetError):
        await hears(reader, 1)
    writer.close()
    proxy.heal()
    reader, writer = await connected(proxy)
    writer.write(b"two")
    assert await hears(reader, 6) == b"twotwo"
    writer.close()


async def test_a_network_of_several_proxies_is_bad_in_all_of_them(proxy: Proxy) -> None:
    other = Proxy(proxy.port)
    await other.start()
    network = Proxies([proxy, other])
    reader, writer = await connected(other)
    network.down.set(held=True)
    writer.write(b"one")
    answer = asyncio.create_task(hears(reader, 6))
    done, _ = await asyncio.wait([answer], timeout=0.1)
    assert not done
    network.heal()
    assert await answer == b"oneone"
    network.refuse()
    with pytest.raises(ConnectionResetError):
        await hears(reader, 1)
    writer.close()
    await network.stop()


@pytest.mark.parametrize("bus", ["single", "cluster"])
def test_the_seed_draws_the_faults(bus: str) -> None:
    drawn = [plan("some", 35, random.Random(seed), bus) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 4
    assert sum(" + " in name for name in drawn[0]) == 2
    assert sorted(plan("all", 1, random.Random(1), bus)) == sorted(possible(bus))
    assert all("Valkey" in name for name in plan("bus", 1000, random.Random(1), bus))
    assert plan("Valkey killed, a worker killed + Valkey flushed", 1, random.Random(1), bus) == [
        "Valkey killed",
        "a worker killed + Valkey flushed",
    ]


def test_what_only_a_cluster_can_have_happens_to_no_other() -> None:
    assert set(possible("cluster")) == set(FAULTS)
    assert set(FAULTS) - set(possible("single")) >= {"slots of Valkey moved", "a shard of Valkey killed"}
    with pytest.raises(ValueError, match="'slots of Valkey moved' is no fault with this bus"):
        plan("slots of Valkey moved", 1, random.Random(1), "single")


def test_a_name_that_is_no_fault_is_told_with_all_that_are() -> None:
    with pytest.raises(ValueError, match="'rain' is no fault with this bus; there are: a worker killed, "):
        plan("rain", 1, random.Random(1), "single")
