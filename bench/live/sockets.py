"""The subscribers of the load generator: sockets that count events and look at nothing else in them."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from bench.live.frames import CLOSE, HANDSHAKE, ID, PING, SMALL, TEXT, client_frame, cursor_in, message

HTTP_END = b"\r\n\r\n"
# Before the number of a post in an event.
MARK = b'"text":"@'
# Sockets that share a source address, of some 28,000 ports that one address has by default.
PER_SOURCE = 10_000
# Times that a socket which does not come up is tried again. As clients do, after a pause of a random length that
# doubles at most so often, from at most half a second on.
TRIES, PAUSE, DOUBLED = 30, 0.5, 3

clock = time.perf_counter


class Lost(Exception):
    """Something did not come, or a socket was closed; the message says what and how many."""


@dataclass
class Crowd:
    """Sockets that subscribe to the same, and what they have received together."""

    name: str
    # Of the servers that they are spread over.
    ports: Sequence[int]
    subscribe: bytes
    size: int
    live: int = 0
    lost: int = 0
    retried: int = 0
    events: int = 0
    # Bytes of the messages of these events.
    size_of_events: int = 0
    cursor: str = ""
    trouble: str = ""
    sample: bytes = b""
    # Milliseconds from subscribe to LiveCaughtUp, of each socket.
    replays: list[float] = field(default_factory=list)
    # When events came, by the number of their post; nothing is kept unless this is a list.
    arrivals: list[tuple[int, float]] | None = None
    sockets: "set[Socket]" = field(default_factory=set)
    _target: int = -1
    _reached: "asyncio.Future[None] | None" = None

    def up(self, socket: "Socket", text: bytes) -> None:
        """A socket is live."""
        self.live += 1
        self.cursor = cursor_in(text)
        self.replays.append((clock() - socket.asked) * 1000)

    def counted(self, data: bytes, start: int, stop: int) -> None:
        """One more event."""
        self.events += 1
        self.size_of_events += stop - start
        if self.arrivals is not None:
            at = data.find(MARK, start, stop) + len(MARK)
            self.arrivals.append((int(data[at : at + 8]), clock()))
        if self.events == self._target:
            self.sample = data[start:stop]
            if self._reached is not None and not self._reached.done():
                self._reached.set_result(None)

    def lose(self) -> None:
        """A socket that was live is gone: what it should have had will never come."""
        self.lost += 1
        if self._reached is not None and not self._reached.done():
            self._reached.set_result(None)

    async def reach(self, target: int, patience: float) -> None:
        """Wait until so many events have come since the beginning. Raises Lost, at once when a socket is lost."""
        if self.events < target and not self.lost:
            self._target = target
            self._reached = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(patience):
                    await self._reached
            except TimeoutError:
                raise Lost(
                    f"{target - self.events} of {target} events did not come in {patience:g} s{self.told()}"
                ) from None
            finally:
                self._target, self._reached = -1, None
        if self.events < target:
            raise Lost(f"{target - self.events} of {target} events will not come{self.told()}")
        if self.events > target:
            raise Lost(f"{self.events - target} events too many{self.told()}")

    def told(self) -> str:
        """What went wrong with its sockets, for a message."""
        return (
            f"; {self.lost} sockets lost{f' ({self.trouble})' if self.trouble else ''}" if self.lost else ""
        )


class Socket(asyncio.Protocol):
    """One subscriber."""

    __slots__ = ("_ended", "_init", "_rest", "_transport", "asked", "crowd", "events", "is_live", "open")

    def __init__(self, crowd: Crowd, token: str) -> None:
        self.crowd, self.asked = crowd, 0.0
        self.is_live = False
        self.open = False
        self.events = 0
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._init = message("connection_init", {"authorization": f"Bearer {token}"})
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Count the frames."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self.open:
            at = data.find(HTTP_END) + len(HTTP_END)
            if at < len(HTTP_END):
                self._rest = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self._fail(data[:300].decode(errors="replace"))
                return
            self.open = True
            self._transport.write(self._init)
        while end - at >= 2:
            size, head = data[at + 1], 2
            if size > 125:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[at + 2 : at + head], "big")
            start = at + head
            stop = start + size
            if stop > end:
                break
            if size > SMALL and data[at] == TEXT:
                self.events += 1
                self.crowd.counted(data, start, stop)
            else:
                self._small(data[at], data[start:stop])
            at = stop
        self._rest = data[at:] if at < end else b""

    def _small(self, kind: int, text: bytes) -> None:
        if kind == CLOSE:
            self._fail(f"closed with {int.from_bytes(text[:2], 'big')} {text[2:].decode(errors='replace')}")
        elif kind == PING:
            self._transport.write(client_frame(text, 0x8A))
        elif b"LiveCaughtUp" in text:
            if not self.is_live:
                self.is_live = True
                self.crowd.up(self, text)
                self._end(True)
        elif b"connection_ack" in text:
            self.asked = clock()
            self._transport.write(self.crowd.subscribe)
        elif b'"ping"' in text:
            self._transport.write(message("pong"))
        elif b"LiveReset" in text or b'"error' in text or b'"complete"' in text:
            self._fail(text.decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self.crowd.sockets.discard(self)
        self._was_lost()
        self._end(False)

    def _fail(self, why: str) -> None:
        self.crowd.trouble = why
        self._was_lost()
        self._transport.abort()

    def _was_lost(self) -> None:
        if self.is_live:
            self.is_live = False
            self.crowd.lose()

    def _end(self, up: bool) -> None:
        if not self._ended.done():
            self._ended.set_result(up)

    async def comes_up(self) -> bool:
        """Whether it has become live; waits until it has or never will."""
        return await self._ended

    def close(self) -> None:
        """Be gone, without a word."""
        self.is_live = False
        self._transport.abort()


async def open_crowd(crowd: Crowd, tokens: Sequence[str], at_once: int, patience: float) -> None:
    """Bring all sockets up, so many handshakes under way at once. Raises Lost."""
    gate = asyncio.Semaphore(at_once)
    loop = asyncio.get_running_loop()

    async def bring_up(number: int, token: str) -> None:
        port = crowd.ports[number % len(crowd.ports)]
        source = (f"127.0.0.{1 + number // PER_SOURCE}", 0) if number >= PER_SOURCE else None
        async with gate:
            for attempt in range(TRIES):
                try:
                    _, socket = await loop.create_connection(
                        lambda: Socket(crowd, token), "127.0.0.1", port, local_addr=source
                    )
                    crowd.sockets.add(socket)
                    if await socket.comes_up():
                        return
                except OSError as error:
                    crowd.trouble = str(error)
                crowd.retried += 1
                await asyncio.sleep(random.uniform(PAUSE / 10, PAUSE) * 2 ** min(attempt, DOUBLED))
            raise Lost(f"a socket does not come up: {crowd.trouble}")

    tasks = [asyncio.create_task(bring_up(number, token)) for number, token in enumerate(tokens)]
    try:
        async with asyncio.timeout(patience):
            await asyncio.gather(*tasks)
    except TimeoutError:
        raise Lost(
            f"{crowd.live} of {crowd.size} sockets were live after {patience:g} s; {crowd.retried} tried again "
            f"{crowd.trouble}"
        ) from None
    finally:
        for task in tasks:
            task.cancel()


def subscribe_frame(document: str, after: str | None) -> bytes:
    """The frame that subscribes."""
    return message("subscribe", {"query": document, "variables": {"after": after}}, id=ID)
