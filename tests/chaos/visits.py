"""The kinds of connections that come to a server, well-behaved and not; each from its beginning to its end."""

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.chaos.history import HOME, PUBLIC
from tests.chaos.proxy import reset
from tests.chaos.talk import events_document, page_document, request_for

# Seconds for whatever the server has to say; it lets 5 s pass before a connection has to be initialised.
PATIENCE = 30.0
# Bytes: who reads so little at a time makes the server wait.
SMALL_BUFFER = 4096


class Visitor:
    """Makes connections. `cursor`: where those begin who resume; `ended` is told with which codes the server closes."""

    def __init__(
        self, port: int, token: str, cursor: str, chance: random.Random, ended: Callable[[list[str]], None]
    ) -> None:
        self._port, self._token, self._cursor = port, token, cursor
        self._chance, self._ended = chance, ended

    # WebSockets.

    async def leaves(self) -> None:
        """Hears events, says complete, and closes."""
        async with self._socket() as ws:
            await self._subscribes(ws)
            await self._hears(ws, self._chance.randrange(1, 4))
            await ws.send('{"id":"s","type":"complete"}')

    async def closes(self) -> None:
        """Closes with its subscription running."""
        async with self._socket() as ws:
            await self._subscribes(ws)
            await self._hears(ws, 1)

    async def breaks(self) -> None:
        """Resets the connection while events come."""
        async with self._socket() as ws:
            await self._subscribes(ws)
            await self._hears(ws, self._chance.randrange(1, 3))
            reset(ws.transport)

    async def breaks_at_once(self) -> None:
        """Resets the connection at some moment between its beginning and the first event."""
        async with self._socket(init=self._chance.random() < 0.7) as ws:
            await self._subscribes(ws)
            await asyncio.sleep(self._chance.uniform(0, 0.02))
            reset(ws.transport)

    async def reads_nothing(self) -> None:
        """Reads nothing of what it has to be sent, and is gone."""
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        small.setblocking(False)
        await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", self._port))
        async with self._socket(sock=small) as ws:
            ws.transport.pause_reading()
            await self._subscribes(ws, everything=True)
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))
            reset(ws.transport)

    async def never_says_who(self) -> None:
        """Opens and is silent, until the server closes."""
        async with self._socket(init=False) as ws:
            await self._is_closed(ws)

    async def is_no_client(self) -> None:
        """Sends what is no message, until the server closes."""
        async with self._socket() as ws:
            await ws.send(self._chance.choice(["{", '{"type":"nothing"}', '{"type":"connection_init"}']))
            await self._is_closed(ws)

    async def is_refused(self) -> None:
        """Comes with a token that is none."""
        async with self._socket(init=False) as ws:
            await ws.send('{"type":"connection_init","payload":{"authorization":"Bearer nobody"}}')
            await self._is_closed(ws)

    # Server-sent events, requests, and less than that.

    async def reads_events(self) -> None:
        """Reads a stream of events, and closes or resets it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request(events_document(self._timeline(), False), "text/event-stream"))
            await reader.readuntil(b"event:")
        finally:
            reset(writer.transport) if self._chance.random() < 0.5 else writer.close()

    async def asks(self) -> None:
        """Asks for a page, and may not wait for it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request(page_document(self._timeline(), True), "application/json"))
            if self._chance.random() < 0.5:
                await reader.readuntil(b"\r\n\r\n")
        finally:
            reset(writer.transport)

    async def says_half(self) -> None:
        """Sends a part of a request, some of it a byte at a time."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            request = self._request("{ viewer { id } }", "application/json")
            for at in range(self._chance.randrange(len(request) - 1)):
                writer.write(request[at : at + 1])
                if at % 64 == 0:  # what was written leaves in a packet of its own
                    await asyncio.sleep(0)
        finally:
            reset(writer.transport) if self._chance.random() < 0.5 else writer.close()

    async def goes_silent(self) -> None:
        """Subscribes, and is then neither heard nor gone: to be run over a network that holds everything back later."""
        ws = await self._open()
        await self._subscribes(ws)
        await self._hears(ws, 1)

    def _timeline(self) -> str:
        return PUBLIC if self._chance.random() < 0.2 else HOME

    def _request(self, document: str, accept: str) -> bytes:
        return request_for(self._token, document, {"after": None}, accept=accept)

    async def _open(self, *, init: bool = True, sock: socket.socket | None = None) -> ClientConnection:
        address: dict[str, Any] = {} if sock is None else {"sock": sock}
        ws = await connect(
            f"ws://127.0.0.1:{self._port}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            ping_interval=None,
            compression=None,
            proxy=None,
            max_queue=None,
            **address,
        )
        if init:
            payload = {"authorization": f"Bearer {self._token}"}
            await ws.send(json.dumps({"type": "connection_init", "payload": payload}))
        return ws

    @contextlib.asynccontextmanager
    async def _socket(self, **how: Any) -> AsyncIterator[ClientConnection]:
        ws = await self._open(**how)
        try:
            yield ws
        finally:
            await ws.close()

    async def _subscribes(self, ws: ClientConnection, *, everything: bool = False) -> None:
        timeline = self._timeline()
        after = self._cursor if timeline == HOME and (everything or self._chance.random() < 0.3) else None
        payload = {
            "query": events_document(timeline, self._chance.random() < 0.5),
            "variables": {"after": after},
        }
        await ws.send(json.dumps({"id": "s", "type": "subscribe", "payload": payload}))

    async def _hears(self, ws: ClientConnection, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while count:
                count -= '"next"' in str(await ws.recv())[:60]

    async def _is_closed(self, ws: ClientConnection) -> None:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await ws.recv()
        self._ended([f"{ws.close_code}"])


class Kind(Protocol):
    """One of the methods above."""

    __name__: str

    def __call__(self, visitor: Visitor, /) -> Awaitable[None]: ...


# How often each comes.
KINDS: dict[Kind, int] = {
    Visitor.leaves: 15,
    Visitor.closes: 15,
    Visitor.breaks: 15,
    Visitor.breaks_at_once: 15,
    Visitor.reads_nothing: 6,
    Visitor.never_says_who: 2,
    Visitor.is_no_client: 5,
    Visitor.is_refused: 5,
    Visitor.reads_events: 10,
    Visitor.asks: 7,
    Visitor.says_half: 5,
}
