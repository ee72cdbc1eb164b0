"""Wake-ups between workers through one Valkey; cluster_bus.py has the same for a cluster, wake.py chooses.

Nothing is carried but "look now"; everybody also looks by themselves now and then. So Valkey may be slow, flushed or
gone, and nothing is lost but some milliseconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.live.ending import ended, heed_cancellation
from app.live.trouble import TROUBLE

# What is rung: something was committed to the outbox, something was numbered in the log.
OUTBOX = "{maydan}:outbox"
LOG = "{maydan}:log"
# Seconds: a broken bus is tried again, first soon, then calmly.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
# A bus that does not answer for so long (seconds) is as good as gone.
ANSWER_TIMEOUT = 2.0
# Seconds of silence after which the listening side asks whether anybody is there.
PING_EVERY = 15.0

log = structlog.get_logger("maydan.bus")


class WakeBus:
    """Publishes and hears wake-ups. `up` says whether Valkey answered last."""

    def __init__(self, redis: "Redis", heard: dict[str, Callable[[], None]]) -> None:
        self._redis = redis
        self._heard = heard
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        self.up = False

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, heard: dict[str, Callable[[], None]]) -> "AsyncIterator[WakeBus]":
        """A bus; `heard` is called, by channel, for each wake-up, our own included."""
        redis = Redis.from_url(
            url,
            socket_connect_timeout=ANSWER_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            # A connection that breaks is to be known of: what was published meanwhile was missed.
            retry=Retry(NoBackoff(), 0),
        )
        bus = cls(redis, heard)
        tasks = [asyncio.create_task(bus._publish()), asyncio.create_task(bus._listen())]
        try:
            yield bus
        finally:
            await ended(*tasks)
            with suppress(*TROUBLE):
                await redis.aclose()

    def publish(self, channel: str) -> None:
        """Wake the others. Returns at once; many calls become one message."""
        self._due.add(channel)
        self._wake.set()

    async def _publish(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            channels, self._due = self._due, set()
            for channel in channels:
                # Once more for a connection that broke since it was used. Who waits for this looks by themselves;
                # that Valkey is gone, and when it is back, the listening side tells.
                for _ in range(2):
                    try:
                        await self._redis.publish(channel, b"1")
                        break
                    except TROUBLE:
                        heed_cancellation()
            heed_cancellation()

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(*self._heard)
                    self.up, pause = True, FIRST_PAUSE
                    log.info("bus connected")
                    # What was published meanwhile was missed.
                    for wake in self._heard.values():
                        wake()
                    await self._hear(pubsub)
            except TROUBLE as error:
                self._went_down(error)
            except Exception as error:
                log.exception("bus failed and is connected again")
                self._went_down(error)
            heed_cancellation()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _hear(self, pubsub: PubSub) -> None:
        """Hear wake-ups until the connection breaks or is silent, which a ping finds out."""
        while True:
            message = await next_message(pubsub, PING_EVERY)
            if message["type"] == "message":
                heard = self._heard.get(message["channel"].decode())
                if heard is not None:
                    heard()

    def _went_down(self, error: BaseException) -> None:
        if self.up:
            log.warning("bus lost; delivery goes on from the database", error=type(error).__name__)
        self.up = False


async def next_message(pubsub: PubSub, ping_every: float) -> dict[str, Any]:
    """What comes next, pongs included. Raises TimeoutError when a ping, sent after silence, is not answered."""
    heed_cancellation()
    for asked in (False, True):
        message = await pubsub.get_message(timeout=ping_every)
        if message is not None:
            return cast(dict[str, Any], message)
        if not asked:
            await pubsub.ping()
    raise TimeoutError("no answer to a ping")
