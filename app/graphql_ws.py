"""GraphQL over WebSocket: the graphql-transport-ws protocol.

Source: enisdenjo/graphql-ws, PROTOCOL.md. The older subprotocol "graphql-ws" is not spoken.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app import metrics
from app.auth import BadToken, Door
from app.operations import Operations, decode, encode
from app.origins import Origins
from app.protocols import WRITE_TEXT
from app.session_watch import SessionWatch
from app.socket_operations import Gone, IdInUse, Message, SocketOperations, TooMany
from app.subscriptions import Subscriptions
from app.token_bucket import TokenBucket
from resolvers.context import Context, Viewer

PROTOCOL = "graphql-transport-ws"
# Seconds a client has to say connection_init.
INIT_TIMEOUT = 5.0
# Seconds. Phones on mobile networks lose silent sockets after about a minute.
PING_EVERY = 45.0
# Pings after which a client that sent nothing at all is gone; one may be lost with the network that a phone leaves.
UNHEARD_PINGS = 2
# Seconds that a closing message may wait for a client that does not read.
CLOSE_PATIENCE = 1.0
# Clients take UUIDs, 36 characters, or counters. The id is repeated in every message of the operation.
MAX_ID_LENGTH = 200
# A client that comes back begins everything at once: one message for each of 100 operations, and completes some again.
# Afterwards people cause a few in a second. Refusing one takes 40 us: one socket gets half a percent of a core.
MESSAGES_AT_ONCE = 500
MESSAGES_A_SECOND = 100
# Characters of a message that count as one message more, since reading and answering them takes 50 us.
CHARACTERS_A_MESSAGE = 4_096
# What operations ask of a socket's handshake.
KEPT_HEADERS = {b"authorization", b"accept-language", b"x-forwarded-for"}
SESSION_OVER = "Forbidden: the session is over"

log = structlog.get_logger("maydan.websocket")


class Closed(Exception):
    """The connection ends with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class GraphQLWebSocket:
    """The ASGI application behind /graphql for WebSockets."""

    def __init__(
        self,
        door: Door,
        operations: Operations,
        subscriptions: Subscriptions,
        sessions: SessionWatch,
        origins: Origins,
    ) -> None:
        self._door, self._runner, self._subscriptions = door, operations, subscriptions
        self._sessions, self._origins = sessions, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = Headers(scope=scope)
        if not self._origins.allow(headers):
            await _forbid(scope, send)
            return
        if PROTOCOL not in scope["subprotocols"]:
            # Accepted first, since only then does the client learn the code.
            with suppress(OSError):
                await send({"type": "websocket.accept"})
                reason = f"Use the subprotocol {PROTOCOL}"
                await send({"type": "websocket.close", "code": 4406, "reason": reason})
            return
        # The others are not asked for again, and idle sockets are many.
        scope["headers"] = kept = [pair for pair in scope["headers"] if pair[0] in KEPT_HEADERS]
        headers = Headers(raw=kept)
        with suppress(OSError):
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            peer: str | None = scope["client"][0] if scope.get("client") else None
            with metrics.SOCKETS.track_inprogress():
                write = (scope.get("extensions") or {}).get(WRITE_TEXT, {}).get("write")
                connection = Connection(self._door, self._sessions, headers, peer, receive, send, write)
                await connection.run(self._runner, self._subscriptions)


