"""GraphQL over WebSocket: the graphql-transport-ws protocol.

Source: enisdenjo/graphql-ws, PROTOCOL.md. The older subprotocol "graphql-ws" is not spoken.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from typing import Any, cast

import structlog
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from app import metrics
from app.auth import BadToken, Door
from app.documents.documents import Operation
from app.live import LiveHub
from app.logs import new_request_id
from app.operations import Operations, decode, encode, tell_exception
from app.refusals import RequestRefused
from resolvers.context import Viewer
from resolvers.errors import TooSlow

PROTOCOL = "graphql-transport-ws"
# Seconds a client has to say connection_init.
INIT_TIMEOUT = 5.0
# Seconds. Phones on mobile networks lose silent sockets after about a minute.
PING_EVERY = 45.0
MAX_OPERATIONS = 100
MAX_ID_LENGTH = 200
# Seconds that mutations get to answer on a socket whose session ends: signing out is one of them.
LAST_WORDS = 1.0
SESSION_OVER = "Forbidden: the session is over"

log = structlog.get_logger("maydan.websocket")


class Closed(Exception):
    """The connection ends with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class GraphQLWebSocket:
    """The ASGI application behind /graphql for WebSockets."""

    def __init__(self, door: Door, operations: Operations, hub: LiveHub) -> None:
        self._door, self._runner, self._hub = door, operations, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if PROTOCOL not in scope["subprotocols"]:
            # Accepted first, since only then does the client learn the code.
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4406, "reason": f"Use the subprotocol {PROTOCOL}"})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        metrics.SOCKETS.inc()
        try:
            await Connection(self._door, self._runner, self._hub, scope, receive, send).run()
        finally:
            metrics.SOCKETS.dec()


