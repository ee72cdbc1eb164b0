"""Everybody comes back at once, each with a cursor and events that were missed."""

from statistics import median
from typing import Any

from bench.live.cast import AUTHORS, FOLLOWED
from bench.live.stage import Stage

# Sockets of one archivist, one after another, who missed all of it.
REPLAYS = 5
PATIENCE = 240.0


async def reconnect(stage: Stage) -> dict[str, Any]:
    """Part `reconnect`: seconds until all are live again, and milliseconds for one who missed a thousand events."""
    cast, count, missed = stage.cast, stage.scale.returning, stage.scale.missed
    with stage.workers() as workers:
        stage.opens("watcher", workers.ours, cast.archivist, 1)
        opened = stage.opens("readers", workers.ours, cast.readers, count, patience=PATIENCE)
        after = opened["cursor"]
        stage.load.do("close", crowd="readers")
        stage.load.do("write", port=workers.beside.port, requests=cast.crowd_posts, count=missed)
        # Until the worker has heard of all.
        stage.load.do("reach", crowd="watcher", events=missed, patience=PATIENCE)
        replays: list[float] = []
        for _ in range(REPLAYS):
            one = stage.opens("archivist", workers.ours, cast.archivist, 1, after=after)
            stage.load.do("reach", crowd="archivist", events=missed, patience=PATIENCE)
            stage.load.do("close", crowd="archivist")
            replays += one["replays"]
        before = await stage.spent(workers.ours)
        back = stage.opens(
            "readers", workers.ours, cast.readers, count, after=after, at_once=count, patience=PATIENCE
        )
        spent = await stage.spent(workers.ours) - before
        each = missed * FOLLOWED // AUTHORS
        stage.load.do("reach", crowd="readers", events=count * each, patience=PATIENCE)
    print(
        f"{count:,} sockets came back at once after {missed:,} events, {each} of them for each: all live after "
        f"{back.seconds:.1f} s, {back['retried']} tried again\n"
        f"  {spent.statements:,} SQL statements ({spent.statements / count:.1f} for each), worker "
        f"{spent.worker / back.seconds:.0%}, PostgreSQL {spent.postgres / back.seconds:.0%}, generator "
        f"{back.share:.0%}, late {back.late_p99:.1f} ms\n"
        f"  the same without a cursor, {opened.seconds:.1f} s; {missed:,} events to one socket: "
        f"{median(replays):.0f} ms ({min(replays):.0f} to {max(replays):.0f})"
    )
    return {
        "reconnect_5000_s": round(back.seconds, 1),
        "reconnect_statements": spent.statements,
        "replay_1000_ms": round(median(replays)),
    }
