"""GraphQL over server-sent events, one connection for each operation.

Source: enisdenjo/graphql-sse, PROTOCOL.md, "distinct connections mode".

An answer that is whole ends with `complete`. When the server cannot go on (the session is over, the client is too
slow, the server stops), the response ends without it: graphql-sse's client takes that for a lost connection and asks
again, with the cursor and the token that it has by then; without a valid one it is answered 401, and gives up after
its retries. `complete` would tell it that there is nothing more to come.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Send

from app import metrics
from app.auth import Door
from app.documents.documents import Operation
from app.operations import Operations, encode, tell_exception
from app.refusals import RequestRefused
from app.session_watch import LAST_WORDS, SessionWatch
from app.subscriptions import Subscriptions
from app.subscriptions.answers import Ended
from app.subscriptions.subscription import Subscription
from resolvers.context import Context, Viewer
from resolvers.errors import TooSlow

# Seconds between comments. The shortest time after which proxies commonly close what is silent is 30 s, and a comment
# or two may come late.
COMMENT_EVERY = 12.0

# LF alone: clients choke on CRLF. A first comment makes browsers hand out the response before there is an event.
COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"


class EventStreams:
    """Answers operations with streams of events; all that are open in this process."""

    def __init__(
        self, door: Door, operations: Operations, subscriptions: Subscriptions, sessions: SessionWatch
    ) -> None:
        self._door, self._operations = door, operations
        self._subscriptions, self._sessions = subscriptions, sessions
        self._open: set[Callable[[], None]] = set()

    async def __call__(
        self,
        operation: Operation,
        headers: Headers,
        peer: str | None,
        request_id: str,
        receive: Receive,
        send: Send,
        is_behind: Callable[[], bool] | None = None,
    ) -> None:
        """Answer one prepared operation, to its end. Raises BadToken, before anything is sent.

        `is_behind` says whether what is sent would wait for the client; None where the server does not tell.
        """
        claims = self._door.claims(headers.get("authorization"))
        viewer = None if claims is None else Viewer(claims.user_id, claims.session_id)
        answer = _Stream(
            operation,
            self._operations,
            self._subscriptions,
            lambda: self._door.context(viewer, headers, peer),
            request_id,
            send,
            is_behind,
        )
        with ExitStack() as stack:
            stack.enter_context(metrics.EVENT_STREAMS.track_inprogress())
            if viewer is not None and claims is not None:
                self._sessions.hold(viewer, claims.expires_at, answer.end)
                stack.callback(self._sessions.release, viewer, answer.end)
            self._open.add(answer.end)
            stack.callback(self._open.discard, answer.end)
            await answer.run(receive)

    async def refuse(self, payload: dict[str, Any], request_id: str, send: Send) -> None:
        """Tell why an operation is not run: one event, since graphql-sse's client repeats what is answered 4xx."""
        await send(_start(request_id))
        await send({"type": "http.response.body", "body": _next(payload) + COMPLETE})

    def stop(self) -> None:
        """The server stops: end all streams, so that their clients come back to another one."""
        for end in list(self._open):
            end()


class _Stream:
    """One response."""

    def __init__(
        self,
        operation: Operation,
        runner: Operations,
        subscriptions: Subscriptions,
        context: Callable[[], Context],
        request_id: str,
        send: Send,
        is_behind: Callable[[], bool] | None,
    ) -> None:
        self._operation, self._runner, self._subscriptions = operation, runner, subscriptions
        self._make_context, self._request_id, self._send = context, request_id, send
        self._is_behind = is_behind
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whether the response has its last byte, or nobody reads it any more.
        self._ended = False
        self._held: Subscription | None = None
        # Where the task waits while a subscription lives without it: for the next time that it has to catch up.
        self._wanted: asyncio.Future[Callable[[], Awaitable[bool]]] = (
            asyncio.get_running_loop().create_future()
        )

    @property
    def writes(self) -> bool:
        """Whether `write` works."""
        return self._is_behind is not None

    def context(self) -> Context:
        """Fresh surroundings."""
        return self._make_context()

    async def send(self, payload: bytes) -> None:
        """Send one answer when the client has read enough."""
        await self._write(_event(payload))

    def write(self, payload: bytes) -> bool:
        """Send one answer at once; False when the client is behind."""
        if self._is_behind is None or self._is_behind():
            return False
        writing = self._write(_event(payload))
        try:
            writing.send(None)
        except StopIteration:
            return True
        raise RuntimeError("the server waited to send though the client is not behind")

    def hold(self, subscription: Subscription) -> None:
        """End this with the response."""
        self._held = subscription

    def go_on(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Run this in the response's task."""
        if not self._wanted.done():  # else the response is over
            self._wanted.set_result(work)

    def is_too_slow(self) -> None:
        """End the response; it is not complete, so the client comes back with its cursor."""
        self.end()

    def end(self) -> None:
        """Send no more events."""
        if not self._over.done():
            self._over.set_result(None)

    async def run(self, receive: Receive) -> None:
        """Answer until the operation, the client or the session ends."""
        await self._send(_start(self._request_id))
        await self._write(COMMENT)
        answering = asyncio.create_task(self._answer())
        gone = asyncio.create_task(_gone(receive))
        comment: asyncio.Task[None] | None = None
        ends: set[asyncio.Future[Any]] = {answering, gone, self._over}
        try:
            while not (await asyncio.wait(ends, timeout=COMMENT_EVERY, return_when="FIRST_COMPLETED"))[0]:
                if comment is None or comment.done():
                    comment = asyncio.create_task(self._write(COMMENT))
            if gone.done():
                self._ended = True
            elif not answering.done() and self._is_mutation:
                await asyncio.wait({answering, gone}, timeout=LAST_WORDS, return_when="FIRST_COMPLETED")
            if not self._is_mutation:
                answering.cancel()
                await asyncio.wait({answering})
            await self._write(b"", last=True)
        finally:
            self._ended = True
            tasks = [task for task in (gone, comment, answering) if task is not None]
            for task in tasks:
                # A mutation that was begun is finished, though nobody may hear of it.
                if task is not answering or not self._is_mutation:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _is_mutation(self) -> bool:
        return self._operation.kind is OperationType.MUTATION

    async def _answer(self) -> None:
        try:
            if self._operation.kind is OperationType.SUBSCRIPTION:
                await self._events()
            else:
                await self._write(
                    _next(await self._runner.run(self._operation, self.context(), self._request_id))
                )
        except TooSlow:
            return  # not complete: the client comes back with its cursor
        except RequestRefused as refusal:
            await self._write(_next(refusal.body))
        except Exception as error:
            await self._write(_next({"errors": [tell_exception(error, self._request_id)]}))
        await self._write(COMPLETE, last=True)

    async def _events(self) -> None:
        try:
            goes_on = await self._subscriptions.run(self._operation, self, self._request_id)
            while goes_on:
                work = await self._wanted
                self._wanted = asyncio.get_running_loop().create_future()
                goes_on = await work()
        except Ended as error:
            await self._write(_next(error.answer))
        finally:
            if self._held is not None:
                self._held.end()
            self._wanted.cancel()

    async def _write(self, body: bytes, *, last: bool = False) -> None:
        if self._ended:
            return
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})
        if last:
            self._ended = True


def _start(request_id: str) -> dict[str, Any]:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would keep events back until it has a page full
        (b"x-request-id", request_id.encode()),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _next(payload: dict[str, Any]) -> bytes:
    return _event(encode(payload))


def _event(payload: bytes) -> bytes:
    return b"event: next\ndata: %s\n\n" % payload


async def _gone(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
