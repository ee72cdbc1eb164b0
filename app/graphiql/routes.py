"""The routes of GraphiQL, for app/main.py to put into the application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.graphiql.bundle import bundle
from app.graphiql.page import new_nonce, page_headers, render_page

DEMO_HEADER = "x-maydan-demo"
"""Sent by our page alone: a form or an image of another site cannot set a header."""

A_YEAR = 31_536_000


@dataclass(frozen=True)
class DemoAccount:
    """Somebody of the demo network whom the visitor may act as."""

    handle: str
    display_name: str
    access_token: str


DemoAccounts = Callable[[], Awaitable[list[DemoAccount]]]


def graphiql_routes(*, demo_accounts: DemoAccounts | None, graphql_path: str = "/graphql") -> list[BaseRoute]:
    """GraphiQL over `graphql_path`; `demo_accounts` makes fresh tokens and is given in demo mode only."""

    async def home(request: Request) -> Response:
        return RedirectResponse(_root(request) + "/graphiql", status_code=307)

    async def page(request: Request) -> Response:
        await run_in_threadpool(bundle)  # the first visit reads and compresses the assets
        nonce = new_nonce()
        html = render_page(
            root=_root(request), graphql_path=graphql_path, demo=demo_accounts is not None, nonce=nonce
        )
        return HTMLResponse(html, headers=page_headers(host=request.headers.get("host", ""), nonce=nonce))

    routes: list[BaseRoute] = [
        Route("/", home, name="home"),
        Route("/graphiql", page, name="graphiql"),
        Route("/graphiql/assets/{version}/{name:path}", asset, name="graphiql-asset"),
    ]
    if demo_accounts is not None:
        session = demo_session(demo_accounts)
        routes.append(Route("/graphiql/demo-session", session, methods=["POST"], name="demo-session"))
    return routes


async def asset(request: Request) -> Response:
    """One file of the bundle; its path holds the version, so browsers may keep it."""
    files = await run_in_threadpool(bundle)
    found = files.assets.get(request.path_params["name"])
    if found is None or request.path_params["version"] != files.version:
        return Response(status_code=404)
    headers = {
        "Cache-Control": f"public, max-age={A_YEAR}, immutable",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.gzipped, media_type=found.media_type, headers=headers)
    return Response(found.plain, media_type=found.media_type, headers=headers)


def demo_session(demo_accounts: DemoAccounts) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that hands demo tokens to our own page, and to no other site's."""

    async def endpoint(request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if not comes_from_our_page(request):
            refusal = {"error": "Demo sessions are handed to this server's own GraphiQL page only."}
            return JSONResponse(refusal, status_code=403, headers=headers)
        accounts = [
            {"handle": each.handle, "displayName": each.display_name, "accessToken": each.access_token}
            for each in await demo_accounts()
        ]
        return JSONResponse(accounts, headers=headers)

    return endpoint


def comes_from_our_page(request: Request) -> bool:
    """Our header is there, and the browser does not say that another origin is asking."""
    headers = request.headers
    if DEMO_HEADER not in headers or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    # The scheme is not compared: behind a proxy that ends TLS ours differs from the browser's.
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")
