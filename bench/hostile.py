"""`python -m bench.hostile`: what others notice while hostile documents arrive.

Home pages of one viewer, at saturation and then at a steady rate, with and without 50 hostile documents a second
beside them, in turn. All limits are on; the viewer's budget is large, since one viewer asks for all. The last line
printed is one JSON object: the rate that is left, and how much longer the slowest percent takes.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.embedded import EmbeddedValkey
from app.logs import configure_logs
from app.parts import access_tokens
from app.settings import Settings
from bench.__main__ import settings
from bench.documents import HOME, request_bytes
from bench.load import Job, Outcome
from bench.network import filled
from bench.rounds import MANY, PACED
from bench.servers import CannotMeasure, Generator, Processes

RATE = 50
# The steady rate, as a part of the saturated one: what is measured is waiting behind others, not behind oneself.
PACE = 0.5


@dataclass
class Served:
    """What home pages got: requests a second and the 99th percentile (ms) of each round, and all latencies (ms)."""

    rates: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


class Hostile:
    """The process that sends hostile documents."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sent = 0
        self.statuses: Counter[str] = Counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.hostile_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def sending(self, seconds: float) -> Iterator[None]:
        """Send them during the block, which takes so long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"port": self._port, "rate": RATE, "seconds": seconds, "first": self._sent}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()
        self._sent += int(RATE * seconds)
        yield
        self.statuses.update(json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


async def main() -> None:
    """Fill, start, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--quick", action="store_true", help="whether it works at all: the figures mean nothing"
    )
    given = parser.parse_args()
    users, posts = (400, 6_000) if given.quick else (10_000, 300_000)
    if given.quick:
        given.rounds, given.seconds = 1, 0.5
    configure_logs(level="warning", json=False)
    async with filled(users, posts, 1, (96,), ("random",)) as network:
        with (
            tempfile.TemporaryDirectory(prefix="maydan-bench-") as folder,
            EmbeddedValkey(Path(folder)) as valkey,
        ):
            chosen = settings(network, valkey.url, Path(folder))
            viewer = network.viewers[96, "random"]
            token, _ = access_tokens(chosen).issue(viewer, 1, datetime.now(UTC), timedelta(hours=3))
            found = compare(given, chosen, Path(folder), request_bytes(HOME, {}, token))
    print(json.dumps(found))


def compare(given: argparse.Namespace, chosen: Settings, folder: Path, page: bytes) -> dict[str, object]:
    """Measure in turns; the ratios."""
    with Processes(chosen, folder) as processes, Generator() as generator:
        processes.python("sequencer", "app.worker").wait(page)
        server = processes.python("ours", "app.worker")
        server.wait(page)
        hostile = Hostile(server.port)

        def load(rate: float = 0.0, seed: int = 0) -> Outcome:
            connections = PACED if rate else MANY
            length = len(server.answer(page))
            job = Job(server.port, [[page.decode()]], length, connections, given.seconds, 1, rate, seed)
            return generator.run(job, "ours")

        load()
        alone, beside = Served(), Served()
        steady = PACE * rate_of(load())
        for number in range(given.rounds):
            for served, is_beside in ((alone, False), (beside, True)):
                for paced in (False, True):
                    if is_beside:
                        with hostile.sending(given.seconds):
                            outcome = load(steady if paced else 0.0, number)
                    else:
                        outcome = load(steady if paced else 0.0, number)
                    if paced:
                        served.latencies += outcome.latencies
                        served.slowest.append(percentile(outcome.latencies))
                    else:
                        served.rates.append(rate_of(outcome))
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
        hostile.end()
        server.answer(page)  # it still does
    return told(alone, beside, hostile.statuses, steady)


def rate_of(outcome: Outcome) -> float:
    """Requests in a second."""
    return outcome.requests / outcome.seconds


def percentile(latencies: list[float]) -> float:
    """The 99th, milliseconds."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]


def told(alone: Served, beside: Served, statuses: Counter[str], steady: float) -> dict[str, object]:
    """Print the table; what the last line says."""
    print(f"{'home pages':34} {'alone':>10} {'beside hostile ones':>20}")
    rates = statistics.median(alone.rates), statistics.median(beside.rates)
    print(f"{'requests/s at saturation':34} {rates[0]:10,.0f} {rates[1]:20,.0f}")
    slowest = statistics.median(alone.slowest), statistics.median(beside.slowest)
    middle = statistics.median(alone.latencies), statistics.median(beside.latencies)
    print(f"{f'p50 at {steady:,.0f} a second, ms':34} {middle[0]:10.1f} {middle[1]:20.1f}")
    print(f"{f'p99 at {steady:,.0f} a second, ms':34} {slowest[0]:10.1f} {slowest[1]:20.1f}")
    print(f"hostile documents, {RATE} a second: {dict(statuses)}")
    print("Medians of the rounds, each of one server process, all limits on.")
    return {
        "rate": round(rates[1] / rates[0], 3),
        "p99": round(slowest[1] / slowest[0], 2),
        "p99_ms": round(slowest[1], 1),
        "hostile": dict(statuses),
    }


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except CannotMeasure as error:
        sys.exit(f"bench: {error}")
