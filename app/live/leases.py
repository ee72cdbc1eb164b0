"""Budgets that all workers share, in Valkey: points are lent in blocks and what was not used is given back.

A budget is one number, the moment at which it will be full again by Valkey's own clock (microseconds). The key
expires at that moment, so a full budget takes no room, and what is lost in a crash is refilled like what was spent.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from app.live import commands
from app.live.commands import Command, Commands
from app.live.ending import ended
from app.live.trouble import TROUBLE

# Seconds. A request may wait for this; a Valkey that needs longer is no help.
ANSWER_TIMEOUT = 0.1
# After that, the time for an answer that came while the event loop was held up to be read.
GRACE = 0.02
# Keys asked for in one go: some milliseconds' work for Valkey, which others wait for.
TOGETHER = 100

# ARGV: points that it holds, microseconds to refill, points given back, points wanted, points without which none are.
# Of what is left a quarter is lent at most, unless less would be none: other workers serve the same owner.
LEND = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local capacity, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local each = window / capacity
local full_in = math.min((tonumber(redis.call('GET', KEYS[1])) or 0) - now, window)
full_in = math.max(full_in - math.floor(ARGV[3] * each), 0)
local left = math.floor((window - full_in) / each + 0.000001)
local wanted, least, lent = tonumber(ARGV[4]), tonumber(ARGV[5]), 0
if wanted > 0 and left >= least then
  lent = math.max(least, math.min(wanted, math.floor(left / 4)))
end
if lent > 0 or tonumber(ARGV[3]) > 0 then
  full_in = math.min(full_in + math.ceil(lent * each), window)
  if full_in >= 1 then
    redis.call('SET', KEYS[1], string.format('%.0f', now + full_in), 'PX', math.ceil(full_in / 1000))
  else
    redis.call('DEL', KEYS[1])
  end
end
return {lent, full_in}
"""


class LeasesAway(Exception):
    """Valkey does not answer, or not in time."""


class Ask(NamedTuple):
    """Points given back to a key and points wanted from it: `wanted`, but at least `least`."""

    key: str
    back: int = 0
    wanted: int = 0
    least: int = 0


class Lent(NamedTuple):
    """The points that were lent, maybe none, and the seconds until the budget will be full again."""

    points: int
    full_in: float


class ValkeyLeases:
    """Budgets of one size, on connections of their own."""

    def __init__(self, commands: Commands, points: int, seconds: int) -> None:
        self._commands = commands
        self._size = (points, seconds * 1_000_000)
        # A budget of another size is another budget: what one setting left is not the next one's.
        self._of_size = f":{points}/{seconds}"

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, points: int, seconds: int) -> "AsyncIterator[ValkeyLeases]":
        """Leases of budgets that hold `points` and refill in `seconds`. Connects when it is first asked."""
        # Who gave points back and got no answer must not give them back again: no command is sent twice.
        async with commands.connected(url) as connected:
            yield cls(connected, points, seconds)

    async def lend(self, asks: Sequence[Ask]) -> list[Lent]:
        """The answers, in order: one round trip. Raises LeasesAway, after a tenth of a second or so."""
        # The script itself and not its hash: a restarted Valkey would not know that.
        calls = [
            Command(ask.key, ("EVAL", LEND, 1, ask.key + self._of_size, *self._size, *ask[1:]))
            for ask in asks
        ]
        answers = await self._answer(self._commands.send(calls))
        return [Lent(points, full_in / 1_000_000) for points, full_in in answers]

    async def ping(self) -> None:
        """See whether Valkey answers. Raises LeasesAway."""
        await self._answer(self._commands.ping())

    async def _answer(self, command: "Coroutine[Any, Any, Any]") -> Any:
        asked = asyncio.create_task(command)
        try:
            for patience in (ANSWER_TIMEOUT, GRACE):
                await asyncio.wait((asked,), timeout=patience)
                if asked.done():
                    return asked.result()
            raise LeasesAway("no answer in time")
        except TROUBLE as error:
            raise LeasesAway(type(error).__name__) from error
        finally:
            if not asked.done():
                # Its connection goes with it: whatever still comes on it answers nobody.
                await ended(asked)
