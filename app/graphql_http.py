"""GraphQL over HTTP (the GraphQL over HTTP specification, draft of 2025): POST with JSON, GET for queries.

Every answer has a request id. What a client accepts decides whether it gets JSON, of which type, or a stream of events
(app/graphql_sse.py); decision 0008 has the statuses.
"""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.auth import BadToken, Door
from app.compression import compressed
from app.documents.documents import Operation
from app.etags import is_known, weak_tag
from app.graphql_sse import EventStreams
from app.headers import RequestHeaders
from app.http_requests import Requests
from app.logs import new_request_id
from app.negotiation import PLAIN_JSON, RESPONSE_JSON, Accepted, accepted
from app.operations import Operations, encode, tell_exception
from app.protocols import IS_BEHIND
from app.refusals import VALIDATION_FAILED, Malformed, RequestRefused

_CONTENT_TYPES = {media: f"{media}; charset=utf-8".encode() for media in (PLAIN_JSON, RESPONSE_JSON)}
# The status of what did not run, by the code of its error; anything else is the request's fault.
_STATUSES = {
    "RESPONSE_TOO_LARGE": HTTPStatus.OK,  # it ran
    "INTERNAL_SERVER_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "TIMEOUT": HTTPStatus.SERVICE_UNAVAILABLE,
    "RATE_LIMITED": HTTPStatus.TOO_MANY_REQUESTS,
}
_CHALLENGE = (b"www-authenticate", b'Bearer error="invalid_token"')
HeaderList = list[tuple[bytes, bytes]]


class GraphQLHttp:
    """The ASGI application behind /graphql for HTTP. `invalid`: the status of documents that are not valid."""

    def __init__(
        self,
        door: Door,
        operations: Operations,
        events: EventStreams,
        requests: Requests,
        invalid: HTTPStatus,
    ) -> None:
        self._door, self._operations, self._events = door, operations, events
        self._requests, self._invalid = requests, invalid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        headers = RequestHeaders(scope)
        wanted = accepted(headers.get("accept"))
        extra: HeaderList = []
        cached = False
        try:
            request = await self._requests.read(scope, headers, receive)
            peer = scope["client"][0] if scope.get("client") else None
            try:
                operation = await self._operations.prepare(
                    request, partial(self._door.address, headers, peer)
                )
            except RequestRefused as refusal:
                if wanted.events_first:
                    await self._events.refuse(refusal.body, request_id, send)
                    return
                raise
            if _as_events(scope["method"], operation, wanted):
                told = (scope.get("extensions") or {}).get(IS_BEHIND, {})
                await self._events(operation, headers, peer, request_id, receive, send, told.get("is_behind"))
                return
            authorization = headers.get("authorization")
            viewer = self._door.viewer(authorization)
            payload = await self._operations.run(
                operation, self._door.context(viewer, headers, peer), request_id
            )
            status = self._status(payload, wanted)
            cached = (
                operation.persisted
                and scope["method"] == "GET"
                and authorization is None
                and "errors" not in payload
            )
        except RequestRefused as refusal:
            payload, status = refusal.body, self._refused(refusal, wanted)
            if status is HTTPStatus.METHOD_NOT_ALLOWED:
                extra.append((b"allow", b"POST" if scope["method"] == "GET" else b"GET, POST"))
        except BadToken as error:
            payload, status = _unauthenticated(str(error)), HTTPStatus.UNAUTHORIZED
            extra.append(_CHALLENGE)
        except ConnectionResetError:
            return  # the client went away while it sent
        except Exception as error:
            payload = {"errors": [tell_exception(error, request_id)]}
            status = _STATUSES.get(
                payload["errors"][0]["extensions"]["code"], HTTPStatus.INTERNAL_SERVER_ERROR
            )
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            extra.append((b"retry-after", _retry_after(payload)))
        if cached:
            # Shared by everybody: what one of them has left says nothing to the others.
            payload.pop("extensions", None)
        body = encode(payload)
        if cached:
            status, body = _tagged(headers, status, body, extra)
        else:
            extra.append((b"cache-control", b"no-store"))
        body, encoding = await compressed(body, headers.get("accept-encoding"))
        if encoding is not None:
            extra.append((b"content-encoding", encoding.encode()))
        await send(
            {
                "type": "http.response.start",
                "status": status.value,
                "headers": [
                    (b"content-type", _CONTENT_TYPES[wanted.json or PLAIN_JSON]),
                    # 304 has no length of its own (RFC 9110, 8.6).
                    *([] if status is HTTPStatus.NOT_MODIFIED else [(b"content-length", b"%d" % len(body))]),
                    (b"x-request-id", request_id.encode()),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _status(self, payload: Mapping[str, Any], wanted: Accepted) -> HTTPStatus:
        """200 when anything ran."""
        if "errors" not in payload or payload["data"] is not None:
            return HTTPStatus.OK
        codes = set()
        for error in payload["errors"]:
            if "path" in error:
                return HTTPStatus.OK
            codes.add(error["extensions"]["code"])
        for code, status in _STATUSES.items():
            if code in codes:
                return status
        return _softened(HTTPStatus.BAD_REQUEST, wanted)

    def _refused(self, refusal: RequestRefused, wanted: Accepted) -> HTTPStatus:
        if isinstance(refusal, Malformed):
            return refusal.status
        if refusal.code == VALIDATION_FAILED and refusal.status is HTTPStatus.BAD_REQUEST:
            return _softened(self._invalid, wanted)
        return _softened(refusal.status, wanted)


def _softened(status: HTTPStatus, wanted: Accepted) -> HTTPStatus:
    """Who asks for application/json by name gets 200 with errors, for intermediaries that know nothing of GraphQL."""
    is_request_error = status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    return HTTPStatus.OK if is_request_error and wanted.by_name and wanted.json == PLAIN_JSON else status


def _as_events(method: str, operation: Operation, wanted: Accepted) -> bool:
    """Whether the answer is a stream of events. Raises Malformed for what cannot be answered, or not so."""
    if method == "GET" and operation.kind is OperationType.MUTATION:
        raise Malformed(HTTPStatus.METHOD_NOT_ALLOWED, "Send mutations with POST.")
    if operation.kind is OperationType.SUBSCRIPTION:
        if not wanted.events:
            raise Malformed(
                HTTPStatus.BAD_REQUEST,
                "Subscriptions run over a WebSocket with the subprotocol graphql-transport-ws, or with "
                "'Accept: text/event-stream'.",
            )
        return True
    if wanted.events_first:
        return True
    if wanted.json is None:
        raise Malformed(
            HTTPStatus.NOT_ACCEPTABLE,
            "Accept application/graphql-response+json, application/json or text/event-stream.",
        )
    return False


def _tagged(headers: Headers, status: HTTPStatus, body: bytes, extra: HeaderList) -> tuple[HTTPStatus, bytes]:
    """The answer with its tag, or without its body when the client has it."""
    tag = weak_tag(body)
    extra += [
        (b"etag", tag.encode()),
        (b"cache-control", b"public, no-cache"),
        (b"vary", b"Accept, Accept-Encoding, Authorization"),
    ]
    if is_known(tag, headers.getlist("if-none-match")):
        return HTTPStatus.NOT_MODIFIED, b""
    return status, body


def _retry_after(payload: Mapping[str, Any]) -> bytes:
    seconds = [error["extensions"].get("retryAfter", 1) for error in payload["errors"]]
    return str(max(seconds)).encode()


def _unauthenticated(sentence: str) -> dict[str, Any]:
    return {"errors": [{"message": sentence, "extensions": {"code": "UNAUTHENTICATED"}}]}
