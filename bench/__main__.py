"""`python -m bench`: what an operation costs here, compared with stock Strawberry and with the same work by hand.

One run over one seeded network: every server is a process of its own, all are up, one at a time is loaded. --peers
adds servers on Node (bench/peers). The last line printed is one JSON object with
the ratios of API CPU for each request.
"""

import argparse
import asyncio
import base64
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from app.embedded import EmbeddedValkey
from app.logs import configure_logs
from app.parts import access_tokens
from app.settings import Settings
from bench import peers, report
from bench.cpu import PostgresCpu
from bench.documents import TYPENAME, request_bytes
from bench.network import Filled, filled
from bench.rounds import MANY, Run
from bench.sameness import check_data, check_statements
from bench.scenario import Viewer, operations, prepare
from bench.servers import CannotMeasure, Generator, Processes, Server


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often each server is measured (5)")
    parser.add_argument("--seconds", type=float, help="how long each measurement of CPU lasts (1)")
    parser.add_argument("--users", type=int, help="accounts of the network (10,000)")
    parser.add_argument("--posts", type=int, help="posts of the network (300,000)")
    parser.add_argument("--followed", type=int, default=96, help="accounts that the viewer follows (96)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the network and of the load (1)")
    parser.add_argument("--peers", action="store_true", help="compare with servers on Node as well")
    parser.add_argument(
        "--quick", action="store_true", help="whether it works at all: the figures mean nothing"
    )
    given = parser.parse_args()
    for name, usual, quick in (
        ("rounds", 5, 2),
        ("seconds", 1.0, 0.15),
        ("users", 10_000, 400),
        ("posts", 300_000, 6_000),
    ):
        if getattr(given, name) is None:
            setattr(given, name, quick if given.quick else usual)
    return given


def settings(network: Filled, redis_url: str, folder: Path) -> Settings:
    """How all servers are set: as in production, with secrets of this run."""
    return Settings(
        demo=False,
        database_url=network.dsn,
        redis_url=redis_url,
        maydan_data_dir=folder,
        secret_key=SecretStr(base64.b64encode(os.urandom(32)).decode()),
        token_private_key=SecretStr(base64.b64encode(os.urandom(32)).decode()),
        # One viewer asks for all; what it costs is counted and paid as always.
        cost_budget="900000000/60",
    )


async def main() -> None:
    """Fill, start, compare, measure, print."""
    given = arguments()
    configure_logs(level="warning", json=False)
    started = time.monotonic()
    async with filled(given.users, given.posts, given.seed, (given.followed,), ("random",)) as network:
        with (
            tempfile.TemporaryDirectory(prefix="maydan-bench-") as folder,
            EmbeddedValkey(Path(folder)) as valkey,
        ):
            found = await compare(given, network, settings(network, valkey.url, Path(folder)), Path(folder))
    print(f"{time.monotonic() - started:.0f} s in all")
    print(report.last_line(found))


async def compare(
    given: argparse.Namespace, network: Filled, chosen: Settings, folder: Path
) -> report.Ratios:
    """Measure and print the tables; the ratios."""
    viewer_id = network.viewers[given.followed, "random"]
    token, _ = access_tokens(chosen).issue(viewer_id, 1, datetime.now(UTC), timedelta(hours=3))
    hello = request_bytes(TYPENAME, {}, token)
    with Processes(chosen, folder) as processes, Generator() as generator:
        # One that nobody asks numbers the log, so that no server that is measured does it for another.
        processes.python("sequencer", "app.worker").wait(hello)
        servers: list[Server] = [
            processes.python("ours", "app.worker"),
            processes.python("stock", "bench.worker", "bench.stock:create_app"),
            processes.python("floor", "bench.worker", "bench.floor:create_app"),
        ]
        if given.peers:
            servers += peers.start(processes, chosen, folder)
        for server in servers:
            server.wait(hello)
        viewer = Viewer(servers[0], token)
        prepare(viewer)
        asked = operations(viewer, token, MANY)
        run = Run(servers, asked, generator, PostgresCpu(network.backend_pid), given.seconds, given.seed)
        for operation in asked:
            if operation.name != "mutation":
                check_data(run.answering(operation), operation)
        names = await check_statements(servers, asked[0], network.meter)
        print(f"a home page is {len(names)} statements: {', '.join(names)}")
        run.warm(given.seconds)
        print(f"load on this machine before the first round: {os.getloadavg()[0]:.2f}", flush=True)
        results = run.measure(given.rounds, lambda text: print(text, file=sys.stderr, flush=True))
        check_data(run.answering(asked[0]), asked[0])
    for operation in asked:
        print("\n".join(["", *report.table(operation, results[operation.name])]))
    print("\n".join(["", *report.notes(given.seconds)]))
    return report.ratios(results, asked)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except CannotMeasure as error:
        sys.exit(f"bench: {error}")
