"""The operations that run on one WebSocket: each in a task of its own, and none harms another."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog
from graphql import OperationType

from app.logs import new_request_id
from app.operations import Operations, encode, tell_exception
from app.refusals import RequestRefused
from app.session_watch import LAST_WORDS
from app.subscriptions import Subscriptions
from app.subscriptions.answers import Ended
from app.subscriptions.subscription import Subscription
from resolvers.context import Context
from resolvers.errors import TooSlow

# A screen subscribes to a handful. Each costs a task, and what it answers waits in memory until the client reads.
MAX_OPERATIONS = 100

log = structlog.get_logger("maydan.websocket")

Message = dict[str, Any]


class Gone(Exception):
    """The client is not there any more."""


class Caller(Protocol):
    """What operations need from their socket."""

    @property
    def writes(self) -> bool:
        """Whether `write` works; else all is sent by tasks."""

    def context(self) -> Context:
        """A fresh context for one operation."""

    async def tell(self, text: bytes) -> None:
        """Send a text frame when the client has read enough. Raises Gone."""

    def write(self, text: bytes) -> bool:
        """Send a text frame at once; False when the client is behind."""

    def address(self) -> str:
        """What stands for the client in limits."""

    def is_over(self) -> bool:
        """Whether the session has ended; then the socket closes."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class IdInUse(Exception):
    """An operation of this id runs."""


class TooMany(Exception):
    """As many operations as may run do."""


