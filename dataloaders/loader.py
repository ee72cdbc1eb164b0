"""A loader: collects the keys that one operation asks for and reads them in one statement.

Unlike the usual loader it does not read at the next tick of the event loop: it collects until its turn on
the operation's connection has come and no more keys arrive. So siblings that wait for different things on the way
still end up in one batch, and the number of statements depends on the shape of an operation, not on its lists.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence, Set
from typing import Generic, TypeVar

from dataloaders.database import Session, Statements

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

# Answers with the keys' values in their order, or by key.
Batch = Callable[[Statements, Sequence[Key]], Awaitable[Sequence[Value] | dict[Key, Value]]]


class _Reading(Generic[Key]):
    """One statement to be: the keys collected for it, open to more until it is sent, and its end."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = set(keys)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Loader(Generic[Key, Value]):
    """Reads values by key, each key once.

    With `gathers` false it does not wait for more keys: for what an operation asks of one key only.
    """

    # An operation makes ten of them.
    __slots__ = ("_batch", "_gathers", "_open", "_readings", "_session", "_values")

    def __init__(self, session: Session, batch: Batch[Key, Value], *, gathers: bool = True) -> None:
        self._session = session
        self._batch = batch
        self._gathers = gathers
        self._values: dict[Key, Value] = {}
        # What is being read, and the one of them that is not sent yet.
        self._readings: list[_Reading[Key]] = []
        self._open: _Reading[Key] | None = None

    async def load(self, key: Key) -> Value:
        """The value of one key. Raises what the batch raised."""
        return (await self.load_mapping((key,)))[key]

    async def load_many(self, keys: Iterable[Key]) -> list[Value]:
        """The values of the keys, in their order. Raises what a batch raised; asking again then reads again."""
        keys = list(keys)
        values = await self.load_mapping(keys)
        return [values[key] for key in keys]

    async def load_mapping(self, keys: Iterable[Key], *, whole: bool = False) -> Mapping[Key, Value]:
        """All that is known by now, these keys' values among it. Raises what a batch raised.

        With `whole` the caller has all the keys there are, as a page has, and nobody else's are waited for.
        """
        # Sets keep the hashes of their elements: a page's keys are hashed once, not at each step.
        missing = set(keys).difference(self._values)
        while missing:
            await self._read(missing, whole)
            missing = missing.difference(self._values)
        return self._values

    def prime(self, values: Mapping[Key, Value]) -> None:
        """Tell the loader values that were read otherwise. What it knows already stays."""
        self._values = {**values, **self._values}

    def learn(self, other: "Loader[Key, Value]") -> None:
        """Know what another loader of the same kind knows."""
        self.prime(other._values)

    async def _read(self, keys: Set[Key], whole: bool) -> None:
        """Have these keys read, by statements under way or by one that others may join."""
        under_way = []
        for reading in self._readings:
            if not keys.isdisjoint(reading.keys):
                under_way.append(reading)
                keys = keys - reading.keys
        if keys and self._open is None:
            opened = self._open = _Reading(keys)
            self._readings.append(opened)
            # Whoever opened it reads for all; when they are cancelled, the others look again.
            await self._send(opened, whole)
        elif keys and self._open is not None:
            self._open.keys |= keys
            under_way.append(self._open)
        for reading in under_way:
            await asyncio.shield(reading.over)

    async def _send(self, reading: _Reading[Key], whole: bool) -> None:
        try:
            async with self._session.turn() as statements:
                if self._gathers and not whole:
                    await self._settle(reading)
                self._open = None
                keys = list(reading.keys)
                values = await self._batch(statements, keys)
            if len(values) != len(keys):
                raise LookupError(f"{len(values)} values were read for {len(keys)} keys")
            self._values.update(values if isinstance(values, dict) else zip(keys, values, strict=True))
            reading.over.set_result(None)
        except Exception as error:
            reading.over.set_exception(error)
            reading.over.exception()  # read by whoever still waits; nobody may
            raise
        finally:
            if self._open is reading:
                self._open = None
            self._readings.remove(reading)
            if not reading.over.done():
                reading.over.set_result(None)

    async def _settle(self, reading: _Reading[Key]) -> None:
        """Wait until a tick of the event loop brings no new key."""
        count = -1
        while count != len(reading.keys):
            count = len(reading.keys)
            await asyncio.sleep(0)
