"""What one operation may cost, how long it may take and how much it may answer; and the budgets that pay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app import operations
from tests.conftest import Oracle, Serve, Server
from tests.people import EVENT_PATIENCE, Person

HANDLE = "{ viewer { handle } }"
PAGE = "query ($first: Int) { publicTimeline(first: $first) { edges { node { post { text } } } } }"
LIMIT = "{ rateLimit { cost limit remaining resetAt } viewer { handle } }"


@asynccontextmanager
async def locked(database: str, table: str) -> AsyncIterator[None]:
    """Nobody gets at the table during the block."""
    holder = await asyncpg.connect(database)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await holder.close()


async def test_an_answer_tells_what_it_cost_and_what_is_left(serve: Serve) -> None:
    server = await serve(cost_budget="1000/3600")
    alice = await server.sign_up("alice")
    first, second = (await alice.asks(HANDLE)).body, (await alice.asks(PAGE, first=10)).body
    assert first["extensions"]["cost"] == {
        "requested": 2,
        "limit": 5000,
        "budget": 1000,
        "remaining": 998,
        "resetsIn": pytest.approx(2 * 3.6, abs=0.1),
    }
    cost = second["extensions"]["cost"]
    assert cost["requested"] > 20
    assert cost["remaining"] == 998 - cost["requested"]


async def test_a_field_tells_the_same(serve: Serve) -> None:
    server = await serve(cost_budget="1001/3600")
    alice = await server.sign_up("alice")
    answer = await alice.asks(LIMIT)
    cost, told = answer.body["extensions"]["cost"], answer.data["rateLimit"]
    assert (told["cost"], told["limit"], told["remaining"]) == (
        cost["requested"],
        cost["budget"],
        cost["remaining"],
    )


async def test_without_budgets_there_is_nothing_to_tell(serve: Serve) -> None:
    server = await serve(cost_budget="0", cost_limit=0)
    answer = await server.passer_by().asks("{ rateLimit { cost } viewer { handle } }")
    assert answer.data == {"rateLimit": None, "viewer": None}
    assert answer.body["extensions"]["cost"].keys() == {"requested"}


async def test_what_costs_too_much_runs_nothing(serve: Serve, stored: Oracle) -> None:
    server = await serve(cost_limit=50)
    alice = await server.sign_up("alice")
    answer = await alice.asks(
        'mutation { createPost(input: {text: "no"}) { userErrors { code } '
        "post { author { followers(first: 100) { edges { node { handle } } } } } } }"
    )
    assert (answer.status, answer.error_codes) == (400, ["COST_LIMIT_EXCEEDED"])
    extensions = answer.body["errors"][0]["extensions"]
    assert (extensions["cost"] > 100, extensions["limit"]) == (True, 50)
    assert await stored.count("posts") == 0


async def test_variables_count_before_anything_is_read(serve: Serve, database: str) -> None:
    server = await serve(cost_limit=100)
    somebody = server.passer_by()
    assert (await somebody.asks(PAGE, first=10)).status == 200
    watched: list[Any] = []
    server.application.parts.database.watchers.append(lambda query: watched.append(query.name))
    assert (await somebody.asks(PAGE, first=100)).error_codes == ["COST_LIMIT_EXCEEDED"]
    assert "public_entries_down" not in watched


async def test_a_budget_that_is_spent_refuses_and_says_when_to_come_back(serve: Serve) -> None:
    server = await serve(cost_budget="100/3600")
    alice, bob = await server.sign_up("alice"), await server.sign_up("bob")
    while (answer := await alice.asks(PAGE, first=10)).error_codes == []:
        pass
    assert answer.error_codes == ["RATE_LIMITED"]
    told = answer.body["errors"][0]["extensions"]
    assert told["remaining"] < told["cost"] <= told["limit"] == 100
    assert 0 < told["retryAfter"] <= 3600
    # Somebody else's is theirs; what fits into the rest still runs.
    assert (await bob.asks(HANDLE)).data == {"viewer": {"handle": "bob"}}


async def test_many_connections_and_workers_spend_one_budget(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever has no answer in time goes on with what it last knew; on a busy machine Valkey, too, may need longer.
    monkeypatch.setattr("app.live.leases.ANSWER_TIMEOUT", EVENT_PATIENCE)
    one, other = await serve(cost_budget="1002/36000"), await serve(cost_budget="1002/36000")
    alice = await one.sign_up("alice")
    there = Person(other.url, other.http, token=alice.token)

    async def over_a_socket(person: Person, times: int) -> int:
        done = 0
        async with person.socket() as socket:
            for n in range(times):
                payload = {"query": PAGE, "variables": {"first": 10}}
                await socket.send({"id": str(n), "type": "subscribe", "payload": payload})
                answer = await socket.receive()
                if answer["type"] == "next" and "errors" not in answer["payload"]:
                    done += 1
                    assert (await socket.receive())["type"] == "complete"
        return done

    async def over_http(person: Person, times: int) -> int:
        return sum([(await person.asks(PAGE, first=10)).error_codes == [] for _ in range(times)])

    done = await asyncio.gather(
        *(over_a_socket(person, 20) for person in (alice, there) for _ in range(3)),
        *(over_http(person, 20) for person in (alice, there) for _ in range(3)),
    )
    cost = (await one.passer_by().asks(PAGE, first=10)).body["extensions"]["cost"]["requested"]
    # What came back meanwhile is less than one more.
    assert 1002 // cost // 2 <= sum(done) <= 1002 // cost + 1


async def test_a_subscription_pays_when_it_begins(serve: Serve) -> None:
    server = await serve(cost_limit=5)
    async with server.passer_by().socket() as socket:
        document = "subscription { publicTimelineEvents { liveCursor } }"
        await socket.send({"id": "s", "type": "subscribe", "payload": {"query": document}})
        answer = await socket.receive()
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == (
            "error",
            "COST_LIMIT_EXCEEDED",
        )
        await socket.send({"id": "q", "type": "subscribe", "payload": {"query": HANDLE}})
        assert (await socket.receive())["payload"]["data"] == {"viewer": None}


async def test_each_event_that_asks_for_much_is_paid(serve: Serve) -> None:
    server = await serve(cost_budget="1000/100000")
    alice, bob = await server.sign_up("alice"), await server.sign_up("bob")
    document = (
        "subscription { publicTimelineEvents { ... on TimelineEntryAdded { edge { node { post { text author { "
        "followers(first: 100) { edges { node { handle } } } } } } } } } }"
    )
    async with alice.socket() as socket:
        await socket.send({"id": "s", "type": "subscribe", "payload": {"query": document}})
        assert (await socket.receive())["type"] == "next"
        received = 0
        await bob.posts("post")
        while (answer := await socket.receive())["type"] == "next" and received < 12:
            received += 1
            await bob.posts(f"post {received}")
        assert answer["type"] == "error", answer
        assert answer["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 3 <= received <= 8
        # The socket goes on.
        await socket.send({"id": "q", "type": "subscribe", "payload": {"query": "{ __typename }"}})
        assert (await socket.receive())["id"] == "q"


async def test_an_event_that_is_too_long_is_not_sent(serve: Serve) -> None:
    server = await serve(max_response_characters=65_536)
    alice, bob = await server.sign_up("alice"), await server.sign_up("bob")
    for n in range(20):
        await bob.posts("x" * 250 + str(n))
    many = " ".join(f"a{n}: posts(first: 20) {{ edges {{ node {{ text }} }} }}" for n in range(20))
    document = (
        "subscription { publicTimelineEvents { ... on TimelineEntryAdded { edge { node { post { author { "
        f"{many} }} }} }} }} }} }} }}"
    )
    async with alice.socket() as socket:
        await socket.send({"id": "s", "type": "subscribe", "payload": {"query": document}})
        assert (await socket.receive())["type"] == "next"
        await bob.posts("now")
        answer = await socket.receive()
        assert answer["type"] == "error", str(answer)[:200]
        assert answer["payload"][0]["extensions"]["code"] == "RESPONSE_TOO_LARGE"


async def test_what_takes_too_long_is_stopped_in_the_database_as_well(
    serve: Serve, database: str, stored: Oracle
) -> None:
    server = await serve(operation_seconds=1)
    alice = await server.sign_up("alice")
    async with locked(database, "entries"):
        answer = await alice.asks(PAGE, first=1)
        assert answer.error_codes == ["TIMEOUT"]
        assert answer.status == 503
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%entries%'"
        assert await stored.rows(f"{waiting} AND datname = current_database() AND state = 'active'") == []
        # Its connection was given back.
        assert (await alice.asks(HANDLE)).data == {"viewer": {"handle": "alice"}}
    assert (await alice.asks(PAGE, first=1)).error_codes == []


async def test_a_mutation_that_takes_too_long_is_rolled_back(
    serve: Serve, database: str, stored: Oracle
) -> None:
    server = await serve(operation_seconds=1)
    alice = await server.sign_up("alice")
    async with locked(database, "outbox"):
        answer = await alice.asks('mutation { createPost(input: {text: "late"}) { userErrors { code } } }')
        assert answer.error_codes == ["TIMEOUT"]
    assert await stored.count("posts") == 0
    assert await alice.posts("in time")


async def test_an_answer_that_is_too_long_is_not_sent(serve: Serve) -> None:
    server = await serve(max_response_characters=65_536)
    alice = await server.sign_up("alice")
    for n in range(10):
        await alice.posts("ا" * 480 + str(n))
    fields = " ".join(f"a{n}: text" for n in range(200))
    answer = await alice.asks(
        f"{{ publicTimeline(first: 100) {{ edges {{ node {{ post {{ {fields} }} }} }} }} }}"
    )
    assert answer.error_codes == ["RESPONSE_TOO_LARGE"]
    assert answer.body["data"] is None


async def test_a_cheap_answer_of_long_texts_is_not_sent_either(serve: Serve) -> None:
    """Letters with combining marks: 500 for the eye, 4,900 characters."""
    server = await serve(max_response_characters=65_536)
    alice = await server.sign_up("alice")
    await alice.posts(("a" + "\u0323" * 9) * 490)
    fields = " ".join(f"a{n}: text" for n in range(40))
    answer = await alice.asks(
        f"{{ publicTimeline(first: 1) {{ edges {{ node {{ post {{ {fields} }} }} }} }} }}"
    )
    assert (answer.status, answer.error_codes) == (200, ["RESPONSE_TOO_LARGE"])
    assert answer.body["extensions"]["cost"]["requested"] < 50


def test_the_length_of_an_answer() -> None:
    for data, length in (({"a": ["x" * 100, {"b": None}]}, 140), ("x" * 10, 18), ([1] * 100, 808)):
        assert operations.is_longer(data, length - 1)
        assert not operations.is_longer(data, length)


async def test_a_server_by_itself_has_the_limits_of_the_readme(server: Server) -> None:
    assert (server.settings.cost_limit, server.settings.operation_seconds) == (5000, 10)
