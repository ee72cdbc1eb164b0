"""For operators and load balancers: is it alive, is it ready, what are its numbers."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import metrics
from app.migrations import migrations
from app.parts import Parts
from dataloaders.database import DatabaseUnavailable, MissingTable
from dataloaders.migrations import applied_migrations

Handler = Callable[[Request], Awaitable[Response]]


async def alive(_: Request) -> Response:
    """/healthz: the process answers."""
    return JSONResponse({"status": "ok"})


def ready(parts_of: Callable[[], Parts]) -> Handler:
    """/readyz: 200 when requests can be served. Without Valkey it is degraded, and still 200: nothing is lost."""

    async def handler(_: Request) -> Response:
        parts = parts_of()
        checks = {
            "database": await _database(parts),
            "bus": "ok" if parts.hub.bus_is_up else "unreachable",
            "stopping": parts.stopping,
        }
        serves = checks["database"] == "ok" and not parts.stopping
        status = "unavailable" if not serves else "ok" if parts.hub.bus_is_up else "degraded"
        return JSONResponse({"status": status, **checks}, status_code=200 if serves else 503)

    return handler


async def _database(parts: Parts) -> str:
    try:
        async with parts.database.opened() as session, session.turn() as db:
            applied = await applied_migrations(db)
    except DatabaseUnavailable:
        return "unreachable"
    except MissingTable:
        applied = set()
    missing = {migration.version for migration in migrations()} - applied
    return "ok" if not missing else "migrations are missing: run 'python -m app migrate'"


def numbers(parts_of: Callable[[], Parts]) -> Handler:
    """/metrics, for Prometheus."""

    async def handler(_: Request) -> Response:
        metrics.TASKS.set(len(asyncio.all_tasks()))
        parts_of().journal.write()
        body, content_type = metrics.render()
        return Response(body, headers={"content-type": content_type})

    return handler
