"""Documents by an id: Apollo's automatic persisted queries, documentId, Relay's doc_id and id, trusted documents."""

import json
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from app.documents import manifests
from app.embedded import EmbeddedValkey
from app.live.texts import TEXT, SharedTexts
from tests.conftest import Serve, Server, serving
from tests.live import holds
from tests.people import Answer, Person

# Documents are known to a whole process, so each test makes its own.
VIEWER = "query {name} {{ viewer {{ handle }} }}"


def document(name: str) -> tuple[str, str]:
    """A document and its SHA-256."""
    text = VIEWER.format(name=name)
    return text, sha256(text.encode()).hexdigest()


def automatic(digest: str, text: str | None = None, version: object = 1) -> dict[str, Any]:
    """What an Apollo client sends."""
    request: dict[str, Any] = {"extensions": {"persistedQuery": {"version": version, "sha256Hash": digest}}}
    return request if text is None else request | {"query": text}


async def sent(person: Person, request: dict[str, Any]) -> Answer:
    headers = {"content-type": "application/json"}
    if person.token is not None:
        headers["authorization"] = f"Bearer {person.token}"
    answer = await person.http.post(f"{person.url}/graphql", content=json.dumps(request), headers=headers)
    return Answer(answer.status_code, answer.json(), answer.headers)


def manifest(folder: Path, *names: str) -> Path:
    """A manifest of Relay's form."""
    file = folder / "documents.json"
    file.write_text(json.dumps({f"id-of-{name}": document(name)[0] for name in names}))
    return file


async def trusted(server: Server, folder: Path, *names: str) -> None:
    assert server.settings.database_url is not None
    await manifests.trust(server.settings.database_url, manifests.read(manifest(folder, *names)))


async def test_a_miss_says_so_in_apollos_words_and_the_text_is_kept(alice: Person) -> None:
    text, digest = document("Kept")
    miss = await sent(alice, automatic(digest))
    assert (miss.status, miss.body["errors"][0]["message"]) == (200, "PersistedQueryNotFound")
    assert miss.error_codes == ["PERSISTED_QUERY_NOT_FOUND"]
    assert "data" not in miss.body
    for request in (automatic(digest, text), automatic(digest)):
        assert (await sent(alice, request)).data == {"viewer": {"handle": "alice"}}


async def test_a_registered_text_is_known_to_the_other_workers(alice: Person, valkey: EmbeddedValkey) -> None:
    text, digest = document("Shared")
    async with SharedTexts.connected(valkey.url) as shared:
        # As another worker would: this process knows what it ran.
        await shared.put(digest, text)
        assert await shared.get(digest) == text
    assert (await sent(alice, automatic(digest))).data == {"viewer": {"handle": "alice"}}


async def test_what_a_client_registers_is_shared(alice: Person, valkey: EmbeddedValkey) -> None:
    text, digest = document("Registered")
    await sent(alice, automatic(digest, text))
    async with SharedTexts.connected(valkey.url) as shared:

        async def is_there() -> bool:
            return await shared.get(digest) == text

        await holds(is_there)


async def test_a_hash_that_is_not_the_texts_registers_nothing(alice: Person) -> None:
    text, digest = document("Forged")
    _, other = document("Victims")
    forged = await sent(alice, automatic(other, text))
    assert (forged.status, forged.error_codes) == (400, ["BAD_USER_INPUT"])
    for unknown in (other, digest):
        assert (await sent(alice, automatic(unknown))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]


async def test_a_text_that_is_poisoned_in_valkey_does_not_run(alice: Person, valkey: EmbeddedValkey) -> None:
    _, digest = document("Clean")
    redis = Redis.from_url(valkey.url)
    await redis.set(TEXT + digest, document("Poisoned")[0])
    await redis.aclose()
    assert (await sent(alice, automatic(digest))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]


