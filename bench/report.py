"""How a comparison is printed: a table for each operation, and the ratios as one JSON object."""

import json
import statistics
from collections.abc import Iterator, Sequence

from bench.rounds import PACE, Results, Samples
from bench.scenario import PAGES, Operation

Ratios = dict[str, dict[str, float] | float]


def table(operation: Operation, samples: dict[str, Samples]) -> Iterator[str]:
    """The lines of one operation's table."""
    yield f"{operation.name}: {operation.about}"
    yield (
        f"  {'server':17}  API CPU ms  PostgreSQL ms  requests/s   p50 ms   p99 ms  generator"
        "  ours / it (lowest to highest round)"
    )
    ours = samples["ours"]
    for name, found in samples.items():
        rounds = [mine / other for mine, other in zip(ours.api, found.api, strict=True) if other]
        ratio = f"{quotient(ours, found):.3f} ({min(rounds):.3f} to {max(rounds):.3f})" if rounds else "-"
        yield (
            f"  {name:17}  {found.api_ms:10.3f}  {statistics.median(found.postgres):13.3f}"
            f"  {statistics.median(found.rate):10,.0f}  {_ms(found.percentile(50))}  {_ms(found.percentile(99))}"
            f"  {statistics.median(found.generator):8.0%} "
            f"  {'' if found is ours else ratio}"
        )


def notes(seconds: float) -> Iterator[str]:
    """What the columns mean."""
    yield (
        "API CPU: user and system of the server's process for each request; medians of the rounds, each of "
        f"{seconds:g} s with 4 connections (lists of posts: 2)."
    )
    yield (
        "requests/s: 16 connections that never pause (lists of posts: 2). "
        f"p50, p99: requests at random moments at {PACE:.0%} of that rate, from when they were due."
    )
    yield "generator: what the load generator itself used of one core at that rate."


def quotient(ours: Samples, other: Samples) -> float:
    """Our API's CPU for each request divided by the other's; of medians. 0 when the other was too short to tell."""
    return ours.api_ms / other.api_ms if other.api_ms else 0.0


def ratios(results: Results, operations: Sequence[Operation]) -> Ratios:
    """Ours divided by each other server, by operation; and whether ten pages cost ten times as much as one."""
    found: Ratios = {}
    for operation in operations:
        samples = results[operation.name]
        found[operation.name] = {
            name: round(quotient(samples["ours"], other), 3)
            for name, other in samples.items()
            if name != "ours"
        }
    ten, one = results["posts_1000"]["ours"].api_ms, results["posts_100"]["ours"].api_ms
    found["linearity"] = round(ten / one / PAGES, 3) if one else 0.0
    return found


def last_line(found: Ratios) -> str:
    """The ratios as one line of JSON."""
    return json.dumps(found)


def _ms(value: float | None) -> str:
    return f"{'':7}" if value is None else f"{value:7.2f}"
