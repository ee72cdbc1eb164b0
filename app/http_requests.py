"""Reads GraphQL requests from HTTP: a POST with JSON, or a GET with parameters."""

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from app.operations import decode
from app.origins import Origins
from app.refusals import Malformed

# Parameters of a GET that are read at most.
MOST_PARAMETERS = 20
# Headers that a page of another site can send only after the browser asked this server: what Apollo's clients send,
# the same under neutral names, and the type of JSON.
PREFLIGHT_HEADERS = ("x-apollo-operation-name", "apollo-require-preflight", "graphql-require-preflight")


class Requests:
    """Reads requests. Raises Malformed for what is none."""

    def __init__(self, origins: Origins, max_body_bytes: int) -> None:
        self._origins, self._max_body = origins, max_body_bytes

    async def read(self, scope: Scope, headers: Headers, receive: Receive) -> object:
        """What the client asks, as JSON values. Raises ConnectionResetError when it went away."""
        method = scope["method"]
        if method == "GET":
            self._check_origin(headers)
            return _from_query(scope["query_string"])
        if method != "POST":
            raise Malformed(HTTPStatus.METHOD_NOT_ALLOWED, "Send a POST, or a GET for a query.")
        _check_type(headers)
        try:
            return decode(await self._body(headers, receive))
        except ValueError:
            raise Malformed(HTTPStatus.BAD_REQUEST, "The body is not valid JSON.") from None

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a browser may have been made to send: see decision 0008."""
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        if site in ("cross-site", "same-site"):
            foreign = True
        elif site in ("same-origin", "none"):
            foreign = False
        else:
            foreign = mode == "no-cors" or "cookie" in headers or not self._origins.allow(headers)
        if not foreign or _is_json(headers) or any(name in headers for name in PREFLIGHT_HEADERS):
            return
        raise Malformed(
            HTTPStatus.FORBIDDEN,
            "A browser may have been made to send this GET by another site. Send a header that no page can send "
            "unasked: 'GraphQL-Require-Preflight: 1'.",
            code="FORBIDDEN",
        )

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        message = await receive()
        body = message.get("body", b"")
        if message["type"] != "http.disconnect" and not message.get("more_body", False):
            # Nearly every request comes in one piece.
            if len(body) > self._max_body:
                raise self._too_large()
            return bytes(body)
        gathered = bytearray(body)
        while message["type"] != "http.disconnect":
            if len(gathered) > self._max_body:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(gathered)
            message = await receive()
            gathered += message.get("body", b"")
        raise ConnectionResetError

    def _too_large(self) -> Malformed:
        return Malformed(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {self._max_body} bytes."
        )


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _check_type(headers: Headers) -> None:
    given = headers.get("content-type", "")
    if given != "application/json":
        if not _is_json(headers):
            raise Malformed(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON as 'Content-Type: application/json'."
            )
        parameters = given.lower().partition(";")[2]
        charset = dict(parse_qsl(parameters.replace(" ", "").replace('"', ""), separator=";")).get(
            "charset", "utf-8"
        )
        if charset not in ("utf-8", "utf8"):
            raise Malformed(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the JSON as UTF-8.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Malformed(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as it is, not compressed.")


def _from_query(query_string: bytes) -> object:
    try:
        values: dict[str, Any] = dict(
            parse_qsl(query_string.decode("ascii"), strict_parsing=False, max_num_fields=MOST_PARAMETERS)
        )
        for name in ("variables", "extensions"):
            if name in values:
                values[name] = decode(values[name]) if values[name] else None
    except ValueError:
        raise Malformed(
            HTTPStatus.BAD_REQUEST, "The query string cannot be read; 'variables' and 'extensions' are JSON."
        ) from None
    return values
