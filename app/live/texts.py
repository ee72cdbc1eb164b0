"""Documents that clients registered, shared by the workers through Valkey. Nothing depends on them: who is told that
a document is not known sends it again."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import cast

import structlog

from app.live import commands
from app.live.commands import Command, Commands
from app.live.trouble import TROUBLE

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

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._away_until = 0.0

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> "AsyncIterator[SharedTexts]":
        """Shared texts; Valkey need not be there."""
        patience = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE}
        async with commands.connected(url, **patience) as connected:
            yield cls(connected)

    async def get(self, digest: str) -> str | None:
        """The text with this digest, as far as it is known and is what it says."""
        found = await self._ask(Command(TEXT + digest, ("GET", TEXT + digest)))
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
            await self._ask(Command(NEWEST, ("EVAL", _PUT, 2, *keys_and_values)))

    async def _ask(self, command: Command) -> object:
        if time.monotonic() < self._away_until:
            return None
        try:
            (answer,) = await self._commands.send([command])
            return cast(object, answer)
        except TROUBLE:
            self._away_until = time.monotonic() + PAUSE
            return None
