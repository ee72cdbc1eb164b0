"""Event streams, one for each operation: npm graphql-sse and urql against the real server."""

import pytest

from app import metrics
from tests.clients.conftest import Play
from tests.conftest import Server
from tests.live import holds
from tests.people import Person

pytestmark = pytest.mark.clients
SCRIPT = "graphql_sse.mjs"


def running() -> float:
    """How many subscriptions the server has running."""
    return float(metrics.STREAMS._value.get())


async def test_a_query(node: Play, server: Server, alice: Person) -> None:
    await alice.posts("good morning")
    (result,) = (await node(SCRIPT, "query", url=server.url, alice=alice))["found"]
    (edge,) = result["data"]["publicTimeline"]["edges"]
    assert edge["node"]["post"]["text"] == "good morning"


async def test_an_event_comes_through(node: Play, server: Server, alice: Person) -> None:
    event = await node(SCRIPT, "event", url=server.url, alice=alice)
    assert event["__typename"] == "TimelineEntryAdded"


async def test_a_stream_is_resumed_with_its_cursor(node: Play, server: Server, alice: Person) -> None:
    assert await node(SCRIPT, "resumes", url=server.url, alice=alice) == ["meanwhile"]


def codes(found: dict[str, object]) -> list[str]:
    """The codes of an operation that was refused, as an event or as an answer that is no stream."""
    answers = [*found["found"], found.get("body")]  # type: ignore[misc]  # from JSON
    return [
        error["extensions"]["code"]
        for answer in answers
        if answer is not None
        for error in answer.get("errors", [])
    ]


async def test_a_wrong_document_is_told(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "invalid", url=server.url, alice=alice)
    assert codes(found) == ["GRAPHQL_VALIDATION_FAILED"]


async def test_a_subscription_that_may_not_begin_is_told(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "refused", url=server.url, alice=alice)
    assert codes(found) == ["UNAUTHENTICATED"]


async def test_a_wrong_token_is_401(node: Play, server: Server, alice: Person) -> None:
    found = await node(SCRIPT, "wrong_token", url=server.url, alice=alice)
    assert found["error"]["status"] == 401
    assert codes(found) == ["UNAUTHENTICATED"]


async def test_a_client_that_stops_ends_the_stream(node: Play, server: Server, alice: Person) -> None:
    before = running()
    # It caught up, and completed.
    assert await node(SCRIPT, "stopped", url=server.url, alice=alice) == 2
    await holds(lambda: running() == before)


async def test_urql_subscribes_by_event_stream(node: Play, server: Server, alice: Person) -> None:
    found = await node("urql.mjs", "event_by_sse", url=server.url, alice=alice)
    assert found["event"]["__typename"] == "TimelineEntryAdded"
    assert found["query"]["error"] is None
    assert found["mutation"]["error"] is None


async def test_urql_that_unsubscribes_ends_the_stream(node: Play, server: Server, alice: Person) -> None:
    before = running()
    assert await node("urql.mjs", "stopped_sse", url=server.url, alice=alice) == 1
    await holds(lambda: running() == before)
