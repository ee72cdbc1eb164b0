"""The process that documents are examined in: `python -m app.documents.helper FD`.

It has the schema loaded and forks an examiner for each socket that it is sent, so one that was killed is replaced in
milliseconds, and several share their memory. What is sent with the socket says whether it is to step back. It answers
with the examiner's process id. It ends with its owner: whoever starts it holds the other end of FD, and each examiner
ends with the socket it was given.
"""

import gc
import os
import pickle
import resource
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

from app.documents.examine import Examined, Invalid, Task, examine
from app.documents.line import IDLE, LENGTH, PID
from app.refusals import VALIDATION_FAILED

# Examining waits for everybody who asks with a known document. One that steps back waits for everything else on the
# machine: beside one that was only nice the server's slowest percent took 2.3 times as long under a flood, not 1.6.
NICENESS = 10
# Seconds of CPU for one document; the largest that the scan lets through take a tenth of it.
CPU_SECONDS = 2.0
# Seconds of CPU until the clock strikes again: in a destructor Python lets no exception through, and goes on.
AGAIN = 0.1
# Bytes of memory more than at the start; a document takes some ten megabytes.
MEMORY = 512 * 1024 * 1024

TOOK_TOO_LONG = Invalid(
    VALIDATION_FAILED,
    [
        {
            "message": "This document takes too long to validate: ask for less, or split it.",
            "extensions": {"code": VALIDATION_FAILED},
        }
    ],
)


class _TimeIsUp(BaseException):
    """Raised by the clock wherever the work is."""


def main() -> None:
    """Fork an examiner for each socket that comes."""
    owner = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an examiner ended
    gc.collect()
    gc.freeze()
    while True:
        lane, sockets, _, _ = socket.recv_fds(owner, 1, 1)
        if not lane:
            return
        pid = os.fork()
        if pid == 0:
            owner.close()
            _step_back(idle=lane == IDLE)
            _serve(socket.socket(fileno=sockets[0]))
            os._exit(0)
        os.close(sockets[0])
        owner.sendall(PID.pack(pid))


def _serve(asker: socket.socket) -> None:
    """Examine documents until the asker is gone."""
    _bound_memory()
    signal.signal(signal.SIGPROF, _time_is_up)
    with suppress(BrokenPipeError, ConnectionResetError), asker, asker.makefile("rb") as reading:
        while len(head := reading.read(LENGTH.size)) == LENGTH.size:
            task = Task(*pickle.loads(reading.read(*LENGTH.unpack(head))))  # noqa: S301  # our owner wrote it
            answer = pickle.dumps(_examined(task))
            asker.sendall(LENGTH.pack(len(answer)) + answer)


def _examined(task: Task) -> Examined | Invalid:
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS, AGAIN)
        try:
            return examine(task)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (_TimeIsUp, MemoryError):
        signal.setitimer(signal.ITIMER_PROF, 0)
        return TOOK_TOO_LONG


def _time_is_up(_: int, __: FrameType | None) -> None:
    raise _TimeIsUp


def _step_back(*, idle: bool) -> None:
    os.nice(NICENESS)
    if idle and sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _bound_memory() -> None:
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


if __name__ == "__main__":
    main()
