"""What clients ask for in Accept, and that they get it: the type of an answer decides how they read its errors."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server
from tests.people import Person

pytestmark = pytest.mark.clients
GRAPHQL = "application/graphql-response+json"


async def test_apollo_gets_the_type_that_it_prefers(node: Play, server: Server, alice: Person) -> None:
    (request,) = (await node("apollo.mjs", "query", url=server.url, alice=alice))["sent"]
    assert request["type"] == GRAPHQL


async def test_apollo_tells_the_code_of_a_document_that_is_wrong(
    node: Play, server: Server, alice: Person
) -> None:
    found = await node("apollo.mjs", "invalid", url=server.url, alice=alice)
    assert (found["name"], found["codes"]) == ("CombinedGraphQLErrors", ["GRAPHQL_VALIDATION_FAILED"])


async def test_apollo_tells_the_code_of_a_401(node: Play, server: Server, alice: Person) -> None:
    found = await node("apollo.mjs", "wrong_token", url=server.url, alice=alice)
    assert (found["name"], found["codes"]) == ("CombinedGraphQLErrors", ["UNAUTHENTICATED"])


@pytest.mark.parametrize("scene", ["query", "query_by_post", "mutation"])
async def test_urql_lists_event_streams_and_is_answered_with_json(
    node: Play, server: Server, alice: Person, scene: str
) -> None:
    found = await node("urql.mjs", scene, url=server.url, alice=alice)
    (request,) = found["sent"]
    assert "text/event-stream" in request["accept"]
    assert request["type"] == GRAPHQL
