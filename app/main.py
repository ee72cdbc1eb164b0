"""The application: everything is wired here, and unwired here."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import demo, health
from app.documents.fork_server import ForkServer
from app.graphiql.routes import graphiql_routes
from app.logs import configure_logs, new_request_id
from app.parts import Parts, started, token_keys
from app.schema_page import schema_page
from app.settings import Settings

log = structlog.get_logger("maydan.main")


class GraphQLEndpoint:
    """/graphql, for HTTP and WebSocket alike."""

    def __init__(self, application: "Application") -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = self._application.parts
        if scope["type"] == "websocket":
            await parts.websocket(scope, receive, send)
        else:
            await parts.http(scope, receive, send)

    def stop(self) -> None:
        """End the streams of events; WebSockets are closed by the server."""
        self._application.parts.events.stop()


class Application:
    """Holds the parts between the lifespan and the routes."""

    def __init__(self, settings: Settings, fork_server: ForkServer | None = None) -> None:
        self.settings = settings
        self._fork_server = fork_server
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        """The running parts. Raises RuntimeError before the start."""
        if self._parts is None:
            raise RuntimeError("the application has not started")
        return self._parts

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Start everything, stop it in the opposite order."""
        async with AsyncExitStack() as stack:
            self._parts = await started(self.settings, stack, self._fork_server)
            log.info("serving")
            try:
                yield
            finally:
                self._parts.stopping = True

    def routes(self) -> Sequence[BaseRoute]:
        """All routes."""
        routes: list[BaseRoute] = [
            Route("/healthz", health.alive),
            Route("/readyz", health.ready(lambda: self.parts)),
            Route("/metrics", health.numbers(lambda: self.parts)),
            Route("/.well-known/jwks.json", self._jwks),
        ]
        if self.settings.serves_introspection:
            routes.append(Route("/schema.graphql", schema_page()))
        if self.settings.serves_graphiql:
            accounts = demo.accounts_of(lambda: self.parts) if self.settings.demo else None
            routes += graphiql_routes(demo_accounts=accounts)
        return routes

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(
            token_keys(self.settings).jwks(), headers={"cache-control": "public, max-age=300"}
        )


class Maydan(Starlette):
    """Starlette, with a short way to what nearly every request asks for; it answers its own errors."""

    endpoint: GraphQLEndpoint
    # The endpoint, behind what lets pages of other origins in where that is configured.
    behind_cors: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope["path"] == "/graphql":
            await self.behind_cors(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def stop(self) -> None:
        """The server stops soon: end what would not end by itself."""
        self.endpoint.stop()


def create_application(
    settings: Settings, fork_server: ForkServer | None = None
) -> tuple[Application, Starlette]:
    """The application, and its ASGI form. Several in one process may share a fork_server."""
    application = Application(settings, fork_server)
    cors = _cors(settings)
    asgi = Maydan(
        routes=application.routes(),
        lifespan=application.lifespan,
        exception_handlers={HTTPException: _plain_error, Exception: _internal_error},
        middleware=[Middleware(CORSMiddleware, **cors)] if cors else [],
    )
    asgi.endpoint = GraphQLEndpoint(application)
    asgi.behind_cors = CORSMiddleware(asgi.endpoint, **cors) if cors else asgi.endpoint
    return application, asgi


def create_app() -> Starlette:
    """The ASGI application of a worker; settings come from the environment."""
    settings = Settings()
    configure_logs(level=settings.log_level, json=settings.logs_json)
    return create_application(settings)[1]


def _cors(settings: Settings) -> dict[str, Any]:
    """What pages of the configured origins may do; nothing where none is. There are no cookies to be let in."""
    if not settings.cors_origins:
        return {}
    return {
        "allow_origins": settings.cors_origins,
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["*"],
        "expose_headers": ["etag", "retry-after", "x-request-id"],
        "max_age": 7200,  # seconds; the longest that Chromium keeps
    }


async def _internal_error(_: Request, error: Exception) -> Response:
    request_id = new_request_id()
    log.error("request failed", request_id=request_id, exc_info=error)
    message = "Something went wrong on the server. Quote the requestId when you report it."
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    return JSONResponse({"errors": [{"message": message, "extensions": extensions}]}, status_code=500)


async def _plain_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"errors": [{"message": error.detail, "extensions": {"code": "BAD_USER_INPUT"}}]}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)
