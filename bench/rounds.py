"""One interleaved run: all servers are up, one at a time is loaded, in rounds, each round in another order."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import cpu
from bench.load import Job, Outcome
from bench.scenario import Operation
from bench.servers import Generator, Server

# Connections of the measurement of CPU, the same for heavy operations, and those at saturation.
FEW, FEWEST, MANY = 4, 2, 16
# Connections that paced requests may use, and their rate as a part of the saturated one.
PACED, PACE = 64, 0.7
# How long each of the three is measured, as parts of --seconds.
SATURATED_PART, PACED_PART = 0.6, 1.5


def percentile_of(ordered: Sequence[float], percent: int, missing: int = 0) -> float | None:
    """A percentile of sorted values, and of so many more that never came: None when it is one of those, or nothing."""
    total = len(ordered) + missing
    at = min(total * percent // 100, total - 1)
    return ordered[at] if 0 <= at < len(ordered) else None


@dataclass
class Samples:
    """What was measured of one operation on one server, a value for each round; CPU in milliseconds a request."""

    api: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def api_ms(self) -> float:
        """CPU of the API process for each request, the median of the rounds."""
        return statistics.median(self.api)

    def percentile(self, percent: int) -> float | None:
        """A percentile of all latencies, None when none were measured."""
        return percentile_of(sorted(self.latencies), percent)


# By operation, then by server.
Results = dict[str, dict[str, Samples]]


@dataclass
class Run:
    """The servers by name, ours first, what to ask them, and for how long."""

    servers: Sequence[Server]
    operations: Sequence[Operation]
    generator: Generator
    postgres: cpu.PostgresCpu
    seconds: float
    seed: int

    def warm(self, seconds: float) -> None:
        """Have every server do everything for a while, so that plans are made and hot code is compiled."""
        for operation in self.operations:
            for server in self.answering(operation):
                connections, at_least = (FEWEST, 8) if operation.heavy else (MANY, 20)
                # Engines that compile while they run need longest where there is most to compile.
                longer = seconds * 2 if operation.paced else seconds
                self._load(server, operation, connections, longer, at_least=at_least)

    def measure(self, rounds: int, tell: Callable[[str], None]) -> Results:
        """The samples of all rounds."""
        results: Results = defaultdict(lambda: defaultdict(Samples))
        for number in range(rounds):
            for operation in self.operations:
                servers = self.answering(operation)
                turn = number % len(servers)
                for server in [*servers[turn:], *servers[:turn]]:
                    self._measure(server, operation, results[operation.name][server.name], number)
            tell(f"round {number + 1} of {rounds}")
        return results

    def answering(self, operation: Operation) -> list[Server]:
        """The servers that the operation is measured on."""
        return [server for server in self.servers if operation.everywhere or server.name in ("ours", "stock")]

    def _measure(self, server: Server, operation: Operation, samples: Samples, number: int) -> None:
        before = cpu.of_process(server.pid), self.postgres.read()
        outcome = self._load(server, operation, FEWEST if operation.heavy else FEW, self.seconds)
        after = cpu.of_process(server.pid), self.postgres.read()
        samples.api.append((after[0] - before[0]) * 1000 / outcome.requests)
        samples.postgres.append((after[1] - before[1]) * 1000 / outcome.requests)
        if not operation.heavy:
            outcome = self._load(server, operation, MANY, self.seconds * SATURATED_PART)
        rate = outcome.requests / outcome.seconds
        samples.rate.append(rate)
        samples.generator.append(outcome.cpu / outcome.seconds)
        if operation.paced:
            outcome = self._load(
                server, operation, PACED, self.seconds * PACED_PART, rate=rate * PACE, seed=self.seed + number
            )
            samples.latencies += outcome.latencies

    def _load(
        self,
        server: Server,
        operation: Operation,
        connections: int,
        seconds: float,
        *,
        at_least: int = 1,
        rate: float = 0.0,
        seed: int = 0,
    ) -> Outcome:
        length = len(server.answer(operation.first))
        job = Job(server.port, operation.requests, length, connections, seconds, at_least, rate, seed)
        return self.generator.run(job, f"{server.name}, {operation.name}")
