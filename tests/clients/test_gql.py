"""gql, the Python client, against the real server."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Serve, Server
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "gql_client.py"


async def test_a_query_with_the_schema_of_the_server(python: Play, serve: Serve) -> None:
    server = await serve(introspection=True)
    alice = await server.sign_up("alice")
    assert await python(SCRIPT, "query", url=server.url, alice=alice) == {"viewer": {"handle": "alice"}}


async def test_a_mutation(python: Play, server: Server, alice: Person) -> None:
    payload = await python(SCRIPT, "mutation", url=server.url, alice=alice)
    assert payload == {"post": {"text": "by gql"}, "userErrors": []}


async def test_an_event_comes_by_socket(python: Play, server: Server, alice: Person) -> None:
    event = await python(SCRIPT, "event", url=server.url, alice=alice)
    assert event["edge"]["node"]["post"]["text"] == "live"


async def test_a_wrong_token_is_told(python: Play, server: Server, alice: Person) -> None:
    found = await python(SCRIPT, "wrong_token", url=server.url, alice=alice)
    assert "UNAUTHENTICATED" in found.get("codes", []) or "401" in found["message"], found


async def test_a_wrong_token_closes_the_socket_with_4403(python: Play, server: Server, alice: Person) -> None:
    found = await python(SCRIPT, "wrong_token_by_socket", url=server.url, alice=alice)
    assert "4403" in found["message"], found
