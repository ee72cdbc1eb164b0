"""What both embedded servers share: the folder's lock, short private socket folders, and the keeper process."""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app.embedded import keeper

# A socket's whole path must fit into 104 bytes on macOS and 108 on Linux, its end included.
LONGEST_SOCKET_PATH = 103
# A log larger than this many bytes is put aside (one older file is kept) when the server starts.
LOG_LIMIT = 10_000_000


class EmbeddedError(Exception):
    """An embedded server cannot be started; the message is one sentence for the person who started it."""


def make_private_folder(folder: Path) -> None:
    """Make a folder, and the data folder above it, that only we can enter. What exists keeps its permissions.

    Raises EmbeddedError.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"The data folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EmbeddedError(
            f"The data folder {folder} belongs to another user; start Maydan as that user "
            "or set MAYDAN_DATA_DIR to another folder."
        )


class FolderLock:
    """Held by the process that serves from a folder; free again when that process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def take(self) -> None:
        """Raises EmbeddedError when another process holds it."""
        path = self._folder / "lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedError(f"The data folder {self._folder} cannot be used: {error.strerror}.") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise EmbeddedError(
                f"The data folder {self._folder.parent} is in use by another Maydan (process {holder}); "
                "stop that one, or set MAYDAN_DATA_DIR to another folder."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def give_back(self) -> None:
        """Free the folder; doing it twice is harmless."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def socket_folder(owner_folder: Path, *, uid: int, gid: int, longest_name: str) -> Path:
    """A folder with a short path that only `uid` can enter, the same one for the same owner folder each time.

    Data folders may lie deep and a socket's path must be short, so sockets live in the temporary folder.
    """
    digest = hashlib.sha256(os.fsencode(owner_folder.resolve())).hexdigest()[:12]
    as_other = uid != os.geteuid()
    for parent in _temporary_folders():
        folder = parent / f"maydan-{uid}-{digest}"
        if len(os.fsencode(folder / longest_name)) > LONGEST_SOCKET_PATH:
            continue
        if as_other and not _open_to_all(parent):
            continue
        with contextlib.suppress(OSError):
            return _own_folder(folder, uid, gid)
    raise EmbeddedError("No temporary folder is short and writable; set TMPDIR to one, such as /tmp.")


def _temporary_folders() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # /run/user/N is ours alone; after `su` it may still name the folder of somebody else.
    mine = (
        [Path(runtime)]
        if runtime and os.path.isdir(runtime) and os.stat(runtime).st_uid == os.geteuid()
        else []
    )
    return [*mine, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - only looked at for room


def _open_to_all(folder: Path) -> bool:
    folder = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _own_folder(folder: Path, uid: int, gid: int) -> Path:
    try:
        folder.mkdir(mode=0o700)
        if uid != os.geteuid():
            os.chown(folder, uid, gid)
    except FileExistsError:
        found = folder.lstat()
        # A folder or link that somebody else put there is not trusted: another name is taken instead.
        if found.st_uid != uid or found.st_mode & 0o170777 != 0o040700:
            folder = Path(tempfile.mkdtemp(prefix=f"maydan-{uid}-", dir=folder.parent))
            if uid != os.geteuid():
                os.chown(folder, uid, gid)
    return folder


class Kept:
    """A server process in the hands of a keeper (see keeper.py), which stops it when this process ends."""

    def __init__(self, task: keeper.Task) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._log_begin = 0

    def start(self) -> None:
        """Start the keeper, which starts the server; does not wait until it answers."""
        log = Path(self._task["log"])
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".old"))
        self._log_begin = log.stat().st_size if log.exists() else 0
        read, write = os.pipe()
        with open(log, "ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-I", "-S", keeper.__file__, json.dumps(self._task)],
                stdin=read,
                stdout=output,
                stderr=output,
                # Nothing of ours is meant for the servers: no secrets, no PG* variables, no locale.
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                start_new_session=True,
            )
        os.close(read)
        self._lifeline = write

    def state(self) -> tuple[int, int]:
        """(process id of the last server or 0, how often our keeper started one)."""
        try:
            pid, starts, keeper_pid = map(int, Path(self._task["state_file"]).read_text().split())
        except (FileNotFoundError, ValueError):
            return 0, 0
        # The keeper of a killed owner may still be stopping its server.
        return (pid, starts) if self._process is not None and keeper_pid == self._process.pid else (0, 0)

    def revive(self) -> bool:
        """Start the keeper again when somebody killed it. Returns whether it had to."""
        if self._process is None or self._process.poll() is None:
            return False
        self._close_lifeline()
        self.start()
        return True

    def failed(self) -> bool:
        """Whether the server died and had to be started again, or its keeper gave up."""
        return self.state()[1] > 1 or (self._process is not None and self._process.poll() is not None)

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server in order, or dropping whatever it does; returns when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if at_once and self._lifeline is not None:
            with contextlib.suppress(OSError):
                os.write(self._lifeline, b"!")
        self._close_lifeline()
        try:
            process.wait(self._task["patience_seconds"] + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill the server as a crash would (for tests); the keeper starts it again. Or send it another signal."""
        pid = self.state()[0]
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def last_words(self) -> str:
        """The line of the log that most likely says why the server ended."""
        with contextlib.suppress(OSError):
            with open(self._task["log"], errors="replace") as log:
                log.seek(self._log_begin)
                lines = log.read().splitlines()[-20:]
            serious = [line for line in lines if "FATAL" in line or "PANIC" in line or "rror" in line]
            if found := serious or lines:
                return found[-1].strip()
        return "it wrote no log"

    def _close_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class Deadline:
    """Waits in small steps until something holds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def over(self) -> bool:
        """Sleep 10 ms and say whether the time is over."""
        time.sleep(0.01)
        return time.monotonic() > self._end
