"""What the workers of a campaign tell each other news by: one Valkey, or a cluster of them."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.embedded import EmbeddedValkey
from app.live.cluster_bus import SLOTS
from tests.chaos.proxy import Proxies, Proxy
from tests.valkey_cluster import Node, ValkeyCluster

# Of a cluster, so many slots move at a time.
MOVED = 12
# Seconds after which a dead node of a cluster is started again: its replica has taken over by then.
DEAD_FOR = 5.0


class Bus(Protocol):
    """What the campaign needs of it."""

    async def start(self) -> None:
        """Start it; again after `stop`."""

    async def stop(self) -> None:
        """Stop it."""

    async def network(self, number: int) -> tuple[Proxies, str]:
        """The network by which a worker reaches it, started, and its REDIS_URL there."""

    async def kill(self) -> None:
        """Kill it, or a primary of it; somebody starts that again."""

    async def signal(self, number: int) -> None:
        """Send it, or a primary of it, SIGSTOP; and SIGCONT to what was stopped."""

    async def flush(self) -> None:
        """Forget everything and cut all connections."""

    async def look(self) -> None:
        """Start what died, if nobody else does; called now and then."""


class SingleValkey:
    """One Valkey, as a bus."""

    def __init__(self, folder: Path) -> None:
        self._valkey = EmbeddedValkey(folder)

    async def start(self) -> None:
        await asyncio.to_thread(self._valkey.start)

    async def stop(self) -> None:
        await asyncio.to_thread(self._valkey.stop)

    async def network(self, number: int) -> tuple[Proxies, str]:
        proxy = Proxy(Path(unquote(urlsplit(self._valkey.url).path)))
        await proxy.start()
        return Proxies([proxy]), f"redis://127.0.0.1:{proxy.port}/0"

    async def kill(self) -> None:
        self._valkey.kill()

    async def signal(self, number: int) -> None:
        kept = self._valkey._kept
        pid = 0 if kept is None else kept.state()[0]
        # Nobody is there while another fault has it stopped; and 0 would be ourselves.
        if pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def flush(self) -> None:
        async with Redis.from_url(self._valkey.url) as redis:
            with contextlib.suppress(RedisError, OSError):
                await redis.flushall()
                for kind in ("pubsub", "normal"):
                    await redis.client_kill_filter(_type=kind, skipme=True)

    async def look(self) -> None:
        """Its keeper looks after it."""


class ClusteredValkey:
    """Three primaries with a replica each, as a bus."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        # Nodes do not say on which host they are, so a worker takes the host where it asked for all of them. Each has
        # a host of its own, where proxies lead to the ports of the same numbers.
        self._cluster = ValkeyCluster(
            folder / "cluster", options=("--cluster-preferred-endpoint-type", "unknown-endpoint")
        )
        self._chance = chance
        self._networks: dict[int, Proxies] = {}
        self._died: dict[int, float] = {}
        self._stopped = False

    async def start(self) -> None:
        if not self._cluster.nodes:
            await asyncio.to_thread(self._cluster.start)
        else:
            await asyncio.to_thread(self._cluster.restart)
        self._stopped = False

    async def stop(self) -> None:
        self._stopped = True
        for node in self._cluster.nodes:
            self._cluster.kill(node)

    async def network(self, number: int) -> tuple[Proxies, str]:
        host = f"127.0.0.{number + 2}"
        proxies = [Proxy(node.port, host=host, port=node.port) for node in self._cluster.nodes]
        for proxy in proxies:
            await proxy.start()
        self._networks[number] = Proxies(proxies)
        return self._networks[number], f"redis+cluster://{host}:{proxies[0].port},{host}:{proxies[-1].port}"

    async def network_to_one(self, number: int) -> Proxy:
        """The part of a worker's network that leads to some primary."""
        leads = set[int]()
        await self._to_a_primary(lambda node: leads.add(node.port))
        proxies = self._networks[number].proxies
        return next((proxy for proxy in proxies if proxy.port in leads), proxies[0])

    async def kill(self) -> None:
        await self._to_a_primary(self._cluster.kill)

    async def kill_shard(self) -> None:
        """Kill a primary and its replica: nobody serves a third of the slots until they are started again."""

        def shard(primary: Node) -> None:
            for node in (*self._replicas(primary), primary):
                self._cluster.kill(node)

        await self._to_a_primary(shard)

    async def hand_over(self) -> None:
        """Let a replica take its primary's place in order, as before a maintenance."""

        def now(primary: Node) -> None:
            for replica in self._replicas(primary):
                # A replica that is not in step refuses.
                with contextlib.suppress(RedisError, OSError):
                    replica.ask("CLUSTER", "FAILOVER")

        await self._to_a_primary(now)

    def _replicas(self, primary: Node) -> list[Node]:
        found = []
        for node in self._cluster.nodes:
            with contextlib.suppress(RedisError, OSError):
                if node.info("replication").get("master_port") == primary.port:
                    found.append(node)
        return found

    async def move_slots(self) -> None:
        """Hand some slots in which rings go to a primary."""

        def now(to: Node) -> None:
            for slot in self._chance.sample(SLOTS, MOVED):
                # Another fault may hinder it: a slot stays under way then, as when the one who moves it dies.
                with contextlib.suppress(RedisError, OSError, AssertionError):
                    self._cluster.move_slot(slot, to)

        await self._to_a_primary(now)

    async def signal(self, number: int) -> None:
        if number == signal.SIGSTOP:
            await self._to_a_primary(Node.pause)
        else:
            for node in self._cluster.nodes:
                node.resume()

    async def _to_a_primary(self, do: Callable[[Node], None]) -> None:
        def now() -> None:
            # Nobody says who leads while another fault has all of them stopped.
            with contextlib.suppress(StopIteration):
                alive = [node for node in self._cluster.primaries() if node.alive]
                if alive:
                    do(self._chance.choice(alive))

        await asyncio.to_thread(now)

    async def flush(self) -> None:
        def now() -> None:
            for node in self._cluster.nodes:
                for command in (
                    ("FLUSHALL",),
                    ("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"),
                    ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
                ):
                    # A replica refuses the first, and a node that is stopped everything.
                    with contextlib.suppress(RedisError, OSError):
                        node.ask(*command)

        await asyncio.to_thread(now)

    async def look(self) -> None:
        now = time.monotonic()
        for node in self._cluster.nodes:
            if node.alive or self._stopped:
                self._died.pop(node.port, None)
            elif now - self._died.setdefault(node.port, now) > DEAD_FOR:
                self._cluster.restart(node)
