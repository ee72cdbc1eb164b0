"""npm graphql-ws against the real server."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "graphql_ws.mjs"


async def test_a_query(node: Play, server: Server, alice: Person) -> None:
    await alice.posts("good morning")
    result = await node(SCRIPT, "query", url=server.url, alice=alice)
    assert "errors" not in result
    (edge,) = result["data"]["publicTimeline"]["edges"]
    assert edge["node"]["post"]["text"] == "good morning"


async def test_a_mutation(node: Play, server: Server, alice: Person) -> None:
    result = await node(SCRIPT, "mutation", url=server.url, alice=alice)
    assert result["data"]["createPost"]["post"]["author"]["handle"] == "alice"
    assert await alice.home_texts() == ["by socket"]


async def test_an_event_comes_through(node: Play, server: Server, alice: Person) -> None:
    event = await node(SCRIPT, "event", url=server.url, alice=alice)
    assert event["__typename"] == "TimelineEntryAdded"


async def test_a_bad_operation_leaves_the_others_alone(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "several_at_once", url=server.url, alice=alice)
    assert [error["extensions"]["code"] for error in found["bad"]] == ["GRAPHQL_VALIDATION_FAILED"]
    assert found["good"]["data"]["viewer"]["handle"] == "alice"


async def test_a_client_whose_network_was_cut_resumes_without_a_gap(
    node: Play, server: Server, alice: Person
) -> None:
    texts = await node(SCRIPT, "resumes", url=server.url, alice=alice)
    assert texts == ["before", "meanwhile 1", "meanwhile 2", "after"]


async def test_a_wrong_token_closes_with_4403(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "wrong_token", url=server.url, alice=alice)
    assert (found["code"], found["codes"]) == (4403, [4403])
    assert found["reason"].startswith("Forbidden")


async def test_the_client_comes_back_with_a_new_token_after_4403(
    node: Play, server: Server, alice: Person
) -> None:
    found = await node(SCRIPT, "new_token_after_4403", url=server.url, alice=alice)
    assert found["codes"][0] == 4403
    assert found["result"]["data"]["viewer"]["handle"] == "alice"


async def test_signing_out_ends_the_socket_with_4403(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "signed_out", url=server.url, alice=alice)
    assert (found["code"], found["codes"]) == (4403, [4403])


async def test_nobody_needs_a_token_to_connect(node: Play, server: Server) -> None:
    result = await node(SCRIPT, "anonymous", url=server.url)
    assert result["data"] == {"viewer": None}
