"""A loader: collects the keys that one operation asks for and reads them in one statement.

Unlike the usual loader it does not read at the next tick of the event loop: it collects until its turn on
the operation's connection has come and no more keys arrive. So siblings that wait for different things on the way
still end up in one batch, and the number of statements depends on the shape of an operation, not on its lists.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from dataloaders.database import Session, Statements

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Batch = Callable[[Statements, Sequence[Key]], Awaitable[Sequence[Value]]]


class Loader(Generic[Key, Value]):
    """Reads values by key, each key once. A batch answers in the order it was asked."""

    def __init__(self, session: Session, batch: Batch[Key, Value]) -> None:
        self._session = session
        self._batch = batch
        self._values: dict[Key, asyncio.Future[Value]] = {}
        self._waiting: dict[Key, asyncio.Future[Value]] = {}
        self._task: asyncio.Task[None] | None = None

    async def load(self, key: Key) -> Value:
        """The value of one key. Raises what the batch raised."""
        return await self._future(key)

    async def load_many(self, keys: Iterable[Key]) -> list[Value]:
        """The values of the keys, in their order."""
        futures = [self._future(key) for key in keys]
        return [await future for future in futures]

    def prime(self, key: Key, value: Value) -> None:
        """Tell the loader a value that was read otherwise, replacing what it knew."""
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        future.set_result(value)
        self._values[key] = future

    def clear(self, key: Key) -> None:
        """Forget a value that was changed."""
        self._values.pop(key, None)

    def _future(self, key: Key) -> "asyncio.Future[Value]":
        future = self._values.get(key)
        if future is None:
            future = self._values[key] = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
            if self._task is None:
                self._task = asyncio.create_task(self._read())
        return future

    async def _read(self) -> None:
        while self._waiting:
            taken: dict[Key, asyncio.Future[Value]] = {}
            try:
                async with self._session.turn() as statements:
                    await self._settle()
                    taken, self._waiting = self._waiting, {}
                    values = await self._batch(statements, list(taken))
                for future, value in zip(taken.values(), values, strict=True):
                    if not future.done():
                        future.set_result(value)
            except BaseException as error:
                if not taken:
                    taken, self._waiting = self._waiting, {}
                for key, future in taken.items():
                    self._values.pop(key, None)
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # read by whoever still waits; nobody may
                if not isinstance(error, Exception):
                    raise
        self._task = None

    async def _settle(self) -> None:
        """Wait until a tick of the event loop brings no new key."""
        count = -1
        while count != len(self._waiting):
            count = len(self._waiting)
            await asyncio.sleep(0)
