"""Who serves what in a Valkey Cluster: a map of the slots, kept true, and a client for each node.

redis-py's own cluster client asks anew only after an error, waits its time for nodes that hang, and repeats commands
whose answer was lost. Here somebody looks every other second and at once when in doubt, no command waits for that, and
whoever sends one decides what a lost answer means.
"""

import asyncio
import random
from bisect import bisect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, cast

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from app.live.ending import ended, heed_cancellation
from app.live.trouble import TROUBLE
from app.valkey_urls import seeds

# Seconds. The map is looked at so often, and after a doubt no sooner than that.
LOOK_EVERY, DOUBT_PAUSE = 2.0, 0.1
# A node that is asked for the map and says nothing for so long (seconds) is passed over.
LOOK_TIMEOUT = 0.3
# A node that does not answer a command for so long (seconds) is as good as gone, unless the options say otherwise.
ANSWER_TIMEOUT = 2.0
DEFAULT_PORT = 6379

log = structlog.get_logger("maydan.cluster")


class Address(NamedTuple):
    """Where a node is reached."""

    host: str
    port: int


class SlotMap(NamedTuple):
    """Which primary serves which slots: `ends[n]` is the last slot of the range that `addresses[n]` serves.

    What nobody serves has None. `epoch` counts the cluster's elections: the higher one knows better.
    """

    epoch: int
    ends: tuple[int, ...]
    addresses: tuple[Address | None, ...]

    def address_of(self, slot: int) -> Address | None:
        """Who serves a slot."""
        place = bisect(self.ends, slot - 1)
        return self.addresses[place] if place < len(self.ends) else None

    @property
    def primaries(self) -> frozenset[Address]:
        """All who serve slots."""
        return frozenset(address for address in self.addresses if address is not None)


class Cluster:
    """The nodes of one cluster. `when_changed` is called after each look that found another map."""

    def __init__(self, url: str, options: dict[str, Any], when_changed: Callable[[], None]) -> None:
        self._options = {"socket_connect_timeout": ANSWER_TIMEOUT, "socket_timeout": ANSWER_TIMEOUT} | options
        self._seeds: list[dict[str, Any]] = [dict(parse_url(seed)) for seed in seeds(url)]
        self._when_changed = when_changed
        self._clients: dict[Address, Redis] = {}
        self._replicas: frozenset[Address] = frozenset()
        self._doubted = asyncio.Event()
        self._looked = asyncio.Event()
        self.map = SlotMap(0, (), ())

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, *, when_changed: Callable[[], None] = lambda: None, **options: object
    ) -> "AsyncIterator[Cluster]":
        """A cluster that is looked at until the end of the block; it need not be there. `options`: of redis-py."""
        cluster = cls(url, options, when_changed)
        watching = asyncio.create_task(cluster._watch())
        try:
            # Whoever asks first should find the map.
            with suppress(TimeoutError):
                async with asyncio.timeout(2 * LOOK_TIMEOUT):
                    await cluster._looked.wait()
            yield cluster
        finally:
            await ended(watching)
            for client in cluster._clients.values():
                with suppress(*TROUBLE):
                    await client.aclose()

    def address_of(self, key: str) -> Address | None:
        """Who serves a key, as far as it is known."""
        return self.map.address_of(key_slot(key.encode()))

    def client(self, address: Address) -> "Redis":
        """The client of a node."""
        client = self._clients.get(address)
        if client is None:
            where = self._seeds[0] | {"host": address.host, "port": address.port} | self._options
            # A connection that breaks is to be known of, and no command is sent twice by itself.
            pool = ConnectionPool(**where, retry=Retry(NoBackoff(), 0))
            client = self._clients[address] = Redis.from_pool(pool)
        return client

    def doubt(self) -> None:
        """Something was not where the map says: look at once."""
        self._doubted.set()

    async def _watch(self) -> None:
        while True:
            self._doubted.clear()
            try:
                await self._look()
            except Exception:
                log.exception("looking at the cluster failed and goes on")
            heed_cancellation()
            self._looked.set()
            await asyncio.sleep(DOUBT_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._doubted.wait()

    async def _look(self) -> None:
        """Ask one after the other, until one knows at least what is known here."""
        known = [*self.map.primaries, *self._replicas]
        random.shuffle(known)  # not always the same one, which may be cut off from the others
        named = [
            Address(seed.get("host", "localhost"), seed.get("port", DEFAULT_PORT)) for seed in self._seeds
        ]
        best: tuple[SlotMap, frozenset[Address]] | None = None
        for address in dict.fromkeys([*known, *named]):
            with suppress(*TROUBLE):
                found = await self._ask(address)
                if found[0].addresses and (best is None or found[0].epoch > best[0].epoch):
                    best = found
            if best is not None and best[0].epoch >= self.map.epoch:
                break
        if best is None:
            return
        before, (self.map, self._replicas) = self.map, best
        if before[1:] != self.map[1:]:
            self._when_changed()
            await self._forget(named)

    async def _ask(self, address: Address) -> tuple[SlotMap, frozenset[Address]]:
        async with asyncio.timeout(LOOK_TIMEOUT):
            pipeline = self.client(address).pipeline(transaction=False)
            for question in ("CLUSTER INFO", "CLUSTER SLOTS"):
                pipeline.execute_command(question)
            info, slots = cast(tuple[Any, Any], await pipeline.execute())
        return read_map(address, int(info["cluster_current_epoch"]), slots)

    async def _forget(self, named: list[Address]) -> None:
        """Close what leads to nodes that left. Who waits there for an answer may still get it."""
        kept = {*self.map.primaries, *self._replicas, *named}
        for address in [address for address in self._clients if address not in kept]:
            with suppress(*TROUBLE):
                await self._clients.pop(address).connection_pool.disconnect(inuse_connections=False)


def read_map(asked: Address, epoch: int, slots: list[Any]) -> tuple[SlotMap, frozenset[Address]]:
    """The map and the replicas from an answer to CLUSTER SLOTS of the node that was asked."""
    ends: list[int] = []
    addresses: list[Address | None] = []
    replicas: set[Address] = set()
    for first, last, *nodes in sorted(slots, key=lambda found: int(found[0])):
        if first > (ends[-1] + 1 if ends else 0):
            ends.append(first - 1)
            addresses.append(None)
        # A node may leave out where it is itself: there, where it was asked.
        primary, *others = (Address((node[0] or b"").decode() or asked.host, node[1]) for node in nodes)
        ends.append(last)
        addresses.append(primary)
        replicas.update(others)
    return SlotMap(epoch, tuple(ends), tuple(addresses)), frozenset(replicas)
