"""What an idle subscribed socket holds in memory, and how many of them one worker holds."""

import time
from itertools import pairwise
from typing import Any

from bench.live.cast import FEW, MANY
from bench.live.stage import SETTLE, Stage, resident
from bench.servers import Server

# Sockets before the first look: what a worker needs once is there then.
WARM = 20


async def memory(stage: Stage) -> dict[str, Any]:
    """Part `memory`: KB of the worker for each socket whose account follows nobody, and bytes for each followed."""
    cast, scale = stage.cast, stage.scale
    with stage.workers() as workers:
        stage.opens("first", workers.ours, cast.quiet, WARM)
        before = _settled(workers.ours)
        count = scale.quiet - WARM
        opened = stage.opens("quiet", workers.ours, cast.quiet, count, first=WARM, patience=240)
        each = (_settled(workers.ours) - before) / count
        print(
            f"{each / 1024:.1f} KB for each of {count:,} idle sockets, of accounts that follow nobody; "
            f"{opened.seconds * 1000 / count:.2f} ms for each to come up"
        )
    with stage.workers() as workers:
        stage.opens("first", workers.ours, cast.fives, WARM)
        sizes = [_settled(workers.ours)]
        for crowd, tokens, first in (("hundreds", cast.hundreds, 0), ("fives", cast.fives, WARM)):
            stage.opens(crowd, workers.ours, tokens, scale.followers - WARM, first=first, patience=240)
            sizes.append(_settled(workers.ours))
        stage.opens("loners", workers.ours, cast.loners, scale.loners, patience=240)
        alone = ((_settled(workers.ours) - sizes[-1]) / scale.loners - each) / MANY
        count = scale.followers - WARM
        few, many = ((after - before) / count for before, after in pairwise(sizes))
        bytes_each = (many - few) / (MANY - FEW)
        print(
            f"  {few / 1024:.1f} KB when the account follows {FEW}, {many / 1024:.1f} KB when it follows {MANY}: "
            f"{bytes_each:.0f} bytes for each; {alone:.0f} for each of {MANY} accounts that no other socket's follows"
        )
    return {
        "kb_per_socket": round(each / 1024, 1),
        "bytes_per_followed": round(bytes_each),
        "bytes_per_followed_alone": round(alone),
    }


async def sockets(stage: Stage) -> dict[str, Any]:
    """Part `sockets`: so many subscribed sockets on one worker, and an event that still reaches those it concerns."""
    most, fans = stage.scale.most, stage.scale.fans
    with stage.workers() as workers:
        before = resident(workers.ours)
        stage.opens("fans", workers.ours, stage.cast.readers, fans)
        opened = stage.opens("idle", workers.ours, stage.cast.readers, most - fans, first=fans, patience=300)
        stage.delivers("fans", workers.beside.port, stage.cast.star_posts, events=2)
        workers.ours.answer(stage.cast.hello)
        found = [stage.load.do("look", crowd=crowd) for crowd in ("fans", "idle")]
        held = sum(look["live"] - look["lost"] for look in found)
        size = (_settled(workers.ours) - before) / 2**20
        print(
            f"{held:,} sockets held of {most:,}, up in {opened.seconds:.1f} s, {size:,.0f} MB; an event reaches "
            f"{fans:,} of them; generator {opened.share:.0%}"
        )
    return {"sockets": held}


def _settled(server: Server) -> int:
    """Its memory when what came with the last sockets is over."""
    time.sleep(SETTLE)
    return resident(server)
