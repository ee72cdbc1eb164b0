"""`python -m bench.live`: what live events cost, how late they come, and how many sockets one worker holds.

One run over one small network. Servers are processes of their own; the load generator is another, and every table says
what it used itself. The last line printed is one JSON object.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from app.embedded import EmbeddedValkey
from app.logs import configure_logs
from app.parts import access_tokens
from bench.__main__ import settings
from bench.cpu import PostgresCpu
from bench.live.cast import QUICK, Scale, cast
from bench.live.delivery import delivery, viewer_delivery
from bench.live.idle import idle
from bench.live.latency import latency
from bench.live.load import Load
from bench.live.memory import memory, sockets
from bench.live.reconnect import night, reconnect, replay
from bench.live.stage import OTHERS, Stage, Statements
from bench.network import filled
from bench.servers import CannotMeasure

Part = Callable[[Stage], Awaitable[dict[str, Any]]]
# Each part, and what it adds to the last line: null where it could not be measured.
PARTS: dict[str, tuple[Part, tuple[str, ...]]] = {
    "delivery": (delivery, ("delivery_us", "floor", "stock", "node")),
    "viewer": (viewer_delivery, ("delivery_viewer_us", "floor_viewer", "statements_100", "statements_1000")),
    "latency": (latency, ("p50_ms", "p99_ms", "p50_all_ms", "p99_all_ms", "p99_without_valkey_ms")),
    "idle": (idle, ("idle_cost",)),
    "memory": (memory, ("kb_per_socket", "bytes_per_followed", "bytes_per_followed_alone")),
    "sockets": (sockets, ("sockets",)),
    "replay": (replay, ("replay_1000_ms", "replay_1000_postgres_ms")),
    "reconnect": (reconnect, ("reconnect_5000_s", "reconnect_statements")),
    # The last one: it fills the log.
    "night": (night, ("replay_night_ms",)),
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--only", help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument(
        "--beside", default=",".join(OTHERS), help=f"whom ours is compared with ({','.join(OTHERS)})"
    )
    parser.add_argument("--rounds", type=int, help="how often each server is measured (5)")
    parser.add_argument("--seconds", type=float, help="how long each measurement of CPU lasts (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the network and of the load (1)")
    parser.add_argument(
        "--quick", action="store_true", help="whether it works at all: the figures mean nothing"
    )
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.seconds = given.seconds or (0.15 if given.quick else 1.0)
    given.parts = given.only.split(",") if given.only else list(PARTS)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return given


def open_files() -> int:
    """Raise the limit of open files as far as it goes, here and in what is started from here; the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Some systems have no end, and take no larger number than this.
    most = 1_000_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def scale(*, quick: bool, files: int) -> Scale:
    """How many of everybody, within the limit of open files."""
    if quick:
        return QUICK
    most = min(Scale.most, files - 500)
    return Scale(most=most, idle=min(Scale.idle, most - Scale.fans))


async def main() -> bool:
    """Fill, measure part after part, print; whether all could be measured."""
    given = arguments()
    files = open_files()
    configure_logs(level="warning", json=False)
    started = time.monotonic()
    print(f"{datetime.now(UTC):%d %B %Y %H:%M} UTC, {machine()}, limit of open files {files:,}", flush=True)
    found: dict[str, Any] = {}
    whole = True
    users, posts = (200, 1_000) if given.quick else (2_000, 20_000)
    async with filled(users, posts, given.seed, (96,), ("random",)) as network:
        with (
            tempfile.TemporaryDirectory(prefix="maydan-bench-") as folder,
            EmbeddedValkey(Path(folder)) as valkey,
            Load() as load,
        ):
            chosen = settings(network, valkey.url, Path(folder))
            size = scale(quick=given.quick, files=files)
            people = await cast(network.dsn, access_tokens(chosen), Path(folder), size)
            superuser = await asyncpg.connect(
                network.dsn.replace("//maydan@", "//postgres@", 1).replace("/maydan?", "/postgres?", 1)
            )
            try:
                stage = Stage(
                    chosen,
                    Path(folder),
                    people,
                    size,
                    load,
                    PostgresCpu(network.backend_pid),
                    Statements(superuser),
                    given.rounds,
                    given.seconds,
                    given.seed,
                    given.beside.split(","),
                )
                for part in given.parts:
                    began = time.monotonic()
                    print(f"\n{part}; load on this machine before it: {os.getloadavg()[0]:.2f}", flush=True)
                    measure, names = PARTS[part]
                    found |= dict.fromkeys(names)
                    try:
                        found |= await measure(stage)
                    except CannotMeasure as error:
                        if given.quick:
                            raise
                        print(f"  not measured: {error}")
                        whole = False
                    print(f"  {time.monotonic() - began:.0f} s", flush=True)
            finally:
                await superuser.close()
    print(f"\n{time.monotonic() - started:.0f} s in all")
    print(json.dumps(found))
    return whole


def machine() -> str:
    """What this ran on."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores ({name}), {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    try:
        sys.exit(0 if asyncio.run(main()) else 1)
    except CannotMeasure as error:
        sys.exit(f"bench: {error}")
