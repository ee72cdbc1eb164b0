"""One operation, whatever it came by: parse and validate (cached), run, tell errors, log."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import orjson
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from app import metrics
from app.documents import DocumentCache
from app.logs import safe_name
from dataloaders.database import DatabaseUnavailable
from execution import PreparedOperation
from resolvers.context import Context
from resolvers.errors import ClientError
from schema.build import executable, executor_class

# A document of more tokens is refused before it costs anything.
MAX_TOKENS = 10_000
# Errors of one document or its variables that are told, and the longest message: each may quote the whole request.
MAX_ERRORS = 10
LONGEST_MESSAGE = 500
# Documents that are kept parsed, validated and compiled. A character of a document takes 110 to 150 bytes when it is
# parsed, and its plan less than that again: some 60 MB when all of this is used.
CACHED_DOCUMENTS = 500
CACHED_CHARACTERS = 250_000
CACHED_LENGTH = 20_000

log = structlog.get_logger("maydan.operation")


class RequestRefused(Exception):
    """A request that is not executed: an HTTP status and the errors to send."""

    def __init__(self, status: HTTPStatus, code: str, *errors: GraphQLError) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"errors": [_told(error, code) for error in errors]}


def refused(status: HTTPStatus, code: str, message: str) -> RequestRefused:
    """A refusal with one sentence."""
    return RequestRefused(status, code, GraphQLError(message))


@dataclass(frozen=True, slots=True)
class Operation:
    """A validated operation and its variables."""

    prepared: PreparedOperation
    variables: Mapping[str, Any]
    reads_position: bool
    reads_marks: bool

    @property
    def kind(self) -> OperationType:
        return self.prepared.definition.operation

    @property
    def name(self) -> str | None:
        name = self.prepared.definition.name
        return name.value if name else None


class Document:
    """A validated document: its operations are prepared when they are first asked for."""

    def __init__(self, text: str, node: DocumentNode) -> None:
        self._node = node
        # Told from the text alone: a false alarm costs a little, and marks that were missed are read when asked for.
        self.reads_position = "liveCursor" in text
        self.reads_marks = "viewerHas" in text
        self._operations: dict[str | None, PreparedOperation] = {}

    def operation(self, name: str | None) -> PreparedOperation:
        """The operation of this name, or the only one. Raises RequestRefused."""
        found = self._operations.get(name)
        if found is None:
            _check_name(self._node, name)
            found = self._operations[name] = PreparedOperation(
                executable, self._node, name, executor_class, max_coercion_errors=MAX_ERRORS
            )
        return found


_documents: DocumentCache[Document] = DocumentCache(
    documents=CACHED_DOCUMENTS, characters=CACHED_CHARACTERS, longest=CACHED_LENGTH
)


def prepare(request: object) -> Operation:
    """The operation that a request's JSON asks for. Raises RequestRefused."""
    if not isinstance(request, dict):
        raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "Send one JSON object with a 'query'.")
    query, name, variables = (request.get(key) for key in ("query", "operationName", "variables"))
    if not isinstance(query, str) or not query.strip():
        raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "'query' must be a GraphQL document.")
    if name is not None and not isinstance(name, str):
        raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "'operationName' must be a string or null.")
    if variables is not None and not isinstance(variables, dict):
        raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "'variables' must be an object or null.")
    document = _document(query)
    return Operation(
        document.operation(name or None), variables or {}, document.reads_position, document.reads_marks
    )


def _document(query: str) -> Document:
    found = _documents.get(query)
    if found is not None:
        return found
    try:
        node = parse(query, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "GRAPHQL_PARSE_FAILED", error) from error
    except RecursionError:
        raise refused(
            HTTPStatus.BAD_REQUEST, "GRAPHQL_PARSE_FAILED", "This document is nested too deeply."
        ) from None
    try:
        errors = validate(executable, node, max_errors=MAX_ERRORS)
    except RecursionError:
        raise refused(
            HTTPStatus.BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED", "This document is nested too deeply."
        ) from None
    if errors:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED", *errors)
    document = Document(query, node)
    _documents.keep(query, document)
    return document


def _check_name(document: DocumentNode, name: str | None) -> None:
    """Whether the name chooses one operation. Raises RequestRefused."""
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        if not any(node.name is not None and node.name.value == name for node in found):
            raise refused(
                HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", f"The document has no operation named {name!r}."
            )
    elif len(found) != 1:
        raise refused(
            HTTPStatus.BAD_REQUEST,
            "BAD_USER_INPUT",
            "The document has several operations: name one in 'operationName'."
            if found
            else "The document has no operation.",
        )


async def run(operation: Operation, ctx: Context, request_id: str) -> dict[str, Any]:
    """Run a query or mutation: what to send. The context's connection is given back."""
    started = time.monotonic()
    try:
        ctx.reads_marks = operation.reads_marks
        if operation.reads_position:
            await ctx.position()
        result = await operation.prepared.execute(ctx, operation.variables)
    except Exception as error:
        result = ExecutionResult(None, [_located(error)])
    finally:
        statements = ctx.db.statements
        await ctx.db.close()
    payload = told(result, request_id)
    _log(operation, ctx, payload, started, statements, request_id)
    return payload


async def stream(operation: Operation, ctx: Context, request_id: str) -> AsyncIterator[dict[str, Any]]:
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
        return _told(error, "BAD_USER_INPUT")
    if isinstance(cause, ClientError):
        return _told(error, cause.code, **cause.extensions)
    if isinstance(cause, DatabaseUnavailable):
        log.warning("database unavailable", error=str(cause)[:200], request_id=request_id)
        masked = GraphQLError("The server's database does not answer. Try again shortly.", path=error.path)
        return _told(masked, "UNAVAILABLE", requestId=request_id)
    log.error("operation failed", request_id=request_id, path=error.path, exc_info=cause)
    masked = GraphQLError(
        "Something went wrong on the server. Quote the requestId when you report it.",
        nodes=error.nodes,
        path=error.path,
    )
    return _told(masked, "INTERNAL_SERVER_ERROR", requestId=request_id)


def tell_exception(error: Exception, request_id: str) -> dict[str, Any]:
    """An exception outside of any field, as sent."""
    return tell(_located(error), request_id)


def _located(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


def _told(error: GraphQLError, code: str, **extensions: object) -> dict[str, Any]:
    formatted = cast(dict[str, Any], error.formatted)
    if len(error.message) > LONGEST_MESSAGE:
        formatted["message"] = error.message[:LONGEST_MESSAGE] + "…"
    formatted["extensions"] = {"code": code, **extensions}
    return formatted


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
