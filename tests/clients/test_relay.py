"""relay-compiler makes the operations of relay/app.js, relay-runtime runs them against the real server."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import HERE, Play, run
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "relay.mjs"
SCHEMA = HERE.parents[1] / "schema" / "schema.graphql"


async def compile_app(folder: Path, **more: Any) -> Path:
    """Run relay-compiler over the app's operations; the folder of what it wrote."""
    source = folder / "src"
    source.mkdir()
    shutil.copy(HERE / "relay" / "app.js", source)
    shutil.copy(SCHEMA, folder)
    config = {
        "src": "src",
        "schema": SCHEMA.name,
        "language": "javascript",
        # CommonJS: Node finds no module by the names that the other form imports.
        "eagerEsModules": False,
        "artifactDirectory": "compiled",
        "customScalarTypes": {"DateTime": "string"},
        **more,
    }
    (folder / "relay.config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "compiled").mkdir()
    await run(
        "node", str(HERE / "node_modules" / "relay-compiler" / "cli.js"), "relay.config.json", cwd=folder
    )
    return folder / "compiled"


async def test_pages_of_a_connection(node: Play, server: Server, alice: Person, tmp_path: Path) -> None:
    compiled = await compile_app(tmp_path)
    for number in range(5):
        await alice.posts(f"post {number}")
    pages = await node(SCRIPT, "paginates", url=server.url, alice=alice, compiled=str(compiled))
    every = [f"post {number}" for number in (4, 3, 2, 1, 0)]
    assert pages == [every[:2], every[:4], every]


async def test_a_fragment_is_fetched_again_by_node(
    node: Play, server: Server, alice: Person, bob: Person, tmp_path: Path
) -> None:
    compiled = await compile_app(tmp_path)
    await alice.posts("like me")
    found = await node(SCRIPT, "refetches", url=server.url, alice=alice, bob=bob, compiled=str(compiled))
    assert found == {"before": 0, "after": 1, "ids": []}


async def test_a_mutation_updates_the_store(
    node: Play, server: Server, alice: Person, tmp_path: Path
) -> None:
    compiled = await compile_app(tmp_path)
    await alice.posts("like me")
    post = await node(SCRIPT, "mutates", url=server.url, alice=alice, compiled=str(compiled))
    assert (post["likeCount"], post["viewerHasLiked"]) == (1, True)


async def test_events_go_into_the_connection(
    node: Play, server: Server, alice: Person, bob: Person, tmp_path: Path
) -> None:
    compiled = await compile_app(tmp_path)
    await alice.posts("before")
    found = await node(SCRIPT, "subscribes", url=server.url, alice=alice, bob=bob, compiled=str(compiled))
    assert found == {"before": ["before"], "after": [["live", 1], ["before", 0]], "ids": []}
