"""The servers that tests run on: one PostgreSQL and one Valkey for each test process, in a folder of their own.

They take no port and no name that another run could take too, so any number of runs go side by side. Fixtures:
`postgres` and `valkey` (the servers, for the whole session), `database` (the address of a migrated, empty database
for one test) and `databases` (when a test wants several).
"""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.migrations import migrate

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