class Connection:
    """One socket: its viewer, and its running operations."""

    def __init__(
        self, door: Door, operations: Operations, hub: LiveHub, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._door, self._runner, self._hub = door, operations, hub
        self._receive, self._send = receive, send
        self._headers = Headers(scope=scope)
        self._peer: str | None = scope["client"][0] if scope.get("client") else None
        self._viewer: Viewer | None = None
        self._init_event = asyncio.Event()
        self._operations: dict[str, asyncio.Task[None]] = {}
        # The running ones, and those whose id is free again but which still clean up or finish a mutation.
        self._tasks: set[asyncio.Task[None]] = set()
        self._mutations: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve until either side closes."""
        async with AsyncExitStack() as self._stack:
            reader = asyncio.create_task(self._read())
            pinger = asyncio.create_task(self._ping())
            try:
                ends: set[asyncio.Future[Any]] = {reader, self._closing}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if self._closing.done():
                    closed = self._closing.result()
                    if closed.reason == SESSION_OVER:
                        await self._last_words(reader)
                    with suppress(OSError, RuntimeError):
                        await self._send(
                            {"type": "websocket.close", "code": closed.code, "reason": _short(closed.reason)}
                        )
            finally:
                await self._end(reader, pinger)

    async def _last_words(self, reader: "asyncio.Task[None]") -> None:
        """Hear and send nothing any more but the answers of mutations that run."""
        self._cancel(reader, *self._tasks)
        if self._mutations:
            await asyncio.wait(self._mutations, timeout=LAST_WORDS)

    async def _end(self, *tasks: "asyncio.Task[None]") -> None:
        """Cancel everything but mutations: what was begun is finished, though nobody may hear of it."""
        self._operations.clear()  # nobody listens any more
        every = (*tasks, *self._tasks)
        self._cancel(*every)
        await asyncio.gather(*every, return_exceptions=True)

    def _cancel(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            # Once: a second one would break into the giving back of what the task holds.
            if task not in self._mutations and not task.cancelling():
                task.cancel()

    def _close(self, code: int, reason: str) -> None:
        if not self._closing.done():
            self._closing.set_result(Closed(code, reason))

    async def _ping(self) -> None:
        try:
            async with asyncio.timeout(INIT_TIMEOUT):
                await self._init_event.wait()
        except TimeoutError:
            self._close(4408, "Connection initialisation timeout")
            return
        while True:
            await asyncio.sleep(PING_EVERY)
            await self._tell({"type": "ping"})

    async def _read(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._handle(message)
        except Closed as closed:
            self._close(closed.code, closed.reason)
        except (WebSocketDisconnect, OSError):
            return
        except Exception:
            log.exception("websocket failed")
            self._close(1011, "Internal error")

    async def _handle(self, frame: Any) -> None:
        text = frame.get("text")
        if text is None:
            raise Closed(4400, "Send text messages")
        try:
            message = decode(text)
        except ValueError:
            raise Closed(4400, "Send JSON messages") from None
        if not isinstance(message, dict):
            raise Closed(4400, "A message is a JSON object")
        match message.get("type"):
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                await self._tell({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(message.get("id"), message.get("payload"))
            case "complete":
                self._complete(message.get("id"))
            case other:
                raise Closed(4400, f"Unknown message type {str(other)[:40]!r}")

    async def _init(self, payload: object) -> None:
        if self._init_event.is_set():
            raise Closed(4429, "Too many initialisation requests")
        given: object = None
        if isinstance(payload, dict):
            lower, upper = (payload.get(name) for name in ("authorization", "Authorization"))
            given = upper if lower is None else lower
        elif payload is not None:
            raise Closed(4400, "The payload of connection_init is an object")
        if given is not None and not isinstance(given, str):
            raise Closed(4403, "Forbidden")
        try:
            self._viewer = self._door.viewer(self._headers.get("authorization") if given is None else given)
        except BadToken as error:
            raise Closed(4403, f"Forbidden: {error}") from error
        if self._viewer is not None:
            await self._stack.enter_async_context(
                self._hub.when_revoked(self._viewer.session_id, lambda: self._close(4403, SESSION_OVER))
            )
        self._init_event.set()
        await self._tell({"type": "connection_ack"})

    def _subscribe(self, id: object, payload: object) -> None:
        if not self._init_event.is_set():
            raise Closed(4401, "Unauthorized")
        if not isinstance(id, str) or not 0 < len(id) <= MAX_ID_LENGTH or not isinstance(payload, dict):
            raise Closed(4400, "A subscribe message has an id and a payload")
        if id in self._operations:
            raise Closed(4409, f"Subscriber for {id} already exists")
        # As many again may still be cleaning up.
        if len(self._operations) >= MAX_OPERATIONS or len(self._tasks) >= 2 * MAX_OPERATIONS:
            raise Closed(4429, f"At most {MAX_OPERATIONS} operations at once")
        task = asyncio.create_task(self._operate(id, payload))
        self._operations[id] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(id, done))

    def _forget(self, id: str, task: "asyncio.Task[None]") -> None:
        if self._operations.get(id) is task:
            del self._operations[id]
        self._tasks.discard(task)
        self._mutations.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("operation over websocket failed", exc_info=error)
            self._close(1011, "Internal error")

    def _complete(self, id: object) -> None:
        # The id is free at once; its task still has to clean up, or to finish a mutation that nobody hears of.
        task = self._operations.pop(id, None) if isinstance(id, str) else None
        if task is not None and task not in self._mutations:
            task.cancel()

    async def _operate(self, id: str, payload: dict[str, Any]) -> None:
        request_id = new_request_id()
        try:
            try:
                operation = await self._runner.prepare(
                    payload, partial(self._door.address, self._headers, self._peer)
                )
                if operation.kind is OperationType.SUBSCRIPTION:
                    await self._stream(id, operation, request_id)
                    return
                if operation.kind is OperationType.MUTATION and (task := asyncio.current_task()) is not None:
                    self._mutations.add(task)
                # The session may have ended since the socket was opened.
                if self._viewer is not None and self._hub.is_revoked(self._viewer.session_id):
                    self._close(4403, SESSION_OVER)
                    return
                context = self._door.context(self._viewer, self._headers, self._peer)
                result = await self._runner.run(operation, context, request_id)
                await self._answer(id, "next", result)
                await self._answer(id, "complete")
            except RequestRefused as refusal:
                await self._answer(id, "error", refusal.body["errors"])
        except OSError:
            pass  # the client is gone

    async def _stream(self, id: str, operation: Operation, request_id: str) -> None:
        context = self._door.context(self._viewer, self._headers, self._peer)
        try:
            payloads = cast(
                AsyncGenerator[dict[str, Any], None], self._runner.stream(operation, context, request_id)
            )
            async with aclosing(payloads):
                async for payload in payloads:
                    # However long sending takes, it holds no connection of the pool.
                    await context.db.release()
                    if payload["data"] is None and "path" not in payload.get("errors", [{}])[0]:
                        # It did not begin.
                        await self._answer(id, "error", payload["errors"])
                        return
                    await self._answer(id, "next", payload)
            await self._answer(id, "complete")
        except TooSlow:
            # 1013, "try again later": the client comes back with its cursor.
            self._close(1013, "Too slow: resume with the last liveCursor")
        except OSError:
            raise
        except RequestRefused:
            raise
        except Exception as error:
            await self._answer(id, "error", [tell_exception(error, request_id)])

    async def _answer(self, id: str, type: str, payload: object = None) -> None:
        """Tell of an operation, unless the client completed it: the id may already be another's."""
        if self._operations.get(id) is not asyncio.current_task():
            return
        if type != "next":
            del self._operations[id]
        message: dict[str, object] = {"id": id, "type": type}
        await self._tell(message if payload is None else message | {"payload": payload})

    async def _tell(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": encode(message).decode()})


def _short(reason: str) -> str:
    """A close frame's reason has at most 123 bytes (RFC 6455, 5.5), and no lone surrogate."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")
