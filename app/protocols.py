"""uvicorn's protocols, with an end for peers that keep memory by what they leave undone."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from app.waiting import Flag, Inbox

if TYPE_CHECKING:

    class Base(asyncio.Protocol):
        """What both of uvicorn's protocols have."""

        loop: asyncio.AbstractEventLoop
        transport: asyncio.Transport
else:
    Base = object

# Seconds in which a peer that is behind must read at least something: a phone that changes networks needs some ten.
UNREAD_SECONDS = 30.0
# Seconds after the application is done until the connection is cut: uvicorn closes it in order after 10 s, which never
# ends for a peer that reads nothing more.
LINGER = 12.0
# Frames of one message. Its bytes are bounded, but frames may be empty; cut at the smallest TCP packets the largest
# message has some 500.
MOST_FRAMES = 1_000
# Bytes that wait to be read by a peer when it asks for one more pong: those are written past all back pressure.
MOST_UNREAD = 262_144


# The ASGI extensions of SocketProtocol.write_text and HttpProtocol.is_behind.
WRITE_TEXT = "maydan.websocket.write_text"
IS_BEHIND = "maydan.http.is_behind"


class _Unread:
    """Cuts a connection off whose peer reads nothing while more waits for it than uvicorn goes on writing into."""

    __slots__ = ("_loop", "_size", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop, self._transport = loop, transport
        self._watch()

    def _watch(self) -> None:
        self._size = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(UNREAD_SECONDS, self._look)

    def _look(self) -> None:
        # Large answers take slow readers longer than that.
        if self._transport.get_write_buffer_size() >= self._size:
            self._transport.abort()
        else:
            self._watch()

    def cancel(self) -> None:
        """The peer has read."""
        self._timer.cancel()


class _Watched(Base):
    """A protocol of uvicorn's whose peers must read."""

    _unread: _Unread | None = None

    def pause_writing(self) -> None:
        """More waits for the peer than should."""
        super().pause_writing()
        self._unread = _Unread(self.loop, self.transport)

    def resume_writing(self) -> None:
        """The peer has read."""
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._read()
        super().connection_lost(exc)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class HttpProtocol(_Watched, HttpToolsProtocol):
    """One HTTP connection."""

    def on_message_begin(self) -> None:
        """A request: the application learns how to see whether its peer is behind."""
        super().on_message_begin()
        self.scope["extensions"] = {IS_BEHIND: {"is_behind": self.is_behind}}

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        # uvicorn leaves it when the peer reset the connection, and all of that would be kept until it strikes.
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def is_behind(self) -> bool:
        """Whether what is sent would wait for the peer."""
        return self.flow.write_paused


class SocketProtocol(_Watched, WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    _cut: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Idle sockets are many.
        self.queue = Inbox()  # type: ignore[assignment]  # what uvicorn asks of a queue it does
        self.writable = Flag()  # type: ignore[assignment]  # what uvicorn asks of an event it does
        self.writable.set()

    def start_keepalive(self) -> None:
        """The handshake is over, and what it said not needed any more."""
        super().start_keepalive()
        del self.request, self.response

    def handle_connect(self, event: Request) -> None:
        """The handshake: the application learns how to write without a task."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.scope["extensions"][WRITE_TEXT] = {"write": self.write_text}

    def write_text(self, text: bytes) -> bool:
        """Send one text frame at once. False when the peer is behind, or going: then nothing was sent.

        ASGI's send, for one payload to many: without a task, a message and a state machine for each of them.
        """
        if not self.writable.is_set() or self.close_sent or self.transport.is_closing():
            return False
        size = len(text)
        if size < 126:
            header = b"\x81" + size.to_bytes(1, "big")
        elif size < 65_536:
            header = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            header = b"\x81\x7f" + size.to_bytes(8, "big")
        self.transport.write(header + text)
        return True

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """The application is done: whatever the peer does, the connection ends."""
        super().on_task_complete(task)
        if not self.disconnected:
            self._cut = self.loop.call_later(LINGER, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        """One more frame of a message."""
        if len(self.frames) >= MOST_FRAMES:
            self._refuse(CloseCode.MESSAGE_TOO_BIG, "too many frames")
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping."""
        if self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.transport.abort()
            return
        super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on, when it is text at all; uvicorn would log what is none with its traceback."""
        if self.curr_msg_data_type == "text":
            try:
                self.frames = [b"".join(self.frames)]
                self.frames[0].decode()
            except UnicodeDecodeError:
                self._refuse(CloseCode.INVALID_DATA, "not UTF-8")
                return
        super().send_receive_event_to_app()

    def _refuse(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.handle_parser_exception()
