"""Those who come back with a cursor: one who missed a thousand events, and everybody at once."""

from statistics import median
from typing import Any

from bench.live.cast import AUTHORS, FOLLOWED
from bench.live.stage import Stage, Workers

# Sockets of one archivist, one after another, who missed all of it.
REPLAYS = 5
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


async def reconnect(stage: Stage) -> dict[str, Any]:
    """Part `reconnect`: seconds until five thousand sockets that come back at once are live again."""
    cast, count, missed = stage.cast, stage.scale.returning, stage.scale.missed
    each = missed * FOLLOWED // AUTHORS
    with stage.workers() as workers:
        stage.opens("watcher", workers.ours, cast.archivist, 1)
        opened = stage.opens("readers", workers.ours, cast.readers, count, patience=PATIENCE)
        stage.load.do("close", crowd="readers")
        _miss(stage, workers)
        before = await stage.spent(workers.ours)
        back = stage.opens(
            "readers",
            workers.ours,
            cast.readers,
            count,
            after=opened["cursor"],
            at_once=count,
            patience=PATIENCE,
        )
        spent = await stage.spent(workers.ours) - before
        # Each has all that it missed, and nothing twice.
        stage.load.do("reach", crowd="readers", events=count * each, patience=PATIENCE)
    print(
        f"{count:,} sockets came back at once after {missed:,} events, {each} of them for each: all live after "
        f"{back.seconds:.1f} s, {back['retried']} tried again "
        f"(without a cursor, few at a time: {opened.seconds:.1f} s)\n"
        f"  {spent.statements:,} SQL statements ({spent.statements / count:.1f} for each), worker "
        f"{spent.worker / back.seconds:.0%}, PostgreSQL {spent.postgres / back.seconds:.0%}, generator "
        f"{back.share:.0%}, late {back.late_p99:.1f} ms"
    )
    return {"reconnect_5000_s": round(back.seconds, 1), "reconnect_statements": spent.statements}


def _miss(stage: Stage, workers: Workers) -> None:
    """Write what is missed; until the worker has read all of it."""
    missed = stage.scale.missed
    stage.load.do("write", port=workers.beside.port, requests=stage.cast.crowd_posts, count=missed)
    stage.load.do("reach", crowd="watcher", events=missed, patience=PATIENCE)
