"""One worker: serves the API on a socket that its parent opened, and ends with the parent.

A program of its own, started by app/serve.py: `python -m app.worker SOCKET_FD LIFELINE_FD`. The lifeline is a pipe
whose other end only the parent holds; when it ends, the parent is gone.
"""

import asyncio
import gc
import os
import signal
import socket
import sys

import uvicorn

from app.main import Maydan
from app.memory import trimmed
from app.protocols import HttpProtocol, SocketProtocol
from app.settings import Settings

# Seconds that a worker without a parent gets: the embedded database is going away at the same time.
ORPHAN_SECONDS = 2.0
# Largest WebSocket message, bytes: as the largest request body by default.
WS_MAX_BYTES = 262_144


# The collector looks for cycles when so many more objects were made than freed, of the youngest generation, and for
# the older ones so many times less often. An operation makes a few thousand objects and almost no cycles; at Python's
# 700 the collector takes a tenth of its time.
COLLECT_AFTER = (50_000, 20, 100)


class StreamingServer(uvicorn.Server):
    """uvicorn's server; streams of events, which have no end of their own, end when it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if isinstance(self.config.loaded_app, Maydan):
            self.config.loaded_app.stop()
        await super().shutdown(sockets)


class Server(StreamingServer):
    """The server of a worker; what was made until it is started stays, so the collector need not look at it again."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)


def config(settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the API; what differs from its defaults has a reason."""
    return uvicorn.Config(
        "app.main:create_app",
        factory=True,
        loop="uvloop",
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_per_message_deflate=False,  # an idle socket costs 55 KB with it, 20 KB without
        ws_max_size=WS_MAX_BYTES,
        ws_ping_interval=None,  # app/graphql_ws.py pings; twice would wake phones twice
        server_header=False,
        proxy_headers=False,  # TRUSTED_PROXIES decides, in the application
        access_log=False,  # one line per operation instead
        log_config=None,
        log_level=settings.log_level,
        lifespan="on",
        timeout_keep_alive=75,  # seconds; proxies and phones give up first, so no request meets a closing connection
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


async def serve(server: uvicorn.Server, listening: socket.socket, lifeline: int) -> None:
    """Serve until told to stop or until the parent is gone."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(lifeline)
        server.should_exit = server.force_exit = True
        loop.call_later(ORPHAN_SECONDS, os._exit, 1)

    loop.add_reader(lifeline, orphaned)
    async with trimmed():
        await server.serve(sockets=[listening])


def main() -> None:
    """The entry of `python -m app.worker`."""
    listening, lifeline = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl-C
    server = Server(config(Settings()))
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(serve(server, listening, lifeline))
    except KeyboardInterrupt:
        pass
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
