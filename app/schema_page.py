"""The schema in GraphQL's definition language, for the tools of app developers: /schema.graphql."""

from collections.abc import Awaitable, Callable
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from app.compression import compressed
from app.etags import is_known, weak_tag
from schema.build import sdl


@cache
def _schema() -> tuple[bytes, str]:
    """The text and its tag; it cannot change while the process runs."""
    text = sdl().encode()
    return text, weak_tag(text)


def schema_page() -> Callable[[Request], Awaitable[Response]]:
    """The handler of the route."""

    async def handler(request: Request) -> Response:
        text, tag = _schema()
        headers = {"etag": tag, "cache-control": "public, no-cache", "vary": "Accept-Encoding"}
        if is_known(tag, request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        body, encoding = await compressed(text, request.headers.get("accept-encoding"))
        if encoding is not None:
            headers["content-encoding"] = encoding
        return Response(body, headers=headers, media_type="text/plain; charset=utf-8")

    return handler