class SocketOperation:
    """One operation of a socket, and where the answers of a subscription go."""

    __slots__ = ("_caller", "_operations", "_prefix", "held", "id", "task")

    def __init__(self, operations: "SocketOperations", caller: Caller, id: str) -> None:
        self._operations, self._caller, self.id = operations, caller, id
        self._prefix = b'{"id":%s,"type":"next","payload":' % encode(id)
        # None while a subscription lives without one.
        self.task: asyncio.Task[None] | None = None
        self.held: Subscription | None = None

    @property
    def writes(self) -> bool:
        """Whether `write` works."""
        return self._caller.writes

    def context(self) -> Context:
        """Fresh surroundings."""
        return self._caller.context()

    async def send(self, payload: bytes) -> None:
        """Send one answer, unless the client completed the operation: the id may already be another's."""
        if self._operations.has(self):
            await self._caller.tell(self._prefix + payload + b"}")

    def write(self, payload: bytes) -> bool:
        """Send one answer at once; False when the client is behind."""
        return self._caller.write(self._prefix + payload + b"}")

    def hold(self, subscription: Subscription) -> None:
        """End this with the operation."""
        self.held = subscription

    def go_on(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Run this as the operation's task."""
        self._operations.go_on(self, work)

    def is_too_slow(self) -> None:
        """1013, "try again later": the client comes back with its cursor."""
        self._caller.close(1013, "Too slow: resume with the last liveCursor")

    def end(self) -> None:
        """No more answers."""
        held, self.held = self.held, None
        if held is not None:
            held.end()


class SocketOperations:
    """What runs on a socket, by the client's ids."""

    __slots__ = ("_caller", "_mutations", "_runner", "_running", "_subscriptions", "_tasks", "_tell")

    def __init__(
        self,
        caller: Caller,
        runner: Operations,
        subscriptions: Subscriptions,
        tell: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._caller, self._runner, self._subscriptions, self._tell = caller, runner, subscriptions, tell
        self._running: dict[str, SocketOperation] = {}
        # Of the running ones, and of those whose id is free again but which still clean up or finish a mutation.
        # Lists, since an empty set takes four times as much.
        self._tasks: list[asyncio.Task[None]] = []
        self._mutations: list[asyncio.Task[None]] = []

    def start(self, id: str, payload: Message) -> None:
        """Run what a subscribe message asks for. Raises IdInUse and TooMany."""
        if id in self._running:
            raise IdInUse
        # As many again may still be cleaning up.
        if len(self._running) >= MAX_OPERATIONS or len(self._tasks) >= 2 * MAX_OPERATIONS:
            raise TooMany
        operation = self._running[id] = SocketOperation(self, self._caller, id)
        request_id = new_request_id()
        run = partial(self._run, operation, payload, request_id)
        self._begin(operation, partial(self._guarded, operation, run, request_id))

    def has(self, operation: SocketOperation) -> bool:
        """Whether the client still waits for its answers."""
        return self._running.get(operation.id) is operation

    def go_on(self, operation: SocketOperation, work: Callable[[], Awaitable[bool]]) -> None:
        """Run this as the operation's task."""
        if self.has(operation):
            self._begin(operation, partial(self._guarded, operation, work, new_request_id()))

    def complete(self, id: str) -> None:
        """The client wants no more of it; unknown ids are those that completed at the same moment."""
        # The id is free at once; its task still has to clean up, or to finish a mutation that nobody hears of.
        operation = self._running.pop(id, None)
        if operation is not None:
            operation.end()
            if operation.task is not None:
                self._cancel(operation.task)

    async def last_words(self) -> None:
        """Send nothing any more but the answers of mutations that run; they get LAST_WORDS."""
        self._end()
        self._cancel(*self._tasks)
        if self._mutations:
            await asyncio.wait(self._mutations, timeout=LAST_WORDS)

    def hush(self) -> None:
        """Send nothing any more, and cancel everything but mutations."""
        self._end()
        self._running.clear()
        self._cancel(*self._tasks)

    async def end(self) -> None:
        """Wait until all is over: a mutation that was begun is finished, though nobody may hear of it."""
        self.hush()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self) -> None:
        for operation in self._running.values():
            operation.end()

    def _cancel(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            # Once: a second one would break into the giving back of what the task holds.
            if task not in self._mutations and not task.cancelling():
                task.cancel()

    def _begin(self, operation: SocketOperation, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = operation.task = asyncio.create_task(work())
        self._tasks.append(task)
        task.add_done_callback(lambda done: self._forget(operation, done))

    def _forget(self, operation: SocketOperation, task: "asyncio.Task[None]") -> None:
        self._tasks.remove(task)
        if task in self._mutations:
            self._mutations.remove(task)
        if operation.task is task:
            operation.task = None
            if operation.held is None and self.has(operation):
                del self._running[operation.id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("operation over websocket failed", exc_info=error)
            self._caller.close(1011, "Internal error")

    async def _guarded(
        self, operation: SocketOperation, work: Callable[[], Awaitable[bool]], request_id: str
    ) -> None:
        """Do the work, and tell how it ended, unless it goes on without a task."""
        goes_on = False
        try:
            try:
                goes_on = await work()
                if not goes_on:
                    await self._answer(operation, "complete")
            except RequestRefused as refusal:
                await self._answer(operation, "error", refusal.body["errors"])
            except Ended as end:
                await self._answer(operation, "error", end.answer["errors"])
            except TooSlow:
                operation.is_too_slow()
            except Gone:
                raise
            except Exception as error:
                told = tell_exception(error, request_id)
                await self._answer(operation, "error", [told])
        except Gone:
            pass
        finally:
            if not goes_on:
                operation.end()

    async def _run(self, operation: SocketOperation, payload: Message, request_id: str) -> bool:
        prepared = await self._runner.prepare(payload, self._caller.address)
        if prepared.kind is OperationType.SUBSCRIPTION:
            return await self._subscriptions.run(prepared, operation, request_id)
        if prepared.kind is OperationType.MUTATION and (task := asyncio.current_task()) is not None:
            self._mutations.append(task)
        # The session may have ended since the socket was opened.
        if self._caller.is_over():
            raise Gone
        result = await self._runner.run(prepared, self._caller.context(), request_id)
        if _did_not_begin(result):
            await self._answer(operation, "error", result["errors"])
        else:
            await self._answer(operation, "next", result)
        return False

    async def _answer(self, operation: SocketOperation, type: str, payload: object = None) -> None:
        """Tell of an operation, unless the client completed it: the id may already be another's."""
        if not self.has(operation):
            return
        if type != "next":
            del self._running[operation.id]
        message: Message = {"id": operation.id, "type": type}
        await self._tell(message if payload is None else message | {"payload": payload})


def _did_not_begin(payload: Message) -> bool:
    """Whether nothing ran, for variables or arguments that cannot be used: an error of no field."""
    return payload["data"] is None and not any("path" in error for error in payload.get("errors", ()))
