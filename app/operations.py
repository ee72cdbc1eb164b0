"""One operation, whatever it came by: run it within its limits, tell errors, log."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import structlog
from graphql import ExecutionResult, GraphQLError

from app.budgets import Budgets, address_key, viewer_key
from app.costs import TooCostly, check_cost, cost_extension
from app.documents.documents import Documents, Operation
from app.journal import Done, Journal
from app.refusals import error_told
from dataloaders.database import DatabaseUnavailable
from execution import TooManySelections
from resolvers.context import Context
from resolvers.errors import ClientError

# Points from which on an answer is measured before it is encoded: below, encoding even the longest takes milliseconds.
DEAR = 200
# Characters that a point may bring at most: ten texts of 5,000.
LONGEST_POINT = 50_000
# Points of one event of a subscription that are paid with its beginning: five times what clients ask of one. Whoever
# asks for more pays for each event, or 100 subscriptions would bring whole timelines again with every post.
EVENT_POINTS = 100

log = structlog.get_logger("maydan.operation")


class TooLong(Exception):
    """An operation took longer than it may."""


class TooLarge(Exception):
    """An answer is longer than any may be."""


class Allowed(NamedTuple):
    """What one operation may take: points (0: any), seconds, and characters of its answer."""

    cost: int
    seconds: float
    answer: int


class Operations:
    """Prepares and runs operations, each within what it is allowed and what its budget holds (None: any)."""

    def __init__(
        self, documents: Documents, allowed: Allowed, budgets: Budgets | None, journal: Journal
    ) -> None:
        self._documents = documents
        self._allowed = allowed
        self._budgets = budgets
        self._journal = journal

    async def prepare(self, request: object, asker: Callable[[], str]) -> Operation:
        """See Documents.prepare."""
        return await self._documents.prepare(request, asker)

    async def run(self, operation: Operation, ctx: Context, request_id: str) -> dict[str, Any]:
        """Run a query or mutation: what to send, to be given to `encode`. The context's connection is given back."""
        started = time.monotonic()
        cost = 0
        encoded = None
        try:
            cost = await self.pay(operation, ctx)
            ctx.reads_marks = operation.reads_marks
            if operation.reads_position:
                await ctx.position()
            async with asyncio.timeout(self._allowed.seconds):
                result = await operation.prepared.execute(ctx, operation.variables)
            result, encoded = self.bounded(result, cost)
        except TimeoutError:
            result = ExecutionResult(None, [_located(TooLong())])
        except Exception as error:
            result = ExecutionResult(None, [_located(error)])
        finally:
            statements = ctx.db.statements
            await ctx.db.close()
        payload = told(result, request_id)
        if cost:
            payload["extensions"] = {"cost": cost_extension(cost, self._allowed.cost, ctx.spending)}
        seconds = time.monotonic() - started
        self._journal.note(_done(operation, ctx, payload, seconds, statements, request_id))
        # With errors the data may be null, on which the status depends.
        if encoded is not None and not result.errors:
            payload["data"] = orjson.Fragment(encoded)
        return payload

    def bounded(self, result: ExecutionResult, cost: int) -> tuple[ExecutionResult, bytes | None]:
        """The result, or the error that it is longer than any may be; and its data as JSON, where that was made."""
        most = self._allowed.answer
        if cost * LONGEST_POINT <= most:
            return result, None  # as nearly all events, and many pages
        # Encoding a page takes a tenth of looking at its values one by one.
        encoded = encode(result.data) if cost <= DEAR else None
        if (encoded is None or len(encoded) > most) and is_longer(result.data, most):
            return ExecutionResult(None, [_located(TooLarge())]), None
        return result, encoded

    async def pay(self, operation: Operation, ctx: Context) -> int:
        """The points it costs, paid. Raises TooCostly and OverBudget, which say so to the client."""
        if operation.cost is None:
            raise TooCostly(TooManySelections(), self._allowed.cost)
        cost = operation.cost(operation.variables)
        check_cost(cost, self._allowed.cost)
        if self._budgets is not None:
            viewer = ctx.viewer_id
            key = address_key(ctx.address) if viewer is None else viewer_key(viewer)
            ctx.spending = self._budgets.spend(key, cost) or await self._budgets.reserve(key, cost)
        return cost


def is_longer(data: object, most: int) -> bool:
    """Whether an answer has more characters than this, or values worth as many."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            most -= len(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        most -= 8
        if most < 0:
            return True
    return False


def told(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """The result as sent: what a client may be told is told, bugs are masked with the request's id."""
    payload: dict[str, Any] = {}
    if result.errors:
        payload["errors"] = [tell(error, request_id) for error in result.errors]
    payload["data"] = result.data
    return payload


def refusal_told(error: ClientError, request_id: str) -> dict[str, Any]:
    """Why an operation does not run, as sent."""
    return told(ExecutionResult(None, [_located(error)]), request_id)


def tell(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One error as sent."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        return error_told(error, "BAD_USER_INPUT")
    if isinstance(cause, ClientError):
        return error_told(error, cause.code, **cause.extensions)
    if isinstance(cause, TooLong):
        slow = GraphQLError(
            "This took too long and was stopped. Ask for less; whether a mutation was done, look or repeat it "
            "with the same idempotencyKey."
        )
        return error_told(slow, "TIMEOUT", requestId=request_id)
    if isinstance(cause, TooLarge):
        large = GraphQLError(
            "The answer is too long to be sent. Ask for fewer items or fields. If it was a mutation, it was done."
        )
        return error_told(large, "RESPONSE_TOO_LARGE", requestId=request_id)
    if isinstance(cause, DatabaseUnavailable):
        log.warning("database unavailable", error=str(cause)[:200], request_id=request_id)
        masked = GraphQLError("The server's database does not answer. Try again shortly.", path=error.path)
        return error_told(masked, "UNAVAILABLE", requestId=request_id)
    log.error("operation failed", request_id=request_id, path=error.path, exc_info=cause)
    masked = GraphQLError(
        "Something went wrong on the server. Quote the requestId when you report it.",
        nodes=error.nodes,
        path=error.path,
    )
    return error_told(masked, "INTERNAL_SERVER_ERROR", requestId=request_id)


def tell_exception(error: Exception, request_id: str) -> dict[str, Any]:
    """An exception outside of any field, as sent."""
    return tell(_located(error), request_id)


def _located(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


def _done(
    operation: Operation,
    ctx: Context,
    payload: Mapping[str, Any],
    seconds: float,
    statements: int,
    request_id: str,
) -> Done:
    codes = sorted({error["extensions"]["code"] for error in payload.get("errors", ())})
    refusals = [part for part in (payload.get("data") or {}).values() if isinstance(part, dict)]
    was_refused = any(part.get("userErrors") for part in refusals)
    return Done(
        operation.name,
        operation.kind.value,
        "error" if codes else "refused" if was_refused else "ok",
        codes,
        seconds,
        statements,
        ctx.viewer_id,
        request_id,
        time.time(),
    )


def encode(payload: object) -> bytes:
    """JSON. Falls back to escapes for the lone surrogates that an error message may quote."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload, ensure_ascii=True).encode()


def decode(body: bytes | str) -> object:
    """JSON as sent, lone surrogates included: the text's own rules refuse them. Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
