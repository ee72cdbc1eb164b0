"""A loader: collects the keys that one operation asks for and reads them in one statement.

Unlike the usual loader it does not read at the next tick of the event loop: it collects until its turn on
the operation's connection has come and no more keys arrive. So siblings that wait for different things on the way
still end up in one batch, and the number of statements depends on the shape of an operation, not on its lists.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from dataloaders.database import Session, Statements

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Batch = Callable[[Statements, Sequence[Key]], Awaitable[Sequence[Value]]]


class _Reading(Generic[Key]):
    """One statement to be: the keys collected for it, open to more until it is sent, and its end."""

    def __init__(self) -> None:
        self.keys: dict[Key, None] = {}
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Loader(Generic[Key, Value]):
    """Reads values by key, each key once. A batch answers in the order it was asked."""

    def __init__(self, session: Session, batch: Batch[Key, Value]) -> None:
        self._session = session
        self._batch = batch
        self._values: dict[Key, Value] = {}
        # What is being read, and by which statement.
        self._readings: dict[Key, _Reading[Key]] = {}
        self._open: _Reading[Key] | None = None

    async def load(self, key: Key) -> Value:
        """The value of one key. Raises what the batch raised."""
        return (await self.load_many((key,)))[0]

    async def load_many(self, keys: Iterable[Key]) -> list[Value]:
        """The values of the keys, in their order. Raises what a batch raised; asking again then reads again."""
        keys = list(keys)
        values = await self.load_mapping(keys)
        return [values[key] for key in keys]

    async def load_mapping(self, keys: Iterable[Key]) -> Mapping[Key, Value]:
        """All that is known by now, these keys' values among it. Raises what a batch raised."""
        keys = list(keys)
        while missing := [key for key in keys if key not in self._values]:
            await self._read(missing)
        return self._values

    def prime(self, values: Mapping[Key, Value]) -> None:
        """Tell the loader values that were read otherwise. What it knows already stays."""
        self._values = {**values, **self._values}

    def learn(self, other: "Loader[Key, Value]") -> None:
        """Know what another loader of the same kind knows."""
        self.prime(other._values)

    async def _read(self, keys: Sequence[Key]) -> None:
        """Have these keys read, by statements under way or by one that others may join."""
        under_way = set()
        opened = None
        for key in keys:
            reading = self._readings.get(key)
            if reading is None:
                if self._open is None:
                    opened = self._open = _Reading()
                reading = self._readings[key] = self._open
                reading.keys[key] = None
            under_way.add(reading)
        if opened is not None:
            # Whoever opened it reads for all; when they are cancelled, the others look again.
            await self._send(opened)
            under_way.discard(opened)
        for reading in under_way:
            await asyncio.shield(reading.over)

    async def _send(self, reading: _Reading[Key]) -> None:
        try:
            async with self._session.turn() as statements:
                await self._settle(reading)
                self._open = None
                values = await self._batch(statements, list(reading.keys))
            self._values.update(zip(reading.keys, values, strict=True))
            reading.over.set_result(None)
        except Exception as error:
            reading.over.set_exception(error)
            reading.over.exception()  # read by whoever still waits; nobody may
            raise
        finally:
            if self._open is reading:
                self._open = None
            for key in reading.keys:
                del self._readings[key]
            if not reading.over.done():
                reading.over.set_result(None)

    async def _settle(self, reading: _Reading[Key]) -> None:
        """Wait until a tick of the event loop brings no new key."""
        count = -1
        while count != len(reading.keys):
            count = len(reading.keys)
            await asyncio.sleep(0)
