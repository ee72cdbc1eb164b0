"""Commands to one Valkey or to a cluster, many in one go; each concerns the keys of one slot.

No command is ever repeated unless the node that got it said that it did not run it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, NamedTuple, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ConnectionError, MovedError

from app.live.cluster import Address, Cluster
from app.live.trouble import TROUBLE
from app.valkey_urls import is_cluster, seeds


class Command(NamedTuple):
    """A command, and one of the keys that it concerns."""

    key: str
    words: tuple[Any, ...]


class Commands(Protocol):
    """A Valkey to send commands to."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, in order: one round trip. Raises one of TROUBLE when one of them failed."""

    async def ping(self) -> None:
        """See whether all of it answers. Raises one of TROUBLE."""


def connected(url: str, **options: object) -> AbstractAsyncContextManager[Commands]:
    """Commands to the Valkey or the cluster at this address, which need not be there. `options`: of redis-py."""
    return _cluster(url, options) if is_cluster(url) else _single(url, options)


@asynccontextmanager
async def _single(url: str, options: dict[str, Any]) -> AsyncIterator[Commands]:
    redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    try:
        yield SingleCommands(redis)
    finally:
        with suppress(*TROUBLE):
            await redis.aclose()


@asynccontextmanager
async def _cluster(url: str, options: dict[str, Any]) -> AsyncIterator[Commands]:
    async with Cluster.connected(url, **options) as cluster:
        yield ClusterCommands(cluster)


class SingleCommands:
    """To one server. Connects when it is first asked."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Commands."""
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command.words)
        return await pipeline.execute()

    async def ping(self) -> None:
        """See Commands."""
        await cast(Any, self._redis.ping())


class ClusterCommands:
    """To the nodes of a cluster, each of which gets its commands together."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Commands."""
        by_node: dict[Address, list[int]] = defaultdict(list)
        for nth, command in enumerate(commands):
            by_node[self._address_of(command.key)].append(nth)
        answers: list[Any] = [None] * len(commands)

        async def ask(address: Address, places: list[int]) -> None:
            pipeline = self._cluster.client(address).pipeline(transaction=False)
            for nth in places:
                pipeline.execute_command(*commands[nth].words)
            for nth, answer in zip(places, await pipeline.execute(raise_on_error=False), strict=True):
                # A slot that is on its way to another node, or has arrived there.
                answers[nth] = (
                    await self._redirected(address, commands[nth], answer)
                    if isinstance(answer, AskError)
                    else answer
                )

        await self._all([ask(address, places) for address, places in by_node.items()])
        for answer in answers:
            if isinstance(answer, Exception):
                self._cluster.doubt()
                raise answer
        return answers

    async def ping(self) -> None:
        """See Commands."""
        primaries = self._cluster.map.primaries
        if not primaries:
            self._cluster.doubt()
            raise ConnectionError("no node of the cluster is known")
        await self._all([cast(Any, self._cluster.client(address).ping()) for address in primaries])

    def _address_of(self, key: str) -> Address:
        address = self._cluster.address_of(key)
        if address is None:
            self._cluster.doubt()
            raise ConnectionError("no node serves the slot")
        return address

    async def _redirected(self, asked: Address, command: Command, answer: AskError) -> Any:
        """The answer of the node to which the one that was asked sends us, which did not run the command."""
        pipeline = self._cluster.client(Address(answer.host or asked.host, answer.port)).pipeline(
            transaction=False
        )
        if isinstance(answer, MovedError):
            self._cluster.doubt()
        else:
            pipeline.execute_command("ASKING")
        pipeline.execute_command(*command.words)
        return (await pipeline.execute(raise_on_error=False))[-1]

    async def _all(self, asking: Sequence[Any]) -> None:
        """Wait for all, whatever comes of one, then raise what was raised. Whoever waits no longer ends them all."""
        try:
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
        except asyncio.CancelledError:
            # No answer in time: perhaps the node is no longer the right one.
            self._cluster.doubt()
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                self._cluster.doubt()
                raise outcome


async def wrong_kind(url: str) -> str | None:
    """What is wrong when the address is that of one server and a cluster answers, or the other way round.

    None when it fits, or when nobody answers, which is no matter at the start.
    """
    wanted = is_cluster(url)
    for address in seeds(url) if wanted else [url]:
        redis = Redis.from_url(
            address, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        try:
            found = bool((await redis.info("cluster"))["cluster_enabled"])
        except (*TROUBLE, KeyError):
            continue
        finally:
            with suppress(*TROUBLE):
                await redis.aclose()
        if found and not wanted:
            return "REDIS_URL is wrong: a node of a cluster answers there; write redis+cluster:// before its address."
        if wanted and not found:
            return "REDIS_URL is wrong: a single server answers there; write redis:// before its address."
        return None
    return None
