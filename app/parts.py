"""The parts of a running process, started in order and stopped in the opposite one."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from ipaddress import ip_network

from app.auth import Door
from app.budgets import Budgets
from app.documents.documents import Documents
from app.documents.examiner import Examiner
from app.documents.fork_server import ForkServer
from app.documents.persisted import PersistedDocuments
from app.graphql_http import GraphQLHttp
from app.graphql_sse import EventStreams
from app.graphql_ws import GraphQLWebSocket
from app.http_requests import Requests
from app.journal import Journal
from app.live import LiveHub
from app.live.texts import SharedTexts
from app.operations import Allowed, Operations
from app.origins import Origins
from app.passwords import Passwords
from app.refresh import RefreshTokens
from app.session_watch import SessionWatch
from app.settings import Settings
from app.subscriptions import Subscriptions
from app.tokens import AccessTokens, TokenKeys
from dataloaders.database import Database
from resolvers.context import Context, Services

# Where no PUBLIC_URL is set, so that a token holds whichever port the next start takes.
ISSUER = "maydan"

# A day of trying things out without refreshing.
DEMO_TOKEN_LIFETIME = timedelta(hours=24)


@dataclass(slots=True)
class Parts:
    """What runs while the application does."""

    settings: Settings
    database: Database
    hub: LiveHub
    journal: Journal
    sessions: SessionWatch
    door: Door
    subscriptions: Subscriptions
    events: EventStreams
    http: GraphQLHttp
    websocket: GraphQLWebSocket
    stopping: bool = False


def token_keys(settings: Settings) -> TokenKeys:
    """The keys that sign and verify access tokens."""
    assert settings.token_private_key is not None
    return TokenKeys.from_settings(settings.token_private_key.get_secret_value(), settings.token_public_keys)


def access_tokens(settings: Settings) -> AccessTokens:
    """Issues and verifies access tokens."""
    lifetime = timedelta(seconds=settings.access_token_seconds)
    return AccessTokens(token_keys(settings), issuer=settings.public_url or ISSUER, lifetime=lifetime)


async def started(settings: Settings, stack: AsyncExitStack, fork_server: ForkServer | None = None) -> Parts:
    """The parts, running until the stack is unwound. `fork_server`: one that others use too."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    database = await stack.enter_async_context(
        Database.connected(settings.database_url, size=settings.database_pool_size)
    )
    # The longest life of a token that a revocation must outlast.
    longest = DEMO_TOKEN_LIFETIME.total_seconds() if settings.demo else settings.access_token_seconds
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
    journal = stack.enter_context(Journal.kept())
    operations = await _operations(
        settings, stack, database, fork_server or stack.enter_context(ForkServer()), journal
    )
    proxies = [ip_network(text, strict=False) for text in settings.trusted_proxies]
    door = Door(database, services, tokens, hub.is_revoked, proxies)
    lifetime = timedelta(seconds=settings.access_token_seconds)
    sessions = await stack.enter_async_context(SessionWatch.running(database, hub, lifetime))
    subscriptions = await stack.enter_async_context(
        Subscriptions.running(operations, hub, partial(_nobodys, database, services))
    )
    events = EventStreams(door, operations, subscriptions, sessions)
    origins = Origins(settings.cors_origins, settings.public_url)
    requests = Requests(origins, settings.max_body_bytes)
    return Parts(
        settings,
        database,
        hub,
        journal,
        sessions,
        door,
        subscriptions,
        events,
        GraphQLHttp(door, operations, events, requests, HTTPStatus(int(settings.validation_status))),
        GraphQLWebSocket(door, operations, subscriptions, sessions, origins),
    )


def _nobodys(database: Database, services: Services, language: str) -> Context:
    """The surroundings of what is answered to many."""
    return Context(database.session(), None, services, language)


async def _operations(
    settings: Settings,
    stack: AsyncExitStack,
    database: Database,
    fork_server: ForkServer,
    journal: Journal,
) -> Operations:
    assert settings.redis_url is not None
    quick = await stack.enter_async_context(Examiner.running(fork_server))
    patient = await stack.enter_async_context(Examiner.running(fork_server, idle=True))
    shared = await stack.enter_async_context(SharedTexts.connected(settings.redis_url))
    documents = Documents(
        quick,
        patient,
        PersistedDocuments(database, shared),
        mode=settings.documents,
        introspection=settings.serves_introspection,
    )
    budget = settings.budget
    budgets = (
        await stack.enter_async_context(Budgets.connected(settings.redis_url, budget)) if budget else None
    )
    allowed = Allowed(settings.cost_limit, settings.operation_seconds, settings.max_response_characters)
    return Operations(documents, allowed, budgets, journal)
