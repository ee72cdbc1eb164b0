"""Wake-ups between workers through a Valkey Cluster: sharded pub/sub over PARTITIONS channels.

Every worker hears all partitions, from one connection and one task for each node; a ring goes into one of them, each
time another. So the work is spread over all nodes, and a node that is gone takes nothing with it but the rings that
were under way: the next ones go through the others.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import structlog
from redis.asyncio.client import PubSub
from redis.crc import key_slot
from redis.exceptions import RedisError

from app.live.bus import FIRST_PAUSE, LONGEST_PAUSE, next_message
from app.live.cluster import Address, Cluster
from app.live.ending import ended, heed_cancellation
from app.live.trouble import TROUBLE

# Enough for a share to everybody in a cluster of dozens of nodes; subscribing to them takes a node some milliseconds.
PARTITIONS = 256
# Seconds. Whoever a ring is for looks by themselves after 250 ms: a node that takes longer is passed over, and not
# tried again before AVOIDED is over.
ANSWER_TIMEOUT, AVOIDED = 0.25, 1.0
# Partitions that a ring is tried in.
TRIES = 3
# Seconds. A node may hang while others take its place, which takes the cluster some seconds: soon enough is soon.
PING_EVERY = 2.0

log = structlog.get_logger("maydan.bus")


def channel_of(partition: int) -> str:
    """A partition's channel. Each has a tag of its own, which spreads them over the slots."""
    return f"maydan:wake:{{{partition}}}"


SLOTS = tuple(key_slot(channel_of(partition).encode()) for partition in range(PARTITIONS))


class PartitionMoved(RedisError):
    """The node does not serve a partition any more."""


class Share(NamedTuple):
    """What one node carries."""

    address: Address
    partitions: tuple[int, ...]


class ClusterBus:
    """Publishes and hears wake-ups. `up` says whether all partitions are heard."""

    def __init__(self, heard: dict[str, Callable[[], None]]) -> None:
        self._heard = {name.encode(): wake for name, wake in heard.items()}
        self._cluster: Cluster | None = None
        self._readers: dict[Share, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._hearing: set[Share] = set()
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        self._order = random.sample(range(PARTITIONS), PARTITIONS)
        self._turn = 0
        self._avoided: dict[Address, float] = {}
        self.up = False

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, heard: dict[str, Callable[[], None]]) -> "AsyncIterator[ClusterBus]":
        """A bus; `heard` is called, by what was rung, for each wake-up, our own included."""
        bus = cls(heard)
        async with Cluster.connected(url, when_changed=bus._arrange) as cluster:
            bus._cluster = cluster
            bus._arrange()
            publishing = asyncio.create_task(bus._publish(cluster))
            try:
                yield bus
            finally:
                bus._cluster = None
                await ended(publishing, *bus._readers.values())
                await asyncio.gather(*bus._leaving)

    def publish(self, channel: str) -> None:
        """Wake the others. Returns at once; many calls become one message."""
        self._due.add(channel)
        self._wake.set()

    async def _publish(self, cluster: Cluster) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            rings, self._due = " ".join(sorted(self._due)), set()
            for _ in range(TRIES):
                if await self._ring(cluster, rings):
                    break
            heed_cancellation()

    async def _ring(self, cluster: Cluster, rings: str) -> bool:
        """Ring in the next partition that seems well; whether somebody heard it."""
        found = self._next(cluster)
        if found is None:
            cluster.doubt()
            return False
        address, channel = found
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                heard = await cast(Any, cluster.client(address).spublish(channel, rings))
        except TROUBLE:
            self._avoided[address] = time.monotonic() + AVOIDED
            cluster.doubt()
            return False
        # We ourselves should: until we hear that node again, perhaps others do not hear it either.
        return bool(heard)

    def _next(self, cluster: Cluster) -> tuple[Address, str] | None:
        now = time.monotonic()
        found = None
        for _ in range(PARTITIONS):
            self._turn = (self._turn + 1) % PARTITIONS
            partition = self._order[self._turn]
            address = cluster.map.address_of(SLOTS[partition])
            if address is not None:
                found = address, channel_of(partition)
                if self._avoided.get(address, 0.0) <= now:
                    break
        # When all are avoided, any.
        return found

    def _arrange(self) -> None:
        """One reader for each node that has partitions, by the cluster's map of now."""
        if self._cluster is None:
            return
        by_node: dict[Address, list[int]] = defaultdict(list)
        for partition, slot in enumerate(SLOTS):
            address = self._cluster.map.address_of(slot)
            if address is not None:
                by_node[address].append(partition)
        shares = {Share(address, tuple(partitions)) for address, partitions in by_node.items()}
        for share in self._readers.keys() - shares:
            self._hearing.discard(share)
            leaving = asyncio.create_task(ended(self._readers.pop(share)))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        for share in shares - self._readers.keys():
            self._readers[share] = asyncio.create_task(self._read(self._cluster, share))
        self._tell("moved")

    async def _read(self, cluster: Cluster, share: Share) -> None:
        """Hear one node, until it has other partitions or none."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with cluster.client(share.address).pubsub() as pubsub:
                    for partition in share.partitions:
                        await pubsub.ssubscribe(channel_of(partition))
                    await self._confirmed(pubsub, share)
                    pause = FIRST_PAUSE
                    await self._hear(pubsub)
            except TROUBLE as error:
                self._lost(share, error)
            except Exception as error:
                log.exception("bus failed and is connected again")
                self._lost(share, error)
            heed_cancellation()
            cluster.doubt()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _lost(self, share: Share, error: BaseException) -> None:
        if self._readers.get(share) is asyncio.current_task():
            self._hearing.discard(share)
        self._tell(type(error).__name__)

    async def _confirmed(self, pubsub: PubSub, share: Share) -> None:
        waiting = len(share.partitions)
        while waiting:
            message = await next_message(pubsub, PING_EVERY)
            if message["type"] == "ssubscribe":
                waiting -= 1
            elif message["type"] == "sunsubscribe":
                raise PartitionMoved
        if self._readers.get(share) is asyncio.current_task():
            self._hearing.add(share)
        self._avoided.pop(share.address, None)
        self._tell("")
        # What was published meanwhile was missed.
        for wake in self._heard.values():
            wake()

    async def _hear(self, pubsub: PubSub) -> None:
        """Hear wake-ups until the connection breaks, is silent, or the node gives a partition away."""
        while True:
            message = await next_message(pubsub, PING_EVERY)
            if message["type"] == "smessage":
                for name in message["data"].split():
                    heard = self._heard.get(name)
                    if heard is not None:
                        heard()
            elif message["type"] == "sunsubscribe":
                raise PartitionMoved

    def _tell(self, reason: str) -> None:
        """Find out whether everything is heard, and log when that has changed."""
        up = sum(len(share.partitions) for share in self._hearing) == PARTITIONS
        if up and not self.up:
            log.info("bus connected", nodes=len(self._hearing))
        elif self.up and not up:
            log.warning("bus lost in part; delivery goes on from the database as well", error=reason)
        self.up = up
