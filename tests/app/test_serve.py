"""`python -m app serve` from the outside: starts, stops, crashes, and who else is there."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedValkey
from app.graphql_ws import PING_EVERY, UNHEARD_PINGS
from app.serve import UNHEARD, open_socket
from tests.valkey_cluster import ValkeyCluster

ROOT = Path(__file__).parents[2]
SECRETS = {
    "SECRET_KEY": "p3mXo0kQv7sYb1uZt9rWc5hLj8nEa2gD4fKiTqUeVxM=",
    "TOKEN_PRIVATE_KEY": "Yw0oVf3mJb8kQx1sTn6hLc5rZd9gPa7eUi2yXo4vKtE=",
}


class Serving:
    """A serving process in a process group of its own, as a terminal would make it."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "DEMO": "true", "LOG_LEVEL": "warning", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        self.url = ""

    def ready(self) -> "Serving":
        """Wait until it says where it answers."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if found := re.search(r"(http://\S+?)/graphql\b", line):
                self.url = found[1]
                return self
        raise AssertionError(f"it ended with {self.process.wait()}: {self.said}")

    def get(self, path: str) -> int:
        """The status of an answer, 0 for none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def ready_checks(self) -> dict[str, object]:
        """What /readyz found."""
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
            checks: dict[str, object] = json.load(answer)
        return checks

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        listing = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid=,args="], text=True)
        rows = [line.split(None, 2) for line in listing.splitlines()]
        return [
            int(pid) for pid, parent, args in rows if int(parent) == self.process.pid and "app.worker" in args
        ]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal the whole group, as Ctrl-C does; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        said, _ = self.process.communicate(timeout=40)
        self.said += said
        return self.process.returncode


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds. Fails when it does not."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder, removed with everything in it."""
    made = Path(tempfile.mkdtemp(prefix="maydan-test-"))
    yield made / "data"
    shutil.rmtree(made)


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Serving]]:
    """Start one on this test's data folder, or with another environment; all are gone after the test."""
    started: list[Serving] = []

    def start(**environment: str) -> Serving:
        started.append(Serving(**{"MAYDAN_DATA_DIR": str(folder)} | environment))
        return started[-1]

    yield start
    for serving in started:
        if serving.process.poll() is None:
            serving.end(signal.SIGKILL)
        assert serving.process.stdout is not None
        serving.process.stdout.close()
        serving.process.wait()


def server_pid(folder: Path, server: str) -> int:
    return int((folder / server / "state").read_text().split()[0])


def gone(pid: int) -> bool:
    words = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True)
    return words.stdout.strip()[:1] in ("", "Z")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_with_nothing_and_stops_in_order(
    serve: Callable[..., Serving], folder: Path, number: int
) -> None:
    serving = serve().ready()
    assert serving.get("/healthz") == 200
    assert serving.get("/readyz") == 200
    assert serving.get("/graphiql") == 200
    pids = [server_pid(folder, "postgres"), server_pid(folder, "valkey"), *serving.workers()]
    assert len(pids) == 3
    assert serving.end(number) == 0
    assert all(gone(pid) for pid in pids)
    assert "Traceback" not in serving.said


def test_after_a_kill_the_next_start_recovers_on_the_same_port(
    serve: Callable[..., Serving], folder: Path
) -> None:
    first = serve().ready()
    port = first.url.rpartition(":")[2]
    first.process.kill()
    first.process.wait()
    second = serve(PORT=port).ready()
    assert second.url == first.url
    assert second.get("/readyz") == 200
    assert second.end() == 0


def test_whatever_dies_while_serving_comes_back(serve: Callable[..., Serving], folder: Path) -> None:
    serving = serve(WORKERS="2").ready()
    eventually(lambda: len(serving.workers()) == 2)
    victims = serving.workers()
    os.kill(victims[0], signal.SIGKILL)
    eventually(lambda: len(serving.workers()) == 2 and victims[0] not in serving.workers())
    for server in ("postgres", "valkey"):
        before = server_pid(folder, server)
        os.kill(before, signal.SIGKILL)
        eventually(lambda name=server, old=before: server_pid(folder, name) not in (0, old))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        eventually(lambda: serving.get("/readyz") == 200)
    assert serving.end() == 0


