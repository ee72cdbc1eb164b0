"""How long after a post is answered its event is on the followers' sockets, at 20 posts a second."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.live.cast import AUTHORS, FOLLOWED
from bench.live.load import Done
from bench.live.stage import Spent, Stage
from bench.rounds import percentile_of
from bench.servers import Server

RATE = 20.0
# A run lasts so many times --seconds. The first posts of a worker are slower, and count nowhere.
LONG, WARM = 10, 3
# Seconds in which the last events must have come.
PATIENCE = 20.0


@dataclass(frozen=True)
class Run:
    """One run, and what the server used for it."""

    done: Done
    spent: Spent

    def percentile(self, since: str, percent: int) -> float | None:
        """Milliseconds since the post was `answered` or `sent`; None when fewer events than that came."""
        return percentile_of(self.done[since], percent, self.done["missing"])


async def latency(stage: Stage) -> dict[str, Any]:
    """Part `latency`: 50 followers for each author, then all subscribers following one; the first without Valkey, too.

    Medians of the rounds.
    """
    count = stage.scale.fans
    each = count * FOLLOWED // AUTHORS
    some, everybody, without = [], [], []
    print(f"{count:,} sockets, {RATE:g} posts/s")
    with stage.worker() as server:
        stage.opens("readers", server, stage.cast.readers, count)
        _run(stage, server, stage.cast.crowd_posts, each, WARM * stage.seconds, stage.seed)
        for number in range(stage.rounds):
            seed = stage.seed + number
            some.append(await _measured(stage, server, server, stage.cast.crowd_posts, each, seed))
            everybody.append(await _measured(stage, server, server, [stage.cast.star_posts], count, seed))
    with stage.workers(valkey=False) as workers:
        stage.opens("readers", workers.ours, stage.cast.readers, count)
        _run(stage, workers.beside, stage.cast.crowd_posts, each, WARM * stage.seconds, stage.seed)
        ours, beside = workers.ours, workers.beside
        for number in range(stage.rounds):
            seed = stage.seed + number
            without.append(await _measured(stage, ours, beside, stage.cast.crowd_posts, each, seed))
    print(
        "  subscribers of each   from the answer: p50 ms         p99 ms (of rounds)   from the request: p50     p99"
        "  posts refused  events missing  before the answer  worker  PostgreSQL  generator  late p99 ms"
    )
    print("one worker that takes the posts, numbers and delivers them")
    print(_line(each, some))
    print(_line(count, everybody))
    print(
        "one that holds the sockets, and without Valkey looks by itself for what another one takes and numbers"
    )
    print(_line(each, without))
    found = [_median(runs, percent) for runs in (some, everybody) for percent in (50, 99)]
    return {
        **dict(zip(("p50_ms", "p99_ms", "p50_all_ms", "p99_all_ms"), found, strict=True)),
        "p99_without_valkey_ms": _median(without, 99),
    }


def _run(stage: Stage, server: Server, requests: list[str], each: int, seconds: float, seed: int) -> Done:
    return stage.load.do(
        "pace",
        crowd="readers",
        port=server.port,
        requests=requests,
        rate=RATE,
        seconds=seconds,
        seed=seed,
        each=each,
        patience=PATIENCE,
    )


async def _measured(
    stage: Stage, server: Server, posting: Server, requests: list[str], each: int, seed: int
) -> Run:
    before = await stage.spent(server)
    done = _run(stage, posting, requests, each, LONG * stage.seconds, seed)
    return Run(done, await stage.spent(server) - before)


def _median(runs: list[Run], percent: int, since: str = "answered") -> float | None:
    """The median of the rounds; None when in half of them fewer events than that came."""
    found = median(
        float("inf") if value is None else value for value in (run.percentile(since, percent) for run in runs)
    )
    return None if found == float("inf") else round(found, 2)


def _line(each: int, runs: list[Run]) -> str:
    p50, p99 = _median(runs, 50), _median(runs, 99)
    rounds = f"({', '.join(_ms(run.percentile('answered', 99)) for run in runs)})"
    sent = [_median(runs, percent, "sent") for percent in (50, 99)]
    early = median(run.done["early"] / max(len(run.done["answered"]), 1) for run in runs)
    worker, postgres = (
        median(getattr(run.spent, name) / run.done.seconds for run in runs) for name in ("worker", "postgres")
    )
    return (
        f"  {each:19}  {_ms(p50):>24}  {_ms(p99):>9}  {rounds:30}"
        f"  {_ms(sent[0]):>6}  {_ms(sent[1]):>6}"
        f"  {sum(run.done['refused'] for run in runs):13,}  {sum(run.done['missing'] for run in runs):14,}"
        f"  {early:17.0%}  {worker:6.0%}  {postgres:10.0%}"
        f"  {median(run.done.share for run in runs):9.0%}  {median(run.done.late_p99 for run in runs):11.1f}"
    )


def _ms(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
