"""Serves an ASGI application of the benchmark exactly as app/worker.py serves the API.

`python -m bench.worker bench.floor:create_app SOCKET_FD LIFELINE_FD`; it ends when the lifeline does.
"""

import asyncio
import socket
import sys

import uvicorn

from app import worker
from app.settings import Settings


def main() -> None:
    """The entry."""
    config = worker.config(Settings())
    config.app = sys.argv[1]
    server = uvicorn.Server(config)
    listening, lifeline = socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3])
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(worker.serve(server, listening, lifeline))


if __name__ == "__main__":
    main()