def test_two_side_by_side_take_different_ports(serve: Callable[..., Serving], folder: Path) -> None:
    one, two = serve(), serve(MAYDAN_DATA_DIR=str(folder.with_name("other")))
    assert one.ready().url != two.ready().url
    assert one.get("/healthz") == two.get("/healthz") == 200
    assert one.end() == two.end() == 0


def test_a_second_one_on_the_same_folder_says_so(serve: Callable[..., Serving]) -> None:
    first, second = serve().ready(), serve()
    assert second.process.wait(20) == 1
    assert second.process.stdout is not None
    said = second.process.stdout.read()
    assert "is in use by another Maydan" in said
    assert len(said.splitlines()) == 1
    assert first.get("/healthz") == 200
    assert first.end() == 0


def test_with_urls_nothing_is_embedded_and_no_demo_is_made(
    serve: Callable[..., Serving], folder: Path, database: str, valkey: EmbeddedValkey
) -> None:
    serving = serve(DATABASE_URL=database, REDIS_URL=valkey.url, DEMO="false", **SECRETS).ready()
    assert serving.get("/readyz") == 200
    assert serving.get("/graphiql") == 404
    assert not folder.exists()
    assert serving.end() == 0


def test_it_serves_with_a_cluster_which_its_address_must_say(
    serve: Callable[..., Serving], database: str, valkey_cluster: ValkeyCluster
) -> None:
    serving = serve(DATABASE_URL=database, REDIS_URL=valkey_cluster.url, DEMO="false", **SECRETS).ready()
    eventually(lambda: serving.ready_checks()["bus"] == "ok")
    assert serving.end() == 0
    single = f"redis://127.0.0.1:{valkey_cluster.nodes[0].port}"
    serving = serve(DATABASE_URL=database, REDIS_URL=single, DEMO="false", **SECRETS)
    assert serving.process.wait(20) == 2
    assert serving.process.stdout is not None
    said = serving.process.stdout.read()
    assert said.startswith("maydan: REDIS_URL is wrong: a node of a cluster answers there")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"DEMO": "false"}, "maydan: SECRET_KEY is missing"),
        (
            {"DEMO": "false", **SECRETS, "SECRET_KEY": "a" * 40},
            "maydan: SECRET_KEY is wrong: it is easy to guess",
        ),
        ({"PORT": "eighty"}, "maydan: PORT is wrong: it is not a whole number"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    serve: Callable[..., Serving], environment: dict[str, str], sentence: str
) -> None:
    serving = serve(**environment)
    assert serving.process.wait(20) == 2
    assert serving.process.stdout is not None
    said = serving.process.stdout.read()
    assert said.startswith(sentence)
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_said_in_one_sentence(
    serve: Callable[..., Serving], database: str, valkey: EmbeddedValkey
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        serving = serve(PORT=port, DATABASE_URL=database, REDIS_URL=valkey.url, DEMO="false", **SECRETS)
        assert serving.process.wait(20) == 2
    assert serving.process.stdout is not None
    assert (
        serving.process.stdout.read()
        == f"maydan: PORT {port} is in use by another program; choose another one.\n"
    )


def test_a_second_ctrl_c_does_not_wait(serve: Callable[..., Serving], folder: Path) -> None:
    serving = serve(SHUTDOWN_SECONDS="600").ready()
    (worker,) = serving.workers()
    os.kill(worker, signal.SIGSTOP)  # it will never finish by itself
    os.killpg(serving.process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(serving.process.pid, signal.SIGINT)
    assert serving.process.wait(20) == 0
    assert gone(worker)


def test_connections_end_whose_other_side_acknowledges_nothing() -> None:
    with (
        open_socket("127.0.0.1", None) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        # Later than a WebSocket is closed with a code that says why. Only Linux has the option.
        assert UNHEARD > PING_EVERY * UNHEARD_PINGS
        assert (
            sys.platform != "linux"
            or accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 100_000
        )
