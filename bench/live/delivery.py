"""What one event costs for each subscriber, beside stock Strawberry, graphql-ws on Node and the bare floor."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.live.documents import EVENTS, MARK, TEXT, VIEWER_EVENTS
from bench.live.stage import OTHERS, Stage
from bench.servers import CannotMeasure, Server

# Events before anything is measured: plans are made, hot code is compiled, Node's above all.
WARM = 20
# Bytes of a message by which the contestants' may differ: cursors of ours grow with their numbers.
TOLERATED = 4
# Statements are counted over so many events at least, and for so many times --seconds.
COUNTED, LONG = 3, 2


@dataclass
class Costs:
    """Of one contestant, a value for each round: microseconds of CPU for each delivery and event, events a second."""

    api: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Contestant:
    """A server, where its events are posted, and the request that does so."""

    server: Server
    port: int
    request: str
    beside: Server | None = None


async def delivery(stage: Stage) -> dict[str, Any]:
    """Part `delivery`: the selection without what depends on the viewer."""
    found = await _compared(stage, EVENTS, everybody=True)
    print("\n".join(_table("events without viewer fields", stage, found)))
    return {"delivery_us": round(median(found["ours"].api), 1)} | {
        name: _ratio(found, name) for name in OTHERS
    }


async def viewer_delivery(stage: Stage) -> dict[str, Any]:
    """Part `viewer`: with viewerHasLiked and viewerIsFollowing, and the statements by number of subscribers."""
    found = await _compared(stage, VIEWER_EVENTS, everybody=False)
    print("\n".join(_table("events with viewerHasLiked and viewerIsFollowing", stage, found)))
    few, many = [await _statements(stage, count) for count in (stage.scale.few, stage.scale.fans)]
    print(
        f"  SQL statements for each event: {few} with {stage.scale.few} subscribers, {many} with {stage.scale.fans}"
    )
    return {
        "delivery_viewer_us": round(median(found["ours"].api), 1),
        "floor_viewer": _ratio(found, "floor"),
        "statements_100": few,
        "statements_1000": many,
    }


async def _compared(stage: Stage, document: str, *, everybody: bool) -> dict[str, Costs]:
    """Every contestant's costs, measured in rounds, each round beginning with another one."""
    count = stage.scale.fans
    with stage.workers() as workers:
        stage.opens("ours", workers.ours, stage.cast.readers, count, document=document)
        stage.delivers("ours", workers.beside.port, stage.cast.star_posts, events=WARM)
        expected = stage.sample("ours")
        request = _publishing(expected["payload"]["data"])
        contestants = [Contestant(workers.ours, workers.beside.port, stage.cast.star_posts, workers.beside)]
        for server in stage.others(workers.processes):
            if everybody or server.name == "floor":
                stage.opens(server.name, server, stage.cast.readers, count, document=document)
                contestants.append(Contestant(server, server.port, request))
                stage.delivers(server.name, server.port, request, events=WARM)
                _check(server.name, stage.sample(server.name), expected)
        found = {contestant.server.name: Costs() for contestant in contestants}
        for number in range(stage.rounds):
            turn = number % len(contestants)
            for contestant in [*contestants[turn:], *contestants[:turn]]:
                name = contestant.server.name
                await _measure(stage, contestant, count, found[name])
                if contestant.server is not workers.ours:
                    _check(name, stage.sample(name), expected)
        sizes = {name: max(costs.bytes) for name, costs in found.items()}
        if max(sizes.values()) - min(min(costs.bytes) for costs in found.values()) > TOLERATED:
            raise CannotMeasure(f"messages differ in length: {sizes}")
        for name in found:
            stage.load.do("close", crowd=name)
    return found


async def _measure(stage: Stage, contestant: Contestant, count: int, costs: Costs) -> None:
    before = await stage.spent(contestant.server, contestant.beside)
    done = stage.delivers(
        contestant.server.name, contestant.port, contestant.request, seconds=stage.seconds, events=2
    )
    spent = await stage.spent(contestant.server, contestant.beside) - before
    events = done["events"]
    costs.api.append(spent.worker * 1e6 / events / count)
    costs.beside.append(spent.beside * 1e6 / events)
    costs.postgres.append(spent.postgres * 1e6 / events)
    costs.rate.append(events / done.seconds)
    costs.generator.append(done.share)
    costs.late.append(done.late_p99)
    costs.bytes.append(done["bytes"])


async def _statements(stage: Stage, count: int) -> float:
    """How many statements the worker sends for an event with so many subscribers, what it sends anyway left out."""
    with stage.workers() as workers:
        stage.opens("fans", workers.ours, stage.cast.readers, count, document=VIEWER_EVENTS)
        stage.delivers("fans", workers.beside.port, stage.cast.star_posts, events=WARM)
        seconds = LONG * stage.seconds
        idle = await stage.idling(seconds, workers.ours)
        before = await stage.spent(workers.ours)
        done = stage.delivers(
            "fans", workers.beside.port, stage.cast.star_posts, seconds=seconds, events=COUNTED
        )
        spent = await stage.spent(workers.ours) - before
        stage.load.do("close", crowd="fans")
    anyway = idle.statements / seconds * done.seconds
    events: int = done["events"]
    return round(max(spent.statements - anyway, 0.0) / events, 1)


def _ratio(found: dict[str, Costs], name: str) -> float | None:
    return round(median(found["ours"].api) / median(found[name].api), 3) if name in found else None


def _publishing(data: dict[str, Any]) -> str:
    """The request that has the other servers send this event."""
    data = json.loads(json.dumps(data))
    data["homeTimelineEvents"]["edge"]["node"]["post"]["text"] = TEXT
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return (
        "POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
    )


def _check(name: str, message: dict[str, Any], expected: dict[str, Any]) -> None:
    """That a contestant sends the same message, but for the number in the text. Raises CannotMeasure."""

    def unnumbered(message: dict[str, Any]) -> dict[str, Any]:
        copy: dict[str, Any] = json.loads(json.dumps(message))
        post = copy["payload"]["data"]["homeTimelineEvents"]["edge"]["node"]["post"]
        post["text"] = post["text"][len(MARK) :]
        return copy

    if unnumbered(message) != unnumbered(expected):
        raise CannotMeasure(f"{name} sends another event:\n{json.dumps(message)}\n{json.dumps(expected)}")


def _table(title: str, stage: Stage, found: dict[str, Costs]) -> Iterator[str]:
    yield f"{title}, {stage.scale.fans:,} subscribers who all follow the author"
    yield (
        "  server     API us a delivery (lowest to highest round)  events/s  PostgreSQL us/event  posting us/event"
        "  bytes  generator  late ms  ours / it"
    )
    ours = median(found["ours"].api)
    for name, costs in found.items():
        api = median(costs.api)
        yield (
            f"  {name:9}  {api:17.1f} ({min(costs.api):.1f} to {max(costs.api):.1f})".ljust(56)
            + f"{median(costs.rate):8.1f}  {median(costs.postgres):19,.0f}  {median(costs.beside):16,.0f}"
            f"  {median(costs.bytes):5.0f}  {median(costs.generator):8.0%}  {median(costs.late):7.1f}"
            + ("" if name == "ours" else f"  {ours / api:9.3f}")
        )
