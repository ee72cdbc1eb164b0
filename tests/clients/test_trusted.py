"""Relay's operations, persisted by its compiler and imported, run by their ids on a server that trusts no others."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, Play
from tests.clients.test_relay import compile_app
from tests.conftest import PRIVATE_KEY, SECRET, Serve

pytestmark = pytest.mark.clients
SCRIPT = "relay.mjs"
MANIFEST = "persisted.json"


async def import_documents(manifest: Path, database: str) -> None:
    """What an operator does when a version of the app is released."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app", "documents", "import", str(manifest)),
        cwd=HERE.parents[1],
        env={**os.environ, "DATABASE_URL": database, "SECRET_KEY": SECRET, "TOKEN_PRIVATE_KEY": PRIVATE_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_persisted_operations_run_by_their_ids(
    node: Play, serve: Serve, database: str, tmp_path: Path
) -> None:
    (tmp_path / MANIFEST).write_text("{}", encoding="utf-8")  # the compiler adds to what is there
    compiled = await compile_app(tmp_path, persistConfig={"file": MANIFEST, "algorithm": "SHA256"})
    await import_documents(tmp_path / MANIFEST, database)
    persisted = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    anything = await serve(cost_budget="0")
    alice, bob = await anything.sign_up("alice"), await anything.sign_up("bob")
    await alice.posts("before")
    trusting = await serve(documents="trusted", cost_budget="0")

    refused = await node(SCRIPT, "untrusted", url=trusting.url, alice=alice, compiled=str(compiled))
    assert "data" not in refused
    pages = await node(SCRIPT, "paginates", url=trusting.url, alice=alice, compiled=str(compiled))
    assert pages == [["before"]]
    # What they do by hand goes to the other server: both have one database and one log.
    given = {"url": trusting.url, "others": anything.url, "compiled": str(compiled)}
    found = await node(SCRIPT, "refetches", alice=alice, bob=bob, **given)
    assert (found["before"], found["after"]) == (0, 1)
    assert set(found["ids"]) <= set(persisted)
    found = await node(SCRIPT, "subscribes", alice=alice, bob=bob, **given)
    assert found["after"] == [["live", 1], ["before", 1]]
    assert set(found["ids"]) <= set(persisted)
