"""@urql/core against the real server: by GET, by POST and by socket."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "urql.mjs"


@pytest.mark.parametrize(("scene", "method"), [("query", "GET"), ("query_by_post", "POST")])
async def test_a_query(node: Play, server: Server, alice: Person, scene: str, method: str) -> None:
    await alice.posts("good morning")
    result = await node(SCRIPT, scene, url=server.url, alice=alice)
    assert result["error"] is None
    (edge,) = result["data"]["publicTimeline"]["edges"]
    assert edge["node"]["post"]["text"] == "good morning"
    assert [request["method"] for request in result["sent"]] == [method]


async def test_a_query_of_somebody_anonymous(node: Play, server: Server) -> None:
    result = await node(SCRIPT, "anonymous_query", url=server.url, alice=None)
    assert (result["data"], result["error"]) == ({"viewer": None}, None)


async def test_a_mutation(node: Play, server: Server, alice: Person) -> None:
    result = await node(SCRIPT, "mutation", url=server.url, alice=alice)
    assert result["error"] is None
    assert await alice.home_texts() == ["by urql"]


async def test_a_wrong_token_is_told_with_its_code(node: Play, server: Server, alice: Person) -> None:
    result = await node(SCRIPT, "wrong_token", url=server.url, alice=alice)
    assert (result["status"], result["codes"]) == (401, ["UNAUTHENTICATED"])


async def test_a_wrong_document_is_told_with_its_code(node: Play, server: Server, alice: Person) -> None:
    result = await node(SCRIPT, "invalid", url=server.url, alice=alice)
    assert result["codes"] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_an_event_comes_by_socket(node: Play, server: Server, alice: Person) -> None:
    event = await node(SCRIPT, "event_by_socket", url=server.url, alice=alice)
    assert event["__typename"] == "TimelineEntryAdded"
