"""Starts the helper process, and gets examiners from it."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import NamedTuple

from app.documents.line import IDLE, PID, QUICK

# The helper is a program of its own, run from here; nothing that it loads is loaded by whoever starts it.
ROOT = Path(__file__).parents[2]
# Seconds: one that starts is ready in one or two; one that was stopped would hold up its caller's thread for ever.
PATIENCE = 30.0


class Forked(NamedTuple):
    """An examiner: the socket to talk to it, and its process."""

    socket: socket.socket
    pid: int
    # Stands for the process itself, where there is such a thing: another one may have its number later.
    pidfd: int | None

    def kill(self) -> None:
        """End it, whatever it does; for whoever does not wait for it any longer."""
        self.socket.close()
        if self.pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            os.close(self.pidfd)
        elif sys.platform != "linux":
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """One helper process, started when the first examiner is asked for and again when it died. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fork(self, *, idle: bool) -> Forked:
        """A new examiner; an `idle` one works when nobody else wants to.

        Blocks for a millisecond, or a second for the first one. Raises OSError.
        """
        with self._lock:
            try:
                return self._fork(idle)
            except OSError:
                # The helper died: once more with a new one.
                self._stop()
                return self._fork(idle)

    def close(self) -> None:
        """End the helper; the examiners end when their sockets do."""
        with self._lock:
            self._stop()

    def _fork(self, idle: bool) -> Forked:
        line = self._line or self._start()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(line, [IDLE if idle else QUICK], [theirs.fileno()])
            answer = b""
            while len(answer) < PID.size:
                part = line.recv(PID.size - len(answer))
                if not part:
                    raise ConnectionError("the helper process ended")
                answer += part
        except OSError:
            ours.close()
            raise
        (pid,) = PID.unpack(answer)
        return Forked(ours, pid, _pidfd(pid))

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        with theirs:
            command = [sys.executable, "-m", "app.documents.helper", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._line = ours
        return ours

    def _stop(self) -> None:
        line, self._line = self._line, None
        process, self._process = self._process, None
        if line is not None:
            line.close()
        if process is not None:
            process.kill()
            process.wait()


def _pidfd(pid: int) -> int | None:
    """None on other systems, and for a process that has ended."""
    if sys.platform == "linux":
        with suppress(ProcessLookupError):
            return os.pidfd_open(pid)
    return None
