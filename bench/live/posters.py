"""Those who post: plain HTTP connections of the load generator."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import cast

from bench.live.documents import MARK
from bench.live.sockets import Lost

END = b"\r\n\r\n"
LENGTH = b"content-length: "
# What an answer holds when all is well: of a mutation that nothing was refused, of the other servers their word.
FINE = (b'"userErrors":[]', b"published")
# Seconds for one answer.
PATIENCE = 60.0

clock = time.perf_counter


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._data = b""
        self._answer: asyncio.Future[float] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come of the answer."""
        self._data += data
        head, found, body = self._data.partition(END)
        at = head.lower().find(LENGTH)
        if not found or len(body) < int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0]):
            return
        assert self._answer is not None
        if head.startswith(b"HTTP/1.1 200") and any(word in body for word in FINE):
            self._answer.set_result(clock())
        else:
            self._answer.set_exception(Lost(f"a post was answered with {self._data[:500].decode()}"))
        self._data = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Lost("a connection was closed before the answer"))

    async def send(self, request: bytes) -> float:
        """Send a request and wait; when its answer was there. Raises Lost."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(PATIENCE):
            return await self._answer


class Posters:
    """Posts on connections that stay open, each post with the next number."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Connection] = []

    async def post(self, request: bytes, number: int) -> float:
        """Send the request with this number in it; when its answer was there. Raises Lost."""
        connection = self._free.pop() if self._free else None
        # A server that ended, or that waits no longer for a next request.
        while connection is not None and connection.closed:
            connection = self._free.pop() if self._free else None
        if connection is None:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, "127.0.0.1", self._port
            )
        answered = await connection.send(request.replace(MARK.encode(), b"@%08d" % number, 1))
        self._free.append(connection)
        return answered


async def pace(
    posters: Posters, requests: Sequence[bytes], first: int, rate: float, seconds: float, seed: int
) -> list[tuple[float, float | None]]:
    """Post at random moments, so many a second, whatever is under way.

    When each was sent and answered; None when it was refused, as a server does that has too much to do.
    """
    dice = random.Random(seed)
    due = clock()
    end = due + seconds
    tasks: list[asyncio.Task[tuple[float, float | None]]] = []

    async def one(request: bytes, number: int) -> tuple[float, float | None]:
        sent = clock()
        try:
            return sent, await posters.post(request, number)
        except (Lost, TimeoutError):
            return sent, None

    while True:
        due += dice.expovariate(rate)
        if due >= end:
            break
        await asyncio.sleep(max(due - clock(), 0))
        number = len(tasks)
        tasks.append(asyncio.create_task(one(dice.choice(requests), first + number)))
    return list(await asyncio.gather(*tasks))
