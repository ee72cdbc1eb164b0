"""Keeps one server process alive for as long as the process that started this one lives.

A program of its own (standard library only): `python keeper.py '<json>'`, see `Task`. Its standard input is a
pipe whose other end only the owner holds: the end of input means "stop the server and leave", whether the owner
closed it or was killed. A server that dies is started again. It works the same on Linux and macOS; on Linux the
server is also told when the keeper itself is killed.

Whether a server of this folder still lives is not guessed from process ids: the server and all its children
inherit one open file with a lock on it (`alive_file`), so the lock is free exactly when the last of them is gone.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TypedDict

PR_SET_PDEATHSIG = 1
# Seconds to wait for the server of a killed owner: it is being stopped, then told to stop, then to drop everything.
TELL_LEFTOVER_AFTER, DROP_LEFTOVER_AFTER, GIVE_UP_AFTER = 3.0, 15.0, 30.0
# Seconds before a restart: short enough to be back within one second, longer when it dies again and again.
FIRST_PAUSE, LONGEST_PAUSE, STABLE_AFTER = 0.05, 2.0, 5.0


class Task(TypedDict):
    """What to keep: all paths are absolute; `user` is (uid, gid) to become, or None to stay who we are."""

    command: list[str]
    folder: str
    user: tuple[int, int] | None
    log: str
    state_file: str
    alive_file: str
    pid_file: str | None
    stale_files: list[str]
    stop_signal: int
    drop_signal: int
    patience_seconds: float


class Keeper:
    """Starts the server of a task, again when it dies, and stops it when told to."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.pid = 0
        self.starts = 0
        self.leaving = False
        self.drop = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._note)
        signal.signal(signal.SIGTERM, self._leave)
        # Ctrl-C in the terminal is the owner's business: it stops us when the API is done.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Python needs a handler for the wake-up pipe to be written."""

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self.leaving = True

    def run(self) -> int:
        """Keep the server until told to leave. Returns the exit status of this process."""
        pause = FIRST_PAUSE
        while not self.leaving:
            lock = self._take_over()
            if lock is None:
                break
            started = time.monotonic()
            self._start(lock)
            os.close(lock)
            self._watch()
            if time.monotonic() - started > STABLE_AFTER:
                pause = FIRST_PAUSE
            if not self.leaving:
                self._wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        return 0

    def _take_over(self) -> int | None:
        """Wait until no server of this folder lives. Returns the locked file, None when told to leave meanwhile."""
        lock = os.open(self.task["alive_file"], os.O_RDWR | os.O_CREAT, 0o600)
        begun, told = time.monotonic(), 0
        while not self.leaving:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                waited = time.monotonic() - begun
                if told == 0 and waited > TELL_LEFTOVER_AFTER:
                    told = 1
                    self._signal_leftover(self.task["stop_signal"])
                elif told == 1 and waited > DROP_LEFTOVER_AFTER:
                    told = 2
                    self._signal_leftover(self.task["drop_signal"])
                elif waited > GIVE_UP_AFTER:
                    sys.exit("a server of an earlier start still uses this folder and does not stop")
                self._wait(0.02)
                continue
            # Nobody is left, so these files can only mislead (their process ids may belong to others by now).
            for stale in self.task["stale_files"]:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(stale)
            return lock
        os.close(lock)
        return None

    def _signal_leftover(self, number: int) -> None:
        """Signal a server whose keeper was killed, when its process id still belongs to such a server."""
        try:
            pid = int(Path(self.task["pid_file"] or self.task["state_file"]).read_text().split("\n")[0])
            words = subprocess.check_output(["ps", "-p", str(pid), "-o", "args="], text=True)  # noqa: S603, S607 - ps, with a number
            if Path(self.task["command"][0]).name in words:
                os.kill(pid, number)
        except (OSError, ValueError, subprocess.CalledProcessError):
            pass

    def _start(self, lock: int) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self._become_server(lock)
            except BaseException as error:
                os.write(2, f"FATAL: {self.task['command'][0]} cannot be started: {error}\n".encode())
            finally:
                os._exit(127)
        self.pid = pid
        self.starts += 1
        self._write_state()

    def _become_server(self, lock: int) -> None:
        keeper = os.getppid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(self.task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.set_inheritable(lock, True)
        os.umask(0o077)
        # Entered before the user changes: later a parent folder may be closed to that user.
        os.chdir(self.task["folder"])
        if self.task["user"] is not None:
            uid, gid = self.task["user"]
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, self.task["stop_signal"], 0, 0, 0)
            if os.getppid() != keeper:
                os._exit(0)
        os.execv(self.task["command"][0], self.task["command"])  # noqa: S606 - the command is ours

    def _watch(self) -> None:
        """Wait until the server has ended; stop it when told to leave."""
        told_at = 0.0
        while True:
            if self._reap():
                return
            if self.leaving and not told_at:
                told_at = time.monotonic()
                self._signal(self.task["drop_signal"] if self.drop else self.task["stop_signal"])
            if told_at:
                late = time.monotonic() - told_at - self.task["patience_seconds"]
                if late > 5:
                    self._signal(signal.SIGKILL)
                elif late > 0:
                    self._signal(self.task["drop_signal"])
            self._wait(0.5)

    def _reap(self) -> bool:
        pid, _ = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.pid = 0
        return True

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _wait(self, seconds: float) -> None:
        """Sleep, but not through a signal nor through the end of our input."""
        inputs = [self._wake_read] if self.leaving else [0, self._wake_read]
        ready, _, _ = select.select(inputs, [], [], seconds)
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 512)
        if 0 in ready:
            self.drop = os.read(0, 16) != b""  # one byte means "at once", the end of input "in order"
            self.leaving = True

    def _write_state(self) -> None:
        """One number a line: the server's process id, how often it was started, the keeper's process id.

        Written only while the lock is ours, so that no keeper writes over its successor's.
        """
        target = self.task["state_file"]
        with open(f"{target}.new", "w") as file:
            file.write(f"{self.pid}\n{self.starts}\n{os.getpid()}\n")
        os.replace(f"{target}.new", target)


if __name__ == "__main__":
    sys.exit(Keeper(json.loads(sys.argv[1])).run())
