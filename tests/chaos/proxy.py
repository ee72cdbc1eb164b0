"""A TCP proxy that can be a bad network: slow, cut, half-open, one way, a byte a second."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

CHUNK = 65_536
# Seconds between two bytes of a line that drips.
DRIP = 1.0
# An immediate reset instead of a polite end.
LINGER = struct.pack("ii", 1, 0)


@dataclass
class Way:
    """One direction of all connections of a proxy."""

    delay: float = 0.0
    held: bool = False
    drips: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, *, delay: float = 0.0, held: bool = False, drips: bool = False) -> None:
        """From now on this direction is so; what waits is looked at again."""
        self.delay, self.held, self.drips = delay, held, drips
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def carry(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Bring data across as slowly as this direction is now."""
        while self.held or self.drips:
            changed = self._changed
            if self.drips:
                writer.write(data[:1])
                data = data[1:]
                if not data:
                    break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRIP if self.drips else None):
                    await changed.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        if data:
            writer.write(data)
        await writer.drain()


class Ways:
    """The same direction of several proxies."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways

    def set(self, *, delay: float = 0.0, held: bool = False, drips: bool = False) -> None:
        """From now on all are so."""
        for way in self._ways:
            way.set(delay=delay, held=held, drips=drips)


class Proxy:
    """A port that leads to a server: to a port of this machine, or to a Unix socket."""

    def __init__(self, upstream: int | Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._upstream, self._host = upstream, host
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.up, self.down = Way(), Way()
        self.port = port

    async def start(self) -> None:
        """Listen on the port given, or on a free one."""
        self._server = await asyncio.start_server(self._accepted, self._host, self.port, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop everything."""
        if self._server is not None:
            self._server.close()
        self.heal()
        self.cut()
        # Connections end by themselves then; who is cancelled instead is reported by asyncio.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections."""
        for writer in list(self._open):
            reset(writer.transport)

    def refuse(self) -> None:
        """Reset all connections, and new ones as they come."""
        self._refuses = True
        self.cut()

    def heal(self) -> None:
        """A good network again; what was held up goes on."""
        self._refuses = False
        self.up.set()
        self.down.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            if self._refuses:
                return
            other_reader, other = await self._connect()
            self._open.add(other)
            pumps = [
                asyncio.create_task(_pump(reader, other, self.up)),
                asyncio.create_task(_pump(other_reader, writer, self.down)),
            ]
            try:
                # When one side has gone the other is told as soon as the network lets it know.
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody is behind us: the client is reset
        finally:
            for end in (writer, other):
                if end is not None:
                    self._open.discard(end)
                    reset(end.transport)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(str(self._upstream))
        return await asyncio.open_connection("127.0.0.1", self._upstream)


class Proxies:
    """Proxies that are one network: whatever happens to it happens to all of them."""

    def __init__(self, proxies: Sequence[Proxy]) -> None:
        self.proxies = proxies
        self.up = Ways([proxy.up for proxy in proxies])
        self.down = Ways([proxy.down for proxy in proxies])

    async def stop(self) -> None:
        """Drop everything."""
        for proxy in self.proxies:
            await proxy.stop()

    def cut(self) -> None:
        """Reset all connections."""
        for proxy in self.proxies:
            proxy.cut()

    def refuse(self) -> None:
        """Reset all connections, and new ones as they come."""
        for proxy in self.proxies:
            proxy.refuse()

    def heal(self) -> None:
        """A good network again."""
        for proxy in self.proxies:
            proxy.heal()


# What a network does to those who use it.
Line = Proxy | Proxies


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    # uvloop raises RuntimeError for a connection that was reset under it.
    with contextlib.suppress(OSError, RuntimeError):
        while data := await reader.read(CHUNK):
            await way.carry(data, writer)
        while way.held or way.drips:
            # Also the end of a connection does not get through.
            await asyncio.sleep(0.1)


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection at once, over TCP by a reset."""
    if transport.is_closing():
        return
    found = transport.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    # Not by its class: uvloop's transports are of none of asyncio's.
    cast("asyncio.WriteTransport", transport).abort()
