"""Whether sockets that an event does not concern cost anything when it happens."""

from statistics import median
from typing import Any

from bench.live.stage import SETTLE, Stage, Workers

# Microseconds of CPU for each event, in so many windows.
WINDOWS = 5
WARM = 5


async def idle(stage: Stage) -> dict[str, Any]:
    """Part `idle`: the CPU of an event with ten thousand idle sockets, divided by that without them."""
    few, many = stage.scale.few, stage.scale.idle
    with stage.workers() as workers:
        stage.opens("fans", workers.ours, stage.cast.readers, few)
        stage.delivers("fans", workers.beside.port, stage.cast.star_posts, events=WARM)
        before, background = await _cost(stage, workers)
        # The first readers follow the star, these do not.
        opened = stage.opens(
            "idle", workers.ours, stage.cast.readers, many, first=stage.scale.fans, patience=240
        )
        await stage.idling(SETTLE, workers.ours)
        beside, idling = await _cost(stage, workers)
        stage.load.do("close", crowd="idle")
        await stage.idling(SETTLE, workers.ours)
        # Again without them: what the machine does differently by then is in both.
        after, _ = await _cost(stage, workers)
        alone = (before + after) / 2
    print(
        f"an event for {few} subscribers, API us: {alone:,.0f} without idle sockets ({before:,.0f} before, "
        f"{after:,.0f} after), {beside:,.0f} with {many:,} of "
        f"them; what goes on anyway, left out: {background:.1%} and {idling:.1%} of a core\n"
        f"  {many:,} sockets came up in {opened.seconds:.1f} s ({opened.share:.0%} generator)"
    )
    return {"idle_cost": round(beside / alone, 2)}


async def _cost(stage: Stage, workers: Workers) -> tuple[float, float]:
    """Microseconds of the worker for an event, and what share of a core it uses without any."""
    found = []
    seconds = stage.seconds
    idle = await stage.idling(seconds, workers.ours)
    share = idle.worker / seconds
    for _ in range(WINDOWS):
        before = await stage.spent(workers.ours)
        done = stage.delivers("fans", workers.beside.port, stage.cast.star_posts, seconds=seconds)
        spent = await stage.spent(workers.ours) - before
        found.append((spent.worker - share * done.seconds) * 1e6 / done["events"])
    return median(found), share
