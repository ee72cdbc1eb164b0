"""GraphQL over HTTP: POST with JSON, GET for queries. Every answer is JSON with a request id."""

from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.auth import BadToken, Door
from app.documents.documents import Operation
from app.logs import new_request_id
from app.operations import Operations, decode, encode, tell_exception
from app.refusals import RequestRefused, refused

JSON = b"application/json; charset=utf-8"


class GraphQLHttp:
    """The ASGI application behind /graphql for HTTP."""

    def __init__(self, door: Door, operations: Operations, *, max_body_bytes: int) -> None:
        self._door, self._operations = door, operations
        self._max_body = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        extra: list[tuple[bytes, bytes]] = []
        try:
            headers = Headers(scope=scope)
            peer = scope["client"][0] if scope.get("client") else None
            operation = await self._operations.prepare(
                await self._request(scope, headers, receive), partial(self._door.address, headers, peer)
            )
            self._check_kind(scope["method"], operation)
            viewer = self._door.viewer(headers.get("authorization"))
            payload = await self._operations.run(
                operation, self._door.context(viewer, headers, peer), request_id
            )
            status = _status(payload)
        except RequestRefused as refusal:
            payload, status = refusal.body, refusal.status
            if status is HTTPStatus.METHOD_NOT_ALLOWED:
                extra.append((b"allow", b"POST" if scope["method"] == "GET" else b"GET, POST"))
        except BadToken as error:
            payload, status = _unauthenticated(str(error)), HTTPStatus.UNAUTHORIZED
            extra.append((b"www-authenticate", b'Bearer error="invalid_token"'))
        except ConnectionResetError:
            return  # the client went away while it sent
        except Exception as error:
            payload = {"errors": [tell_exception(error, request_id)]}
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        body = encode(payload)
        await send(
            {
                "type": "http.response.start",
                "status": status.value,
                "headers": [
                    (b"content-type", JSON),
                    (b"content-length", str(len(body)).encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-request-id", request_id.encode()),
                    *extra,
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _request(self, scope: Scope, headers: Headers, receive: Receive) -> object:
        """What the client asks, as JSON values. Raises RequestRefused."""
        method = scope["method"]
        if method == "GET":
            return _from_query(scope["query_string"])
        if method != "POST":
            raise refused(
                HTTPStatus.METHOD_NOT_ALLOWED, "BAD_USER_INPUT", "Send a POST, or a GET for a query."
            )
        media, _, parameters = headers.get("content-type", "").lower().partition(";")
        if media.strip() != "application/json":
            raise refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "BAD_USER_INPUT",
                "Send JSON as 'Content-Type: application/json'.",
            )
        charset = dict(parse_qsl(parameters.strip().replace('"', ""))).get("charset", "utf-8")
        if charset not in ("utf-8", "utf8"):
            raise refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "BAD_USER_INPUT", "Send the JSON as UTF-8.")
        try:
            return decode(await self._body(headers, receive))
        except ValueError as error:
            raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "The body is not valid JSON.") from error

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            body += message.get("body", b"")
            if len(body) > self._max_body:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> RequestRefused:
        sentence = f"The body is larger than {self._max_body} bytes."
        return refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BAD_USER_INPUT", sentence)

    def _check_kind(self, method: str, operation: Operation) -> None:
        if operation.kind is OperationType.SUBSCRIPTION:
            raise refused(
                HTTPStatus.BAD_REQUEST,
                "BAD_USER_INPUT",
                "Subscriptions run over a WebSocket with the subprotocol graphql-transport-ws.",
            )
        if method == "GET" and operation.kind is not OperationType.QUERY:
            raise refused(HTTPStatus.METHOD_NOT_ALLOWED, "BAD_USER_INPUT", "Send mutations with POST.")


def _from_query(query_string: bytes) -> object:
    try:
        values = dict(parse_qsl(query_string.decode("ascii"), strict_parsing=False, max_num_fields=20))
        variables, extensions = (
            decode(values[name]) if values.get(name) else None for name in ("variables", "extensions")
        )
    except ValueError as error:
        raise refused(
            HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "The query string cannot be read; 'variables' is JSON."
        ) from error
    return {
        "query": values.get("query"),
        "operationName": values.get("operationName") or None,
        "variables": variables,
        "extensions": extensions,
        "documentId": values.get("documentId"),
        "doc_id": values.get("doc_id"),
        "id": values.get("id"),
    }


def _status(payload: dict[str, Any]) -> HTTPStatus:
    """200 when anything ran. What nothing ran for is an argument or variable, or else no fault of the client's."""
    if payload["data"] is not None or any("path" in error for error in payload["errors"]):
        return HTTPStatus.OK
    codes = {error["extensions"]["code"] for error in payload["errors"]}
    if "UNAVAILABLE" in codes:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR if "INTERNAL_SERVER_ERROR" in codes else HTTPStatus.BAD_REQUEST


def _unauthenticated(sentence: str) -> dict[str, object]:
    return {"errors": [{"message": sentence, "extensions": {"code": "UNAUTHENTICATED"}}]}
