"""How much CPU processes have used so far, user and system together."""

from contextlib import suppress
from pathlib import Path

import psutil


def of_process(pid: int) -> float:
    """Seconds of CPU of one process with all its threads."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def exactly_of_process(pid: int) -> float:
    """The same to the nanosecond where Linux tells it: the clock of `of_process` ticks a hundred times a second."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            total += int(thread.read_text().split()[0])
    return total / 1e9 if total else of_process(pid)


class PostgresCpu:
    """The CPU of a PostgreSQL server: the postmaster, all that it started, and what it started and has ended."""

    def __init__(self, backend_pid: int) -> None:
        parent = psutil.Process(backend_pid).parent()
        assert parent is not None
        self._postmaster = parent

    def read(self) -> float:
        """Seconds of CPU so far."""
        own = self._postmaster.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children(recursive=True):
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return float(total)
