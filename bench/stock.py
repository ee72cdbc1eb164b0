"""Stock Strawberry over the same types, resolvers and loaders: its own view, its default executor, its caches."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.extensions.base_extension import SchemaExtension

from app.logs import configure_logs
from app.parts import Parts, started
from app.settings import Settings
from resolvers.context import Context
from schema.build import schema as ours


class _GivesBack(SchemaExtension):
    """Gives the operation's connection back."""

    async def on_operation(self) -> AsyncIterator[None]:
        yield
        await self.execution_context.context.db.close()


def stock_schema() -> strawberry.Schema:
    """Our schema's types in a schema of Strawberry's, with its default executor and its caches."""
    return strawberry.Schema(
        query=ours.query,
        mutation=ours.mutation,
        subscription=ours.subscription,
        types=_other_types(),
        config=ours.config,
        extensions=[_GivesBack, ParserCache, ValidationCache],
    )


def _other_types() -> list[Any]:
    """What is reached through unions and interfaces only."""
    from schema import live

    return [
        live.TimelineEntryAdded,
        live.TimelinePostUpdated,
        live.TimelineEntryRemoved,
        live.LiveCaughtUp,
        live.LiveReset,
    ]


class View(GraphQL[Context, None]):
    """Strawberry's view, with the context that the app's own door makes."""

    parts: Parts

    async def get_context(self, request: Any, response: Any) -> Context:
        """A fresh context, as app/graphql_http.py and app/operations.py make it."""
        assert isinstance(request, Request)
        door = self.parts.door
        peer = request.client.host if request.client else None
        viewer = door.viewer(request.headers.get("authorization"))
        context = door.context(viewer, request.headers, peer)
        # What ours tells from the document: these statements are to be the same.
        body = await request.body()
        context.reads_marks = b"viewerHas" in body
        if b"liveCursor" in body:
            await context.position()
        return context


def create_app() -> Starlette:
    """The ASGI application; settings come from the environment."""
    settings = Settings()
    configure_logs(level="warning", json=True)
    view = View(stock_schema(), graphql_ide=None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            view.parts = await started(settings, stack)
            yield

    return Starlette(routes=[Route("/graphql", view)], lifespan=lifespan)
