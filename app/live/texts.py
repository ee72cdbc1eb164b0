"""Documents that clients registered, shared by the workers through Valkey. Nothing depends on them: who is told that
a document is not known sends it again."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

# One tag for all, so that registering is one script in a cluster as well.
TEXT = "{maydan:documents}:"
NEWEST = "{maydan:documents}"
# Registered documents that are kept at most, and for how many seconds: an app in use registers its own again.
MOST = 5_000
KEPT_SECONDS = 7 * 24 * 3600
# Longer ones (characters) are sent each time.
LONGEST = 20_000
# Seconds: the client can send the document faster than we should wait for it; and how long a Valkey that did not
# answer is left alone.
PATIENCE, PAUSE = 0.25, 1.0

# KEYS: the list of digests by time, the text's key. ARGV: text, digest, seconds, how many are kept, prefix of the keys.
_PUT = """
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[3])
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], ARGV[2])
local many = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[4])
if many > 0 then
    for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, many - 1)) do redis.call('DEL', ARGV[5] .. old) end
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, many - 1)
end
"""

log = structlog.get_logger("maydan.documents")


class SharedTexts:
    """Texts by the SHA-256 of each, as hexadecimal digits."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._away_until = 0.0

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> "AsyncIterator[SharedTexts]":
        """Shared texts; Valkey need not be there."""
        redis = Redis.from_url(
            url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        try:
            yield cls(redis)
        finally:
            await redis.aclose()

    async def get(self, digest: str) -> str | None:
        """The text with this digest, as far as it is known and is what it says."""
        found = await self._ask(self._redis.get(TEXT + digest))
        if not isinstance(found, bytes):
            return None
        if sha256(found).hexdigest() != digest:
            log.warning("a shared document is not what its key says and is ignored", digest=digest)
            return None
        return found.decode()

    async def put(self, digest: str, text: str) -> None:
        """Share a text. It may be forgotten."""
        if len(text) <= LONGEST:
            keys_and_values = (NEWEST, TEXT + digest, text, digest, KEPT_SECONDS, MOST, TEXT)
            await self._ask(self._redis.eval(_PUT, 2, *cast(Any, keys_and_values)))

    async def _ask(self, command: Any) -> object:
        if time.monotonic() < self._away_until:
            command.close()
            return None
        try:
            return cast(object, await command)
        except (RedisError, OSError, TimeoutError):
            self._away_until = time.monotonic() + PAUSE
            return None