async def test_what_is_invalid_is_not_registered(alice: Person) -> None:
    text = "query Wrong { viever { handle } }"
    digest = sha256(text.encode()).hexdigest()
    refused = await sent(alice, automatic(digest, text))
    assert (refused.status, refused.error_codes) == (400, ["GRAPHQL_VALIDATION_FAILED"])
    assert (await sent(alice, automatic(digest))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]


@pytest.mark.parametrize(
    "request_",
    [
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "a" * 64}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 5}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x" * 300}}},
        {"extensions": {"persistedQuery": []}},
        {"extensions": [1]},
        {"documentId": 5},
        {"documentId": ""},
        {"doc_id": {}},
        {"id": "a\0b"},
        {"id": "\ud800"},
    ],
)
async def test_malformed_references_are_refused(server: Server, request_: dict[str, Any]) -> None:
    answer = await sent(server.passer_by(), request_)
    assert (answer.status, answer.error_codes) == (400, ["BAD_USER_INPUT"])


async def test_an_unknown_id_is_refused(server: Server) -> None:
    for request in (
        {"documentId": "nobody"},
        {"documentId": "sha256:" + "a" * 64},
        {"doc_id": "1"},
        {"id": "é"},
    ):
        answer = await sent(server.passer_by(), request)
        assert (answer.status, answer.error_codes) == (400, ["PERSISTED_QUERY_NOT_FOUND"])


async def test_trusted_documents_run_by_every_kind_of_reference(serve: Serve, tmp_path: Path) -> None:
    server = await serve(documents="trusted")
    await trusted(server, tmp_path, "Trusted", "Other")
    text, digest = document("Trusted")
    somebody = server.passer_by()
    for request in (
        {"documentId": "id-of-Trusted"},
        {"doc_id": "id-of-Trusted", "variables": {}},
        {"id": "id-of-Trusted", "operationName": "Trusted"},
        {"id": "id-of-Trusted", "query": ""},
        {"documentId": f"sha256:{digest}"},
        automatic(digest),
        automatic(digest, text),
        {"query": text},
    ):
        answer = await sent(somebody, request)
        assert (answer.status, answer.data) == (200, {"viewer": None}), request


async def test_where_only_trusted_documents_run_no_other_does(serve: Serve, tmp_path: Path) -> None:
    server = await serve(documents="trusted")
    await trusted(server, tmp_path, "Known")
    text, digest = document("Unknown")
    somebody = server.passer_by()
    for request in ({"query": text}, automatic(digest, text), {"query": "{ __typename }"}):
        answer = await sent(somebody, request)
        assert (answer.status, answer.error_codes) == (403, ["DOCUMENT_NOT_TRUSTED"])
    assert (await sent(somebody, automatic(digest))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]
    # What others know of the document does not help.
    other = await serve()
    assert (await sent(other.passer_by(), automatic(digest, text))).status == 200
    assert (await sent(somebody, automatic(digest))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]


async def test_subscriptions_run_by_their_id_alone(alice: Person, valkey: EmbeddedValkey) -> None:
    text = "subscription ByHash { homeTimelineEvents { __typename } }"
    digest = sha256(text.encode()).hexdigest()
    async with alice.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": automatic(digest)})
        miss = await socket.receive()
        assert (miss["id"], miss["type"]) == ("1", "error")
        assert miss["payload"][0]["message"] == "PersistedQueryNotFound"
        async with SharedTexts.connected(valkey.url) as shared:
            await shared.put(digest, text)
        await socket.send({"id": "1", "type": "subscribe", "payload": automatic(digest)})
        event = await socket.receive()
        assert event["payload"]["data"]["homeTimelineEvents"]["__typename"] == "LiveCaughtUp"


async def test_a_get_by_hash_runs(server: Server) -> None:
    text, digest = document("Got")
    await sent(server.passer_by(), automatic(digest, text))
    extensions = json.dumps({"persistedQuery": {"version": 1, "sha256Hash": digest}})
    answer = await server.http.get(f"{server.url}/graphql", params={"extensions": extensions})
    assert (answer.status_code, answer.json()["data"]) == (200, {"viewer": None})


