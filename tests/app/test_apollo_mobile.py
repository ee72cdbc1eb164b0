"""What Apollo Kotlin and Apollo iOS send, and what they need in return.

All of it is derived, not captured: from the SDKs' published sources and documentation, written down as requests.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.conftest import Server
from tests.people import Person, Socket


@dataclass(frozen=True)
class Sdk:
    """One SDK: its headers, and the method of a request that carries only a hash."""

    accept: str
    headers: dict[str, str]
    hashed: str


SDKS = {
    "Kotlin 3": Sdk(
        "multipart/mixed; deferSpec=20220824, application/json",
        {"X-APOLLO-OPERATION-ID": "5c1f", "X-APOLLO-OPERATION-NAME": "Viewer"},
        "GET",
    ),
    "Kotlin 4": Sdk(
        "multipart/mixed;deferSpec=20220824, application/graphql-response+json, application/json",
        {"apollographql-client-name": "org.example.square", "apollographql-client-version": "1.4.0"},
        "GET",
    ),
    "iOS": Sdk(
        "multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json",
        {
            "X-APOLLO-OPERATION-NAME": "Viewer",
            "X-APOLLO-OPERATION-TYPE": "query",
            "apollographql-client-name": "org.example.square-apollo-ios",
            "apollographql-client-version": "1.4.0-7",
        },
        "POST",
    ),
    "iOS, by GET": Sdk(
        "multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json",
        {"X-APOLLO-OPERATION-NAME": "Viewer", "X-APOLLO-OPERATION-TYPE": "query"},
        "GET",
    ),
}
every_sdk = pytest.mark.parametrize("sdk", SDKS.values(), ids=list(SDKS))


def unseen(operation: str) -> str:
    """A document that no server knows, as the SDKs print them: a name, and __typename in every selection."""
    return operation.replace("NAME", f"N{uuid.uuid4().hex}")


def hashed(document: str) -> dict[str, Any]:
    """The extension of an automatic persisted query."""
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}}


VIEWER = "query NAME { viewer { __typename id handle } }"


class Phone:
    """An app that speaks through one of the SDKs."""

    def __init__(self, sdk: Sdk, person: Person) -> None:
        self.sdk, self.person = sdk, person

    async def sends(self, method: str, **body: Any) -> httpx.Response:
        """One request, with the token that the person has."""
        headers = {"Accept": self.sdk.accept, **self.sdk.headers}
        if self.person.token is not None:
            headers["Authorization"] = f"Bearer {self.person.token}"
        url = f"{self.person.url}/graphql"
        if method == "GET":
            parameters = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
            return await self.person.http.get(url, params=parameters, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.person.http.post(url, content=json.dumps(body), headers=headers)


def is_json(answer: httpx.Response) -> bool:
    """Whether the type is one that the SDKs read; they took multipart only if they had been given it."""
    return answer.headers["content-type"].split(";")[0] in (
        "application/json",
        "application/graphql-response+json",
    )


@every_sdk
async def test_a_query(sdk: Sdk, alice: Person) -> None:
    """Derived, not captured. Neither asks for incremental delivery by listing it: the answer is plain JSON."""
    answer = await Phone(sdk, alice).sends("POST", operationName=None, variables={}, query=unseen(VIEWER))
    assert (answer.status_code, is_json(answer)) == (200, True)
    assert answer.json()["data"]["viewer"]["handle"] == "alice"


@every_sdk
async def test_a_persisted_query_is_found_after_it_was_told(sdk: Sdk, alice: Person) -> None:
    """Derived, not captured. The hash, then hash and document by POST, from then on the hash alone.

    At a miss iOS throws on any status but 2xx before it reads the body, and both look for exactly this message.
    """
    phone, document = Phone(sdk, alice), unseen(VIEWER)
    name = document.split()[1]
    asked = {"operationName": name, "variables": {}, "extensions": hashed(document)}
    miss = await phone.sends(sdk.hashed, **asked)
    assert (miss.status_code, is_json(miss)) == (200, True)
    assert [error["message"] for error in miss.json()["errors"]] == ["PersistedQueryNotFound"]
    assert miss.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    told = await phone.sends("POST", **asked, query=document)
    assert told.json()["data"]["viewer"]["handle"] == "alice"
    hit = await phone.sends(sdk.hashed, **asked)
    assert hit.json()["data"] == told.json()["data"]


async def test_a_persisted_query_is_told_by_get(alice: Person) -> None:
    """Derived, not captured. iOS with useGETForPersistedQueryRetry sends hash and document in the URL."""
    phone, document = Phone(SDKS["iOS, by GET"], alice), unseen(VIEWER)
    told = await phone.sends("GET", variables={}, extensions=hashed(document), query=document)
    assert told.json()["data"]["viewer"]["handle"] == "alice"
    hit = await phone.sends("GET", variables={}, extensions=hashed(document))
    assert hit.json()["data"] == told.json()["data"]


@every_sdk
async def test_a_session_is_refreshed_at_401(sdk: Sdk, server: Server, alice: Person) -> None:
    """Derived, not captured. Interceptors of both react to the status; refreshSession goes without a token."""
    alice.token = "nonsense"
    answer = await Phone(sdk, alice).sends("POST", query=unseen(VIEWER))
    assert (answer.status_code, is_json(answer)) == (401, True)
    assert "WWW-Authenticate" in answer.headers
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["UNAUTHENTICATED"]
    alice.token = None
    done = await alice.does(
        "refreshSession", "tokens { accessToken refreshToken }", refreshToken=alice.refresh_token
    )
    alice.token = done["tokens"]["accessToken"]
    again = await Phone(sdk, alice).sends("POST", query=unseen(VIEWER))
    assert again.json()["data"]["viewer"]["handle"] == "alice"


EVENTS = "subscription NAME { homeTimelineEvents { __typename liveCursor } }"


async def test_kotlin_subscribes_by_hash_alone(alice: Person) -> None:
    """Derived, not captured. With automatic persisted queries on, Kotlin leaves the document out of subscriptions too.

    A miss is an error of the operation, not of the socket; then it subscribes again, under a new id, with the document.
    """
    document = unseen(EVENTS)
    asked = {"operationName": document.split()[1], "variables": {}, "extensions": hashed(document)}
    async with alice.socket() as socket:
        first, second, third = (str(uuid.uuid4()) for _ in range(3))
        await socket.send({"id": first, "type": "subscribe", "payload": asked})
        miss = await socket.receive()
        assert (miss["type"], miss["id"]) == ("error", first)
        assert [error["message"] for error in miss["payload"]] == ["PersistedQueryNotFound"]
        await socket.send({"id": second, "type": "subscribe", "payload": {**asked, "query": document}})
        told = await socket.receive()
        assert (told["type"], told["id"]) == ("next", second)
        await socket.send({"id": second, "type": "complete"})
        await socket.send({"id": third, "type": "subscribe", "payload": asked})
        hit = await socket.receive()
        assert (hit["type"], hit["id"]) == ("next", third)
        assert hit["payload"]["data"]["homeTimelineEvents"]["__typename"] == "LiveCaughtUp"


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
async def test_the_token_travels_in_connection_init(server: Server, alice: Person, name: str) -> None:
    """Derived, not captured. Apps write the payload themselves, mostly with the name of the HTTP header."""
    address = f"{server.url.replace('http', 'ws', 1)}/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as connection:
        socket = Socket(connection)
        await socket.send({"type": "connection_init", "payload": {name: f"Bearer {alice.token}"}})
        assert (await socket.receive())["type"] == "connection_ack"
        # iOS numbers its operations.
        await socket.send({"id": "1", "type": "subscribe", "payload": {"query": unseen(VIEWER)}})
        assert (await socket.receive())["payload"]["data"]["viewer"]["handle"] == "alice"


async def test_kotlin_keeps_a_quiet_socket_alive(alice: Person) -> None:
    """Derived, not captured. Kotlin pings when it is told to, without a payload, and waits for the pong."""
    async with alice.socket() as socket:
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


@every_sdk
async def test_a_wrong_document_is_told(sdk: Sdk, alice: Person) -> None:
    """Derived, not captured. A build with a newer schema than the server's; the errors are read from the body."""
    answer = await Phone(sdk, alice).sends("POST", query="query Newer { nothing }")
    assert is_json(answer)
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]
