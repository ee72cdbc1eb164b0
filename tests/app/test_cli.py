"""The command line, as somebody in a terminal meets it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder, removed with everything in it."""
    made = Path(tempfile.mkdtemp(prefix="maydan-test-"))
    yield made / "data"
    shutil.rmtree(made)


def maydan(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DEMO": "true", "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command", ["serve", "migrate", "seed", "token", "sign-out", "new-epoch", "schema", "dump-schema"]
)
def test_every_command_explains_itself(command: str) -> None:
    assert command in maydan("--help").stdout
    own = maydan(command, "--help")
    assert own.returncode == 0
    assert "Usage: python -m app" in own.stdout
    assert len(own.stdout.splitlines()) > 4


def test_an_unknown_command_is_a_usage_error() -> None:
    done = maydan("dance")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_schema_prints_the_committed_schema() -> None:
    done = maydan("schema")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8")


def test_dump_schema_prints_the_committed_database_schema() -> None:
    done = maydan("dump-schema")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "sql" / "schema.sql").read_text(encoding="utf-8")


def test_migrate_starts_the_embedded_server_for_itself(folder: Path) -> None:
    first = maydan("migrate", MAYDAN_DATA_DIR=str(folder))
    assert first.returncode == 0, first.stderr
    assert "applied" in first.stdout
    assert maydan("migrate", MAYDAN_DATA_DIR=str(folder)).stdout == "nothing to do\n"


def test_commands_use_the_embedded_server_that_already_runs(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        done = maydan("migrate", MAYDAN_DATA_DIR=str(folder))
        assert done.returncode == 0, done.stderr


def test_a_database_that_cannot_be_reached_is_said_in_one_sentence() -> None:
    done = maydan("migrate", DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "DATABASE_URL" in done.stderr
    assert "hunter2" not in done.stderr


def test_seed_fills_and_token_opens_a_door(folder: Path) -> None:
    done = maydan("seed", "--users", "20", "--posts", "50", "--seed", "3", MAYDAN_DATA_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    unknown = maydan("token", "nobody_by_this_name", MAYDAN_DATA_DIR=str(folder))
    assert unknown.returncode == 2
    assert "there is no account" in unknown.stderr


def test_token_is_for_demo_mode_only(folder: Path) -> None:
    secret = "p3mXo0kQv7sYb1uZt9rWc5hLj8nEa2gD4fKiTqUeVxM="
    done = maydan(
        *("token", "anybody"),
        DEMO="false",
        SECRET_KEY=secret,
        TOKEN_PRIVATE_KEY=secret,
        MAYDAN_DATA_DIR=str(folder),
    )
    assert done.returncode == 2
    assert "demo mode only" in done.stderr
