"""The application: everything is wired here, and unwired here."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from app import demo, health
from app.auth import Door
from app.graphiql.routes import graphiql_routes
from app.graphql_http import GraphQLHttp
from app.graphql_ws import GraphQLWebSocket
from app.live import LiveHub
from app.logs import configure_logs
from app.passwords import Passwords
from app.refresh import RefreshTokens
from app.settings import Settings
from app.tokens import AccessTokens, TokenKeys
from dataloaders.database import Database
from resolvers.context import Services

# Where no PUBLIC_URL is set, so that a token holds whichever port the next start takes.
ISSUER = "maydan"

log = structlog.get_logger("maydan.main")


@dataclass(slots=True)
class Parts:
    """What runs while the application does."""

    settings: Settings
    database: Database
    hub: LiveHub
    door: Door
    http: GraphQLHttp
    websocket: GraphQLWebSocket
    stopping: bool = False


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


class Application:
    """Holds the parts between the lifespan and the routes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
            self._parts = await started(self.settings, stack)
            log.info("serving")
            try:
                yield
            finally:
                self._parts.stopping = True

    def routes(self) -> Sequence[BaseRoute]:
        """All routes."""
        routes: list[BaseRoute] = [
            Route("/graphql", GraphQLEndpoint(self)),
            WebSocketRoute("/graphql", GraphQLEndpoint(self)),
            Route("/healthz", health.alive),
            Route("/readyz", health.ready(lambda: self.parts)),
            Route("/metrics", health.metrics_page(lambda: self.parts)),
            Route("/.well-known/jwks.json", self._jwks),
        ]
        if self.settings.serves_graphiql:
            accounts = demo.accounts_of(lambda: self.parts) if self.settings.demo else None
            routes += graphiql_routes(demo_accounts=accounts)
        return routes

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse(
            token_keys(self.settings).jwks(), headers={"cache-control": "public, max-age=300"}
        )


def token_keys(settings: Settings) -> TokenKeys:
    """The keys that sign and verify access tokens."""
    assert settings.token_private_key is not None
    return TokenKeys.from_settings(settings.token_private_key.get_secret_value(), settings.token_public_keys)


def access_tokens(settings: Settings) -> AccessTokens:
    """Issues and verifies access tokens."""
    lifetime = timedelta(seconds=settings.access_token_seconds)
    return AccessTokens(token_keys(settings), issuer=settings.public_url or ISSUER, lifetime=lifetime)


async def started(settings: Settings, stack: AsyncExitStack) -> Parts:
    """The parts, running until the stack is unwound."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    database = await stack.enter_async_context(
        Database.connected(settings.database_url, size=settings.database_pool_size)
    )
    # The longest life of a token that a revocation must outlast.
    longest = demo.TOKEN_LIFETIME.total_seconds() if settings.demo else settings.access_token_seconds
    hub = await stack.enter_async_context(
        LiveHub.connected(database, settings.redis_url, token_seconds=longest + 60)
    )
    passwords = Passwords()
    stack.push_async_callback(passwords.aclose)
    tokens = access_tokens(settings)
    services = Services(
        bus=hub,
        passwords=passwords,
        access_tokens=tokens,
        refresh_tokens=RefreshTokens(settings.secret),
        refresh_lifetime=timedelta(days=settings.refresh_token_days),
        limits=settings.limits,
    )
    proxies = [ip_network(text, strict=False) for text in settings.trusted_proxies]
    door = Door(database, services, tokens, hub.is_revoked, proxies)
    return Parts(
        settings,
        database,
        hub,
        door,
        GraphQLHttp(door, max_body_bytes=settings.max_body_bytes),
        GraphQLWebSocket(door, hub),
    )


def create_application(settings: Settings) -> tuple[Application, Starlette]:
    """The application, and its ASGI form."""
    application = Application(settings)
    asgi = Starlette(
        routes=application.routes(),
        lifespan=application.lifespan,
        exception_handlers={HTTPException: _plain_error},
    )
    return application, asgi


def create_app() -> Starlette:
    """The ASGI application of a worker; settings come from the environment."""
    settings = Settings()
    configure_logs(level=settings.log_level, json=settings.logs_json)
    return create_application(settings)[1]


async def _plain_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"errors": [{"message": error.detail, "extensions": {"code": "BAD_USER_INPUT"}}]}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)
