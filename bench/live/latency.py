"""How long after a post is answered its event is on the followers' sockets, at 20 posts a second."""

from typing import Any

from bench.live.cast import AUTHORS, FOLLOWED
from bench.live.load import Done
from bench.live.stage import Stage
from bench.rounds import percentile_of
from bench.servers import Server

RATE = 20.0
# A run lasts so many times --seconds. The first posts of a worker are slower, and count nowhere.
LONG, WARM = 15, 3
# Seconds in which the last events must have come.
PATIENCE = 20.0


async def latency(stage: Stage) -> dict[str, Any]:
    """Part `latency`: 50 followers for each author; all subscribers following one; the first again without Valkey."""
    count = stage.scale.fans
    each = count * FOLLOWED // AUTHORS
    with stage.worker() as server:
        stage.opens("readers", server, stage.cast.readers, count)
        print(
            f"one worker that takes the posts, numbers and delivers them; {count:,} sockets, {RATE:g} posts/s"
        )
        print(
            "  subscribers of each   from the answer: p50 ms     p99 ms    from the request: p50     p99"
            "  posts refused  events missing  worker  PostgreSQL  generator  late p99 ms"
        )
        _run(stage, server, stage.cast.crowd_posts, each, WARM * stage.seconds)
        some = await _measured(stage, server, stage.cast.crowd_posts, each)
        everybody = await _measured(stage, server, [stage.cast.star_posts], count)
    with stage.workers(valkey=False) as workers:
        stage.opens("readers", workers.ours, stage.cast.readers, count)
        print("two workers without Valkey: the one that holds the sockets looks into PostgreSQL by itself")
        _run(stage, workers.beside, stage.cast.crowd_posts, each, WARM * stage.seconds)
        without = await _measured(stage, workers.beside, stage.cast.crowd_posts, each)
    return {
        "p50_ms": some[0],
        "p99_ms": some[1],
        "p50_all_ms": everybody[0],
        "p99_all_ms": everybody[1],
        "p99_without_valkey_ms": without[1],
    }


def _run(stage: Stage, server: Server, requests: list[str], each: int, seconds: float) -> Done:
    return stage.load.do(
        "pace",
        crowd="readers",
        port=server.port,
        requests=requests,
        rate=RATE,
        seconds=seconds,
        seed=stage.seed,
        each=each,
        patience=PATIENCE,
    )


async def _measured(
    stage: Stage, server: Server, requests: list[str], each: int
) -> tuple[float | None, float | None]:
    """A line of the table; its p50 and p99, None when more events than that did not come."""
    before = await stage.spent(server)
    done = _run(stage, server, requests, each, LONG * stage.seconds)
    spent = await stage.spent(server) - before
    p50, p99 = (percentile_of(done["answered"], percent, done["missing"]) for percent in (50, 99))
    sent = [percentile_of(done["sent"], percent, done["missing"]) for percent in (50, 99)]
    print(
        f"  {each:19}  {_ms(p50):>24}  {_ms(p99):>9}  {_ms(sent[0]):>23}  {_ms(sent[1]):>6}  {done['refused']:13,}"
        f"  {done['missing']:14,}"
        f"  {spent.worker / done.seconds:6.0%}  {spent.postgres / done.seconds:10.0%}  {done.share:9.0%}"
        f"  {done.late_p99:11.1f}",
        flush=True,
    )
    return p50, p99


def _ms(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
