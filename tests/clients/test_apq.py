"""Automatic persisted queries: a client sends the hash, at a miss the hash with the document, then the hash alone."""

from typing import Any

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients


def seen(sent: list[dict[str, Any]]) -> list[tuple[str, bool, bool, int]]:
    """The requests in short: method, with the document or not, with the hash or not, status."""
    return [(one["method"], one["document"], one["hash"], one["status"]) for one in sent]


@pytest.mark.parametrize(("scene", "by"), [("persisted_by_post", "POST"), ("persisted_by_get", "GET")])
async def test_apollo(node: Play, server: Server, alice: Person, scene: str, by: str) -> None:
    await alice.posts("good morning")
    found = await node("apollo.mjs", scene, url=server.url, alice=alice)
    assert found["first"] == found["again"]
    assert found["first"]["publicTimeline"]["edges"][0]["node"]["post"]["text"] == "good morning"
    miss, told, hit = seen(found["sent"])
    # A miss is 200: Apollo iOS reads the body of no other status.
    assert miss == (by, False, True, 200)
    assert told[1:] == (True, True, 200)
    assert hit == (by, False, True, 200)


async def test_apollo_persists_mutations_too(node: Play, server: Server, alice: Person) -> None:
    found = await node("apollo.mjs", "persisted_mutation", url=server.url, alice=alice)
    assert found["payload"]["userErrors"] == []
    assert seen(found["sent"]) == [("POST", False, True, 200), ("POST", True, True, 200)]
    assert await alice.home_texts() == ["by hash"]


@pytest.mark.parametrize(("scene", "by"), [("persisted_by_post", "POST"), ("persisted_by_get", "GET")])
async def test_urql(node: Play, server: Server, alice: Person, scene: str, by: str) -> None:
    await alice.posts("good morning")
    found = await node("urql.mjs", scene, url=server.url, alice=alice)
    for result in (found["first"], found["again"]):
        assert result["error"] is None
        assert result["data"]["publicTimeline"]["edges"][0]["node"]["post"]["text"] == "good morning"
    assert seen(found["again"]["sent"]) == [
        (by, False, True, 200),
        (by, True, True, 200),
        (by, False, True, 200),
    ]