async def test_without_valkey_registering_helps_the_same_worker(database: str, tmp_path: Path) -> None:
    async with serving(database, f"unix://{tmp_path}/dead.sock") as server:
        text, digest = document("Local")
        somebody = server.passer_by()
        assert (await sent(somebody, automatic(digest))).error_codes == ["PERSISTED_QUERY_NOT_FOUND"]
        for request in (automatic(digest, text), automatic(digest)):
            assert (await sent(somebody, request)).data == {"viewer": None}


async def test_registered_texts_are_bounded(either_valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.texts.MOST", 3)
    monkeypatch.setattr("app.live.texts.TEXT", "{bounded}:")
    monkeypatch.setattr("app.live.texts.NEWEST", "{bounded}")
    async with SharedTexts.connected(either_valkey) as shared:
        made = [document(f"Bounded{n}") for n in range(10)]
        for text, digest in made:
            await shared.put(digest, text)
        assert sum([await shared.get(digest) is not None for _, digest in made]) == 3
        await shared.put(sha256(b"x" * 30_000).hexdigest(), "x" * 30_000)
        assert await shared.get(sha256(b"x" * 30_000).hexdigest()) is None


async def test_a_subscription_by_its_id_is_answered_by_events(alice: Person, valkey: EmbeddedValkey) -> None:
    text = "subscription EventsByHash { homeTimelineEvents { __typename } }"
    digest = sha256(text.encode()).hexdigest()
    async with SharedTexts.connected(valkey.url) as shared:
        await shared.put(digest, text)
    headers = {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "authorization": f"Bearer {alice.token}",
    }
    body = json.dumps(automatic(digest))
    async with alice.http.stream("POST", f"{alice.url}/graphql", content=body, headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        event = json.loads(line.removeprefix("data: "))
    assert event == {"data": {"homeTimelineEvents": {"__typename": "LiveCaughtUp"}}}


async def test_what_is_not_trusted_is_logged_once_where_that_is_asked_for(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def warning(event: str, **values: Any) -> None:
        told.append({"event": event} | values)

    monkeypatch.setattr("app.documents.documents.log", SimpleNamespace(warning=warning))
    server = await serve(documents="log")
    await trusted(server, tmp_path, "LoggedNot")
    somebody = server.passer_by()
    text, digest = document("Logged")
    for request in ({"documentId": "id-of-LoggedNot"}, {"query": text}, {"query": text}):
        assert (await sent(somebody, request)).data == {"viewer": None}
    assert told == [{"event": "a document that is not trusted", "names": ["Logged"], "sha256": digest}]


async def test_trusted_documents_may_ask_for_the_schema_where_others_may_not(
    serve: Serve, tmp_path: Path
) -> None:
    server = await serve(introspection=False)
    text = "query Names { __schema { queryType { name } } }"
    (tmp_path / "schema.json").write_text(json.dumps({"names": text}))
    assert server.settings.database_url is not None
    await manifests.trust(server.settings.database_url, manifests.read(tmp_path / "schema.json"))
    somebody = server.passer_by()
    assert (await sent(somebody, {"documentId": "names"})).data == {
        "__schema": {"queryType": {"name": "Query"}}
    }
    assert set((await sent(somebody, {"query": text})).error_codes) == {"GRAPHQL_VALIDATION_FAILED"}


async def test_a_text_is_not_trusted_because_its_hash_was_given_to_another(
    serve: Serve, tmp_path: Path
) -> None:
    server = await serve(documents="trusted")
    other, digest = document("Never")
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({digest: document("Instead")[0]}))
    assert server.settings.database_url is not None
    await manifests.trust(server.settings.database_url, manifests.read(file))
    person = server.passer_by()
    assert (await sent(person, {"query": other})).error_codes == ["DOCUMENT_NOT_TRUSTED"]
    assert (await sent(person, {"query": document("Instead")[0]})).data == {"viewer": None}
