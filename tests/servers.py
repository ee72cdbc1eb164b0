"""The servers that tests run on: one PostgreSQL and one Valkey for each test process, in a folder of their own.

They take no port and no name that another run could take too, so any number of runs go side by side. Fixtures:
`postgres` and `valkey` (the servers, for the whole session), `database` (the address of a migrated, empty database
for one test) and `databases` (when a test wants several).
"""

import asyncio
import itertools
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.migrations import migrate
from tests.valkey_cluster import ValkeyCluster

TEMPLATE = "template_of_tests"


class Databases:
    """Makes copies of a migrated database. A copy takes about 20 ms, a drop 10 ms; migrating takes longer."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def prepare(self) -> None:
        """Make the template, once for each server."""
        self._server.psql(f"CREATE DATABASE {TEMPLATE} OWNER maydan")
        # A loop of its own: whoever runs this keeps the loop that he has.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(migrate(self._server.dsn(TEMPLATE)))

    def fresh(self, *, template: str = TEMPLATE) -> str:
        """The address of a new migrated database without a row (or of a copy of another, given by name)."""
        name = f"test_{next(self._numbers)}"
        # Copying files beats the default, copying through the log, where nothing is written to disk at once.
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy OWNER maydan")
        return self._server.dsn(name)

    def drop(self, dsn: str) -> None:
        """Drop a database, also when somebody is still connected to it."""
        name = dsn.split("?")[0].rpartition("/")[2]
        self._server.psql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for this test process's servers, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="maydan-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL whose data need not last."""
    with EmbeddedPostgres(server_folder, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey, shared by the tests of this process: use names of your own, or let the database keep them apart."""
    with EmbeddedValkey(server_folder) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_cluster(server_folder: Path) -> Iterator[ValkeyCluster]:
    """A cluster for the tests of this process that want one."""
    with ValkeyCluster(server_folder / "cluster") as cluster:
        yield cluster


@pytest.fixture(params=["single", "cluster"])
def either_valkey(request: pytest.FixtureRequest) -> str:
    """The address of a Valkey, then of a cluster, shared as `valkey` is."""
    server = request.getfixturevalue("valkey" if request.param == "single" else "valkey_cluster")
    url: str = server.url
    return url


@pytest.fixture
async def own_cluster(valkey_cluster: ValkeyCluster) -> AsyncIterator[ValkeyCluster]:
    """The cluster, for a test that mistreats it: it is well before, and made well again afterwards."""
    try:
        yield valkey_cluster
    finally:
        await asyncio.to_thread(valkey_cluster.heal)


@pytest.fixture
async def own_valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A Valkey that a test may mistreat."""
    valkey = EmbeddedValkey(tmp_path)
    await asyncio.to_thread(valkey.start)
    try:
        yield valkey
    finally:
        await asyncio.to_thread(valkey.stop)


@pytest.fixture(scope="session")
def prepared(postgres: EmbeddedPostgres) -> Databases:
    """The maker of databases, its template migrated."""
    made = Databases(postgres)
    made.prepare()
    return made


@pytest.fixture
def databases(prepared: Databases) -> Databases:
    """Makes databases for one test; drop what you make, or leave it to the end of the session."""
    return prepared


@pytest.fixture
def database(prepared: Databases) -> Iterator[str]:
    """The address of a migrated database without a row, dropped after the test."""
    dsn = prepared.fresh()
    try:
        yield dsn
    finally:
        prepared.drop(dsn)


class Mistreated:
    """One Valkey, or a cluster of which one node is meant: what may happen to either. All of it blocks."""

    def __init__(self, server: EmbeddedValkey | ValkeyCluster) -> None:
        self.server = server
        self.url = server.url

    def kill(self) -> None:
        """Kill -9. One Valkey is started again; a cluster's replica takes the place, and the dead stays dead."""
        if isinstance(self.server, EmbeddedValkey):
            self.server.kill()
        else:
            self.server.kill(self.server.primaries()[0])

    def mend(self) -> None:
        """Start again what is dead; one Valkey was started already."""
        if isinstance(self.server, ValkeyCluster):
            self.server.revive()

    def restart(self) -> None:
        """Kill and start again, all nodes of a cluster at once."""
        if isinstance(self.server, EmbeddedValkey):
            self.server.kill()
        else:
            self.server.restart()

    def flush(self) -> None:
        """FLUSHALL."""
        for client in self._clients():
            client.flushall()

    def cut(self) -> None:
        """Cut all connections of clients."""
        for client in self._clients():
            for kind in ("pubsub", "normal"):
                client.client_kill_filter(_type=kind, skipme=True)

    def pause(self) -> None:
        """SIGSTOP, until `resume`."""
        if isinstance(self.server, EmbeddedValkey):
            self.server.kill(signal.SIGSTOP)
        else:
            self.server.primaries()[0].pause()

    def resume(self) -> None:
        """SIGCONT."""
        if isinstance(self.server, EmbeddedValkey):
            self.server.kill(signal.SIGCONT)
        else:
            for node in self.server.nodes:
                node.resume()

    def _clients(self) -> list[Redis]:
        if isinstance(self.server, EmbeddedValkey):
            return [Redis.from_url(self.server.url)]
        return [node.redis for node in self.server.primaries()]


@pytest.fixture(params=["single", "cluster"])
def own_either(request: pytest.FixtureRequest) -> Mistreated:
    """A Valkey, then a cluster, that a test may mistreat."""
    return Mistreated(request.getfixturevalue("own_valkey" if request.param == "single" else "own_cluster"))
