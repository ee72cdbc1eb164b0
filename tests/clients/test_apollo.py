"""@apollo/client against the real server: links, sockets, and its cache by type and id."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "apollo.mjs"


@pytest.mark.parametrize(("scene", "method"), [("query", "POST"), ("query_by_get", "GET")])
async def test_a_query(node: Play, server: Server, alice: Person, scene: str, method: str) -> None:
    await alice.posts("good morning")
    result = await node(SCRIPT, scene, url=server.url, alice=alice)
    (edge,) = result["data"]["publicTimeline"]["edges"]
    assert edge["node"]["post"]["text"] == "good morning"
    (request,) = result["sent"]
    assert (request["method"], request["status"]) == (method, 200)


async def test_a_mutation(node: Play, server: Server, alice: Person) -> None:
    payload = await node(SCRIPT, "mutation", url=server.url, alice=alice)
    assert payload["userErrors"] == []
    assert await alice.home_texts() == ["by Apollo"]


async def test_an_event_comes_by_socket(node: Play, server: Server, alice: Person) -> None:
    event = await node(SCRIPT, "event", url=server.url, alice=alice)
    assert event["__typename"] == "TimelineEntryAdded"


async def test_what_a_mutation_answers_shows_in_a_page_that_is_held(
    node: Play, server: Server, alice: Person
) -> None:
    post = await alice.posts("like me")
    found = await node(SCRIPT, "mutation_updates_the_page", url=server.url, alice=alice, post=post)
    # One request for the page, one for the like, none to see it.
    assert found == {"shown": [0, 1], "requests": 2}


async def test_what_an_event_brings_shows_in_a_page_that_is_held(
    node: Play, server: Server, alice: Person, bob: Person
) -> None:
    post = await alice.posts("like me")
    found = await node(SCRIPT, "event_updates_the_page", url=server.url, alice=alice, bob=bob, post=post)
    assert found == {"shown": [0, 1], "requests": 1}


async def test_a_wrong_token_is_told_with_its_code(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "wrong_token", url=server.url, alice=alice)
    (request,) = found["sent"]
    assert request["status"] == 401
    if found["graphql"]:
        assert found["codes"] == ["UNAUTHENTICATED"]
    else:  # An answer of application/json that is not 2xx comes as text.
        assert found["status"] == 401
        assert found["body"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_app_refreshes_its_session_at_401(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "refreshes", url=server.url, alice=alice)
    assert found["data"]["viewer"]["handle"] == "alice"
    assert [request["status"] for request in found["sent"]] == [401, 200]


async def test_a_refusal_is_data(node: Play, server: Server, alice: Person) -> None:
    payload = await node(SCRIPT, "refused", url=server.url, alice=alice)
    assert payload["post"] is None
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID"]
