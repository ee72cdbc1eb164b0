"""Those who come back with a cursor: one who missed a thousand events, just now or in a day, and everybody."""

from statistics import median
from typing import Any

from bench.live.cast import AUTHORS, FOLLOWED, MANY
from bench.live.day import fill_day
from bench.live.documents import TEXT
from bench.live.load import Done
from bench.live.stage import SETTLE, Spent, Stage, Workers

# Sockets of one archivist, one after another, who missed all of it.
REPLAYS = 5
# More of those who read from PostgreSQL, on its ten connections: plans of statements are others from the sixth time on.
NIGHTS = 60
# Seconds; the aim is 20.
PATIENCE = 120.0


async def replay(stage: Stage) -> dict[str, Any]:
    """Part `replay`: milliseconds from subscribe until one socket has a thousand missed events and is live.

    From the worker's memory, and from PostgreSQL by workers that were started after the events.
    """
    with stage.workers() as workers:
        watching = stage.opens("watcher", workers.ours, stage.cast.archivist, 1)
        _miss(stage, workers)
        memory = _replayed(stage, workers, watching["cursor"])
        stage.load.do("close", crowd="watcher")
    with stage.workers() as workers:
        postgres = _replayed(stage, workers, watching["cursor"])
    for where, times in (("the worker's memory", memory), ("PostgreSQL", postgres)):
        print(
            f"{stage.scale.missed:,} events to one socket from {where}: {median(times):.0f} ms "
            f"({min(times):.0f} to {max(times):.0f})"
        )
    return {"replay_1000_ms": round(median(memory)), "replay_1000_postgres_ms": round(median(postgres))}


def _replayed(stage: Stage, workers: Workers, cursor: str) -> list[float]:
    times = []
    for _ in range(REPLAYS):
        one = stage.opens("archivist", workers.ours, stage.cast.archivist, 1, after=cursor)
        stage.load.do("reach", crowd="archivist", events=stage.scale.missed, patience=PATIENCE)
        stage.load.do("close", crowd="archivist")
        times += one["replays"]
    return times


async def night(stage: Stage) -> dict[str, Any]:
    """Part `night`: the same, of all the events of a busy day. The worker has them not in memory, PostgreSQL has."""
    scale, url = stage.scale, stage.settings.database_url
    assert url is not None
    cursor = await fill_day(url, stage.cast.sleeper, scale.day, scale.missed, TEXT)
    times, costs = [], []
    with stage.workers() as workers:
        for _ in range(NIGHTS):
            before = await stage.spent(workers.ours)
            one = stage.opens("sleeper", workers.ours, stage.cast.fives, 1, after=cursor)
            stage.load.do("reach", crowd="sleeper", events=scale.missed, patience=PATIENCE)
            costs.append(await stage.spent(workers.ours) - before)
            stage.load.do("close", crowd="sleeper")
            times += one["replays"]
    worker, postgres = (
        median(getattr(cost, name) for cost in costs) * 1000 for name in ("worker", "postgres")
    )
    print(
        f"{scale.missed:,} events of {scale.day:,} in the log to one socket, whose account follows {MANY}: "
        f"{median(times):.0f} ms (first {times[0]:.0f}, {min(times):.0f} to {max(times):.0f}), "
        f"{median(cost.statements for cost in costs):.0f} SQL statements; of CPU the worker {worker:.0f} ms, "
        f"PostgreSQL {postgres:.0f} ms"
    )
    return {"replay_night_ms": round(median(times))}


async def reconnect(stage: Stage) -> dict[str, Any]:
    """Part `reconnect`: seconds until five thousand sockets of two workers that come back at once are live again."""
    cast, count, missed = stage.cast, stage.scale.returning, stage.scale.missed
    each = missed * FOLLOWED // AUTHORS
    with stage.workers() as workers:
        stage.opens("watcher", workers.ours, cast.archivist, 1)
        opened = stage.opens(
            "readers", workers.ours, cast.readers, count, also=workers.beside, patience=PATIENCE
        )
        stage.load.do("close", crowd="readers")
        _miss(stage, workers)
        rounds = [await _comes_back(stage, workers, opened["cursor"], each) for _ in range(stage.rounds)]
    # The round in the middle.
    back, spent = sorted(rounds, key=lambda one: one[0].seconds)[len(rounds) // 2]
    fastest, slowest = min(one.seconds for one, _ in rounds), max(one.seconds for one, _ in rounds)
    each_statements = 2 * spent.statements / count
    print(
        f"{count:,} sockets of two workers came back at once after {missed:,} events, {each} of them for each: all "
        f"live after {back.seconds:.1f} s ({fastest:.1f} to {slowest:.1f}), {back['retried']} tried again "
        f"(without a cursor, few at a time: {opened.seconds:.1f} s)\n"
        f"  {each_statements:.1f} SQL statements for each, workers {spent.worker / back.seconds:.0%} and "
        f"{spent.beside / back.seconds:.0%}, PostgreSQL {spent.postgres / back.seconds:.0%}, generator "
        f"{back.share:.0%}, late {back.late_p99:.1f} ms"
    )
    return {"reconnect_5000_s": round(back.seconds, 1), "reconnect_statements": round(each_statements, 1)}


async def _comes_back(stage: Stage, workers: Workers, cursor: str, each: int) -> tuple[Done, Spent]:
    """Everybody at once, with this cursor; each has all that it missed, and nothing twice. Then all go again.

    Of the statements those of one of the workers are counted, which has half of the sockets.
    """
    count = stage.scale.returning
    await stage.idling(SETTLE, workers.ours)
    before = await stage.spent(workers.ours, workers.beside)
    back = stage.opens(
        "readers",
        workers.ours,
        stage.cast.readers,
        count,
        after=cursor,
        also=workers.beside,
        at_once=count,
        patience=PATIENCE,
    )
    spent = await stage.spent(workers.ours, workers.beside) - before
    stage.load.do("reach", crowd="readers", events=count * each, patience=PATIENCE)
    stage.load.do("close", crowd="readers")
    return back, spent


def _miss(stage: Stage, workers: Workers) -> None:
    """Write what is missed; until the worker has read all of it."""
    missed = stage.scale.missed
    stage.load.do("write", port=workers.beside.port, requests=stage.cast.crowd_posts, count=missed)
    stage.load.do("reach", crowd="watcher", events=missed, patience=PATIENCE)
