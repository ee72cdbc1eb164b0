"""Which bus carries the wake-ups: that of one Valkey or that of a cluster, by the address."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.live.bus import WakeBus
from app.live.cluster_bus import ClusterBus
from app.valkey_urls import is_cluster


class Wakes(Protocol):
    """What the hub needs of a bus. `up` says whether it hears everything."""

    up: bool

    def publish(self, channel: str) -> None:
        """Wake the others. Returns at once."""


def connected(url: str, heard: dict[str, Callable[[], None]]) -> AbstractAsyncContextManager[Wakes]:
    """A bus, whose Valkey need not be there. `heard` is called, by channel, for each wake-up, our own included,
    and for all channels whenever some may have been missed.
    """
    return ClusterBus.connected(url, heard) if is_cluster(url) else WakeBus.connected(url, heard)
