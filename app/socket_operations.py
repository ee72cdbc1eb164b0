"""The operations that run on one WebSocket: each in a task of its own, and none harms another."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol, cast

import structlog
from graphql import OperationType

from app.documents.documents import Operation
from app.logs import new_request_id
from app.operations import Operations, tell_exception
from app.refusals import RequestRefused
from app.session_watch import LAST_WORDS
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

    def context(self) -> Context:
        """A fresh context for one operation."""

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


class SocketOperations:
    """What runs on a socket, by the client's ids."""

    __slots__ = ("_caller", "_mutations", "_runner", "_running", "_tasks", "_tell")

    def __init__(
        self, caller: Caller, runner: Operations, tell: Callable[[Message], Awaitable[None]]
    ) -> None:
        self._caller, self._runner, self._tell = caller, runner, tell
        self._running: dict[str, asyncio.Task[None]] = {}
        # The running ones, and those whose id is free again but which still clean up or finish a mutation.
        self._tasks: set[asyncio.Task[None]] = set()
        self._mutations: set[asyncio.Task[None]] = set()

    def start(self, id: str, payload: Message) -> None:
        """Run what a subscribe message asks for. Raises IdInUse and TooMany."""
        if id in self._running:
            raise IdInUse
        # As many again may still be cleaning up.
        if len(self._running) >= MAX_OPERATIONS or len(self._tasks) >= 2 * MAX_OPERATIONS:
            raise TooMany
        task = asyncio.create_task(self._operate(id, payload))
        self._running[id] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(id, done))

    def complete(self, id: str) -> None:
        """The client wants no more of it; unknown ids are those that completed at the same moment."""
        # The id is free at once; its task still has to clean up, or to finish a mutation that nobody hears of.
        task = self._running.pop(id, None)
        if task is not None:
            self._cancel(task)

    async def last_words(self) -> None:
        """Send nothing any more but the answers of mutations that run; they get LAST_WORDS."""
        self._cancel(*self._tasks)
        if self._mutations:
            await asyncio.wait(self._mutations, timeout=LAST_WORDS)

    def hush(self) -> None:
        """Send nothing any more, and cancel everything but mutations."""
        self._running.clear()
        self._cancel(*self._tasks)

    async def end(self) -> None:
        """Wait until all is over: a mutation that was begun is finished, though nobody may hear of it."""
        self.hush()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cancel(self, *tasks: "asyncio.Task[None]") -> None:
        for task in tasks:
            # Once: a second one would break into the giving back of what the task holds.
            if task not in self._mutations and not task.cancelling():
                task.cancel()

    def _forget(self, id: str, task: "asyncio.Task[None]") -> None:
        if self._running.get(id) is task:
            del self._running[id]
        self._tasks.discard(task)
        self._mutations.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("operation over websocket failed", exc_info=error)
            self._caller.close(1011, "Internal error")

    async def _operate(self, id: str, payload: Message) -> None:
        request_id = new_request_id()
        try:
            try:
                operation = await self._runner.prepare(payload, self._caller.address)
                if operation.kind is OperationType.SUBSCRIPTION:
                    await self._stream(id, operation, request_id)
                else:
                    await self._run(id, operation, request_id)
            except RequestRefused as refusal:
                await self._answer(id, "error", refusal.body["errors"])
            except TooSlow:
                # 1013, "try again later": the client comes back with its cursor.
                self._caller.close(1013, "Too slow: resume with the last liveCursor")
            except Gone:
                raise
            except Exception as error:
                await self._answer(id, "error", [tell_exception(error, request_id)])
        except Gone:
            pass

    async def _run(self, id: str, operation: Operation, request_id: str) -> None:
        if operation.kind is OperationType.MUTATION and (task := asyncio.current_task()) is not None:
            self._mutations.add(task)
        # The session may have ended since the socket was opened.
        if self._caller.is_over():
            return
        result = await self._runner.run(operation, self._caller.context(), request_id)
        if _did_not_begin(result):
            await self._answer(id, "error", result["errors"])
            return
        await self._answer(id, "next", result)
        await self._answer(id, "complete")

    async def _stream(self, id: str, operation: Operation, request_id: str) -> None:
        context = self._caller.context()
        try:
            payloads = cast(
                AsyncGenerator[Message, None], self._runner.stream(operation, context, request_id)
            )
            async with aclosing(payloads):
                async for payload in payloads:
                    # However long sending takes, it holds no connection of the pool.
                    await context.db.release()
                    if _did_not_begin(payload):
                        await self._answer(id, "error", payload["errors"])
                        return
                    await self._answer(id, "next", payload)
        finally:
            await context.db.close()
        await self._answer(id, "complete")

    async def _answer(self, id: str, type: str, payload: object = None) -> None:
        """Tell of an operation, unless the client completed it: the id may already be another's."""
        if self._running.get(id) is not asyncio.current_task():
            return
        if type != "next":
            del self._running[id]
        message: Message = {"id": id, "type": type}
        await self._tell(message if payload is None else message | {"payload": payload})


def _did_not_begin(payload: Message) -> bool:
    """Whether nothing ran, for variables or arguments that cannot be used: an error of no field."""
    return payload["data"] is None and not any("path" in error for error in payload.get("errors", ()))
