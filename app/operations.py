"""One operation, whatever it came by: run it within its limits, tell errors, log."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson
import structlog
from graphql import ExecutionResult, GraphQLError

from app import metrics
from app.documents.documents import Documents, Operation
from app.logs import safe_name
from app.refusals import error_told
from dataloaders.database import DatabaseUnavailable
from resolvers.context import Context
from resolvers.errors import ClientError

log = structlog.get_logger("maydan.operation")


class TooLong(Exception):
    """An operation took longer than it may."""


class Operations:
    """Prepares and runs operations. `seconds`: how long a query or mutation may take."""

    def __init__(self, documents: Documents, *, seconds: float) -> None:
        self._documents = documents
        self._seconds = seconds

    async def prepare(self, request: object, asker: Callable[[], str]) -> Operation:
        """See Documents.prepare."""
        return await self._documents.prepare(request, asker)

    async def run(self, operation: Operation, ctx: Context, request_id: str) -> dict[str, Any]:
        """Run a query or mutation: what to send. The context's connection is given back."""
        started = time.monotonic()
        try:
            ctx.reads_marks = operation.reads_marks
            if operation.reads_position:
                await ctx.position()
            async with asyncio.timeout(self._seconds):
                result = await operation.prepared.execute(ctx, operation.variables)
        except TimeoutError:
            result = ExecutionResult(None, [_located(TooLong())])
        except Exception as error:
            result = ExecutionResult(None, [_located(error)])
        finally:
            statements = ctx.db.statements
            await ctx.db.close()
        payload = told(result, request_id)
        _log(operation, ctx, payload, started, statements, request_id)
        return payload

    async def stream(
        self, operation: Operation, ctx: Context, request_id: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Run a subscription: what to send for each event. Raises RequestRefused when it cannot begin."""
        started = time.monotonic()
        result = await operation.prepared.subscribe(ctx, operation.variables)
        if isinstance(result, ExecutionResult):
            yield told(result, request_id)
            return
        metrics.STREAMS.inc()
        events = 0
        try:
            async for event in result:
                events += 1
                metrics.EVENTS.inc()
                yield told(event, request_id)
        finally:
            metrics.STREAMS.dec()
            await result.aclose()
            await ctx.db.close()
            log.info(
                "subscription ended",
                name=safe_name(operation.name),
                seconds=round(time.monotonic() - started, 1),
                events=events,
                viewer=ctx.viewer_id,
                request_id=request_id,
            )


def told(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """The result as sent: what a client may be told is told, bugs are masked with the request's id."""
    payload: dict[str, Any] = {}
    if result.errors:
        payload["errors"] = [tell(error, request_id) for error in result.errors]
    payload["data"] = result.data
    return payload


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


def _log(
    operation: Operation,
    ctx: Context,
    payload: Mapping[str, Any],
    started: float,
    statements: int,
    request_id: str,
) -> None:
    seconds = time.monotonic() - started
    codes = sorted({error["extensions"]["code"] for error in payload.get("errors", ())})
    kind = operation.kind.value
    refusals = [part for part in (payload.get("data") or {}).values() if isinstance(part, dict)]
    was_refused = any(part.get("userErrors") for part in refusals)
    metrics.operations(kind, "error" if codes else "refused" if was_refused else "ok").inc()
    metrics.duration(kind).observe(seconds)
    metrics.STATEMENTS.inc(statements)
    log.info(
        "operation",
        name=safe_name(operation.name),
        kind=kind,
        ms=round(seconds * 1000, 1),
        statements=statements,
        viewer=ctx.viewer_id,
        codes=codes or None,
        request_id=request_id,
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
