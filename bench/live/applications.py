"""What the ASGI applications of this benchmark have in common beside what they are measured for."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.worker import COLLECT_AFTER

PUBLISH = "/publish"


@asynccontextmanager
async def _as_a_worker(_: Starlette) -> AsyncIterator[None]:
    # As app/worker.py has it for ours.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    yield


def application(publish: Callable[[bytes], Awaitable[None]], *routes: BaseRoute) -> Starlette:
    """With its routes, and one to which the data of an event is posted that goes to every subscriber."""

    async def published(request: Request) -> Response:
        await publish(await request.body())
        return JSONResponse({"data": "published"})

    return Starlette(routes=[Route(PUBLISH, published, methods=["POST"]), *routes], lifespan=_as_a_worker)