class Connection:
    """One socket: its viewer, and its running operations."""

    # Idle sockets are many: what each of them holds counts.
    __slots__ = (
        "_acknowledged",
        "_closing",
        "_door",
        "_headers",
        "_loop",
        "_messages",
        "_operations",
        "_peer",
        "_ping",
        "_receive",
        "_send",
        "_sessions",
        "_timer",
        "_unheard",
        "_viewer",
        "_write",
    )

    def __init__(
        self,
        door: Door,
        sessions: SessionWatch,
        headers: Headers,
        peer: str | None,
        receive: Receive,
        send: Send,
        write: Callable[[bytes], bool] | None,
    ) -> None:
        self._door, self._sessions, self._headers, self._peer = door, sessions, headers, peer
        self._receive, self._send, self._write = receive, send, write
        self._viewer: Viewer | None = None
        self._acknowledged = False
        self._messages = TokenBucket(MESSAGES_AT_ONCE, MESSAGES_A_SECOND)
        self._loop = asyncio.get_running_loop()
        # Why the server closes; None when the client has.
        self._closing: asyncio.Future[Closed | None] = self._loop.create_future()
        # Pings since anything was heard, and the one that is being sent.
        self._unheard = 0
        self._ping: asyncio.Task[None] | None = None

    async def run(self, operations: Operations, subscriptions: Subscriptions) -> None:
        """Serve until either side closes."""
        self._operations = SocketOperations(self, operations, subscriptions, self._tell)
        # One timer, not a task that sleeps: idle sockets are many.
        self._timer = self._loop.call_later(INIT_TIMEOUT, self._init_is_late)
        reader = asyncio.create_task(self._read())
        try:
            closed = await self._closing
            if closed is not None:
                await self._leave(closed, reader)
        finally:
            self._timer.cancel()
            if self._viewer is not None:
                self._sessions.release(self._viewer, self._session_is_over)
            tasks = [task for task in (reader, self._ping) if task is not None]
            for task in tasks:
                task.cancel()
            await self._operations.end()
            await asyncio.gather(*tasks, return_exceptions=True)

    def context(self) -> Context:
        """A fresh context for one operation."""
        return self._door.context(self._viewer, self._headers, self._peer)

    def address(self) -> str:
        """What stands for the client in limits."""
        return self._door.address(self._headers, self._peer)

    def is_over(self) -> bool:
        """Whether the session has ended; then the socket closes."""
        over = self._viewer is not None and self._door.is_revoked(self._viewer.session_id)
        if over:
            self._session_is_over()
        return over

    @property
    def writes(self) -> bool:
        """Whether the server lets it write without a task."""
        return self._write is not None

    def write(self, text: bytes) -> bool:
        """Send a text frame at once; False when the client is behind."""
        return self._write is not None and not self._closing.done() and self._write(text)

    async def tell(self, text: bytes) -> None:
        """Send a text frame when the client has read enough. Raises Gone."""
        if not self.write(text):
            await self._send_text(text.decode())

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        if not self._closing.done():
            self._closing.set_result(Closed(code, reason))

    def _session_is_over(self) -> None:
        self.close(4403, SESSION_OVER)

    async def _leave(self, closed: Closed, reader: "asyncio.Task[None]") -> None:
        reader.cancel()
        if closed.reason == SESSION_OVER:
            await self._operations.last_words()
        self._operations.hush()
        message = {"type": "websocket.close", "code": closed.code, "reason": _short(closed.reason)}
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_PATIENCE):
                await self._send(message)

    def _init_is_late(self) -> None:
        self.close(4408, "Connection initialisation timeout")

    def _beat(self) -> None:
        """Ping, unless nobody is there any more: nothing heard, or nothing read, for a while."""
        if self._unheard >= UNHEARD_PINGS or (self._ping is not None and not self._ping.done()):
            # The code that graphql-ws gives to sockets that froze: its client comes back.
            self.close(4499, "Nothing was heard for a while")
            return
        self._unheard += 1
        self._ping = self._loop.create_task(self._send_ping())
        self._timer = self._loop.call_later(PING_EVERY, self._beat)

    async def _send_ping(self) -> None:
        with suppress(Gone):
            await self._tell({"type": "ping"})

    async def _read(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    break
                self._unheard = 0
                await self._handle(message)
        except Closed as closed:
            self.close(closed.code, closed.reason)
        except Gone:
            pass
        except Exception:
            log.exception("websocket failed")
            self.close(1011, "Internal error")
        if not self._closing.done():
            self._closing.set_result(None)

    async def _handle(self, frame: Any) -> None:
        text = frame.get("text")
        if text is None:
            raise Closed(4400, "Send text messages")
        if not self._messages.take(1 + len(text) // CHARACTERS_A_MESSAGE):
            raise Closed(4429, f"At most {MESSAGES_A_SECOND} messages in a second")
        try:
            message = decode(text)
        except ValueError:
            raise Closed(4400, "Send JSON messages") from None
        if not isinstance(message, dict):
            raise Closed(4400, "A message is a JSON object")
        payload = message.get("payload")
        match message.get("type"):
            case "connection_init":
                await self._init(_object(payload))
            case "ping":
                pong: Message = {"type": "pong"}
                await self._tell(pong if _object(payload) is None else pong | {"payload": payload})
            case "pong":
                _object(payload)
            case "subscribe":
                self._subscribe(message.get("id"), payload)
            case "complete":
                self._operations.complete(_id(message.get("id")))
            case other:
                # Only a text is quoted: a list may be nested more deeply than can be written.
                quoted = f" {other[:40]!r}" if isinstance(other, str) else ""
                raise Closed(4400, f"Unknown message type{quoted}")

    async def _init(self, payload: Message | None) -> None:
        if self._acknowledged:
            raise Closed(4429, "Too many initialisation requests")
        lower, upper = ((payload or {}).get(name) for name in ("authorization", "Authorization"))
        given = upper if lower is None else lower
        if given is not None and not isinstance(given, str):
            raise Closed(4403, "Forbidden")
        try:
            claims = self._door.claims(self._headers.get("authorization") if given is None else given)
        except BadToken as error:
            raise Closed(4403, f"Forbidden: {error}") from error
        if claims is not None:
            self._viewer = Viewer(claims.user_id, claims.session_id)
            self._sessions.hold(self._viewer, claims.expires_at, self._session_is_over)
        self._acknowledged = True
        self._timer.cancel()
        self._timer = self._loop.call_later(PING_EVERY, self._beat)
        await self._tell({"type": "connection_ack"})

    def _subscribe(self, id: object, payload: object) -> None:
        if not self._acknowledged:
            raise Closed(4401, "Unauthorized")
        id = _id(id)
        if not isinstance(payload, dict):
            raise Closed(4400, "The payload of subscribe is an object")
        try:
            self._operations.start(id, payload)
        except IdInUse:
            raise Closed(4409, f"Subscriber for {id} already exists") from None
        except TooMany:
            raise Closed(4429, "Too many operations at once") from None

    async def _tell(self, message: Message) -> None:
        try:
            text = encode(message).decode()
        except RecursionError:
            # Only what the client sent itself can be so deep.
            raise Closed(4400, "Nested too deeply") from None
        await self._send_text(text)

    async def _send_text(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except OSError as error:
            raise Gone from error


async def _forbid(scope: Scope, send: Send) -> None:
    """Answer the handshake with HTTP 403, with a body where the server can send one."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    sentence = "Pages of this origin may not open sockets here; CORS_ORIGINS lists those that may."
    body = encode({"errors": [{"message": sentence, "extensions": {"code": "FORBIDDEN"}}]})
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _object(payload: object) -> Message | None:
    """An optional payload. Raises Closed when it is something else."""
    if payload is None or isinstance(payload, dict):
        return payload
    raise Closed(4400, "A payload is an object")


def _id(id: object) -> str:
    """An operation's id. Raises Closed when it is none."""
    if isinstance(id, str) and 0 < len(id) <= MAX_ID_LENGTH:
        return id
    raise Closed(4400, f"An id is a string of 1 to {MAX_ID_LENGTH} characters")


def _short(reason: str) -> str:
    """A close frame's reason has at most 123 bytes (RFC 6455, 5.5), and no lone surrogate."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")
