"""The yardstick: an event is encoded once and sent to each socket as a text frame, straight through ASGI."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from bench.live.applications import application
from bench.live.frames import ID

_subscribers: set[Send] = set()


def _message(payload: str) -> dict[str, str]:
    return {
        "type": "websocket.send",
        "text": f'{{"id":"{ID}","type":"next","payload":{{"data":{payload}}}}}',
    }


class Sockets:
    """The ASGI application behind the sockets: it knows the order of a client's messages and reads none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        await receive()  # connection_init
        await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
        await receive()  # subscribe
        caught_up = '{"homeTimelineEvents":{"__typename":"LiveCaughtUp","liveCursor":""}}'
        await send(_message(caught_up))
        _subscribers.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            _subscribers.discard(send)


async def _publish(data: bytes) -> None:
    message = _message(data.decode())
    for send in _subscribers.copy():
        await send(message)


async def _hello(_: Request) -> Response:
    return JSONResponse({"data": {"__typename": "Query"}})


def create_app() -> Starlette:
    """The ASGI application."""
    return application(
        _publish, Route("/graphql", _hello, methods=["POST"]), WebSocketRoute("/graphql", Sockets())
    )
