"""How answers come over HTTP: types and statuses, compressed, tagged, and to whose pages."""

import gzip
import json
from hashlib import sha256
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no types
import httpx
import pytest
import zstandard

from app.http_requests import PREFLIGHT_HEADERS
from tests.conftest import Serve, Server
from tests.people import Person

GRAPHQL, PLAIN = "application/graphql-response+json", "application/json"
VIEWER = "{ viewer { handle } }"
UNPACK = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


async def posted(server: Server, request: Any, **headers: str) -> httpx.Response:
    given = {"content-type": PLAIN} | {name.replace("_", "-"): value for name, value in headers.items()}
    body = request if isinstance(request, (str, bytes)) else json.dumps(request)
    return await server.http.post(f"{server.url}/graphql", content=body, headers=given)


async def raw(server: Server, request: Any, **headers: str) -> tuple[httpx.Headers, bytes]:
    """Headers and body as they were sent, not decompressed."""
    given = {"content-type": PLAIN} | {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{server.url}/graphql"
    async with server.http.stream("POST", url, content=json.dumps(request), headers=given) as answer:
        return answer.headers, b"".join([part async for part in answer.aiter_raw()])


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        ({"query": VIEWER}, (200, 200, 200)),
        ({"query": "{ homeTimeline { liveCursor } viewer { id } }"}, (200, 200, 200)),
        ({"query": "{ nothing }"}, (400, 200, 400)),
        ({"query": "{"}, (400, 200, 400)),
        ({"query": "query ($id: ID!) { node(id: $id) { id } }"}, (400, 200, 400)),
        ({"query": "query A { viewer { id } }", "operationName": "B"}, (400, 200, 400)),
        ({"documentId": "nobody"}, (400, 200, 400)),
        ({"query": 1}, (400, 400, 400)),
        ("{", (400, 400, 400)),
        ([{"query": VIEWER}], (400, 400, 400)),
        ({"query": "subscription { publicTimelineEvents { liveCursor } }"}, (400, 400, 400)),
    ],
)
async def test_the_status_depends_on_what_is_accepted(
    server: Server, request_: Any, statuses: tuple[int, int, int]
) -> None:
    for accept, media, status in zip((GRAPHQL, PLAIN, "*/*"), (GRAPHQL, PLAIN, PLAIN), statuses, strict=True):
        answer = await posted(server, request_, accept=accept)
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"
        assert answer.status_code == status, (accept, answer.text)


async def test_nothing_acceptable_is_406_and_says_what_there_is(server: Server) -> None:
    for accept in ("text/html", "multipart/mixed", "application/json;q=0", "image/*"):
        answer = await posted(server, {"query": VIEWER}, accept=accept)
        assert answer.status_code == 406
        assert GRAPHQL in answer.json()["errors"][0]["message"]


async def test_the_status_of_invalid_documents_may_be_422(serve: Serve) -> None:
    server = await serve(validation_status="422")
    assert (await posted(server, {"query": "{ nothing }"}, accept=GRAPHQL)).status_code == 422
    assert (await posted(server, {"query": "{ nothing }"}, accept=PLAIN)).status_code == 200
    assert (await posted(server, {"query": "{"}, accept=GRAPHQL)).status_code == 400


async def test_a_token_that_is_over_is_401_whatever_is_accepted(server: Server) -> None:
    for accept in (GRAPHQL, PLAIN, "*/*", "text/event-stream"):
        answer = await posted(server, {"query": VIEWER}, accept=accept, authorization="Bearer x")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (
            401,
            'Bearer error="invalid_token"',
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_spent_budget_is_429_and_says_when_to_come_back(serve: Serve) -> None:
    server = await serve(cost_budget="60/3000")
    alice = await server.sign_up("alice")
    token = f"Bearer {alice.token}"
    for _ in range(40):
        await posted(server, {"query": VIEWER}, authorization=token)
    answer = await posted(server, {"query": VIEWER}, accept=GRAPHQL, authorization=token)
    assert answer.status_code == 429
    told = answer.json()["errors"][0]["extensions"]
    assert answer.headers["retry-after"] == str(told["retryAfter"])


async def test_a_compressed_request_is_refused(server: Server) -> None:
    body = gzip.compress(json.dumps({"query": VIEWER}).encode())
    answer = await posted(server, body, content_encoding="gzip")
    assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_large_answers_are_compressed(alice: Person, server: Server, encoding: str) -> None:
    for n in range(30):
        await alice.posts("و" * 100 + str(n))
    fields = " ".join(f"a{n}: text" for n in range(20))
    for first in (5, 30):
        page = f"{{ publicTimeline(first: {first}) {{ edges {{ node {{ post {{ text {fields} }} }} }} }} }}"
        headers, body = await raw(server, {"query": page}, accept_encoding=encoding)
        assert headers["content-encoding"] == encoding
        assert headers["content-length"] == str(len(body))
        plain = UNPACK[encoding](body)
        assert len(body) < len(plain) / 4
        assert len(json.loads(plain)["data"]["publicTimeline"]["edges"]) == first


async def test_small_answers_are_not_compressed(server: Server) -> None:
    headers, _ = await raw(server, {"query": VIEWER}, accept_encoding="gzip, br, zstd")
    assert "content-encoding" not in headers


async def persisted(server: Server, text: str, **headers: str) -> httpx.Response:
    """A GET of a document that was registered before."""
    digest = sha256(text.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    assert (await posted(server, {"query": text, "extensions": extensions})).status_code == 200
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    params = {"extensions": json.dumps(extensions)}
    return await server.http.get(f"{server.url}/graphql", params=params, headers=given)


async def test_gets_of_persisted_documents_have_tags(server: Server, alice: Person) -> None:
    text = "query Tagged { publicTimeline(first: 1) { edges { node { post { text } } } } }"
    answer = await persisted(server, text)
    tag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "public, no-cache"
    assert "Authorization" in answer.headers["vary"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await persisted(server, text, if_none_match=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in again.headers
    assert (await persisted(server, text, if_none_match='"other"')).status_code == 200
    await alice.posts("news")
    changed = await persisted(server, text, if_none_match=tag)
    assert (changed.status_code, "news" in changed.text) == (200, True)
    assert changed.headers["etag"] != tag


async def test_what_a_viewer_sees_and_what_failed_is_kept_by_nobody(server: Server, alice: Person) -> None:
    text = "query Mine { viewer { handle } }"
    mine = await persisted(server, text, authorization=f"Bearer {alice.token}")
    assert mine.headers["cache-control"] == "no-store"
    assert "etag" not in mine.headers
    failing = "query Failing { homeTimeline { liveCursor } viewer { id } }"
    assert (await persisted(server, failing)).headers["cache-control"] == "no-store"
    plain = await server.http.get(f"{server.url}/graphql", params={"query": VIEWER})
    assert plain.headers["cache-control"] == "no-store"


FROM_ELSEWHERE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-mode": "no-cors"},
    {"origin": "https://elsewhere.example"},
    {"origin": "null"},
    {"cookie": "a=b"},
]
FROM_HERE = [
    {},
    {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    {"sec-fetch-site": "same-origin", "cookie": "a=b"},
    {"sec-fetch-mode": "cors"},
]


async def test_a_get_that_another_site_may_have_caused_needs_a_header_that_it_cannot_send(
    server: Server,
) -> None:
    async def got(headers: dict[str, str]) -> int:
        answer = await server.http.get(f"{server.url}/graphql", params={"query": VIEWER}, headers=headers)
        assert answer.headers["content-type"].startswith(PLAIN)
        return answer.status_code

    for headers in FROM_ELSEWHERE:
        assert await got(headers) == 403, headers
        for name in PREFLIGHT_HEADERS:
            assert await got(headers | {name: "1"}) == 200, (headers, name)
        assert await got(headers | {"content-type": "application/json"}) == 200
        assert await got(headers | {"content-type": "text/plain"}) == 403
    for headers in FROM_HERE:
        assert await got(headers) == 200, headers


PAGE = "https://app.example"


async def test_no_page_of_another_origin_reads_answers_unless_it_is_configured(serve: Serve) -> None:
    ask = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    closed = await serve()
    answer = await closed.http.options(f"{closed.url}/graphql", headers=ask)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)
    open_ = await serve(cors_origins=(PAGE,))
    for path in ("/graphql", "/schema.graphql"):
        answer = await open_.http.options(f"{open_.url}{path}", headers=ask)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
        assert answer.headers["access-control-allow-headers"] == "authorization"
        other = await open_.http.options(
            f"{open_.url}{path}", headers=ask | {"origin": "https://other.example"}
        )
        assert "access-control-allow-origin" not in other.headers
    answer = await posted(open_, {"query": VIEWER}, origin=PAGE)
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()
    # Such a page may send GETs as well.
    params = {"query": VIEWER}
    assert (
        await open_.http.get(f"{open_.url}/graphql", params=params, headers={"origin": PAGE})
    ).status_code == 200
    everybody = await serve(cors_origins=("*",))
    answer = await posted(everybody, {"query": VIEWER}, origin="https://any.example")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_schema_is_there_for_tools(serve: Serve) -> None:
    server = await serve(introspection=True)
    url = f"{server.url}/schema.graphql"
    answer = await server.http.get(url)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "type Query {" in answer.text
    again = await server.http.get(url, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await server.http.get(url, headers={"accept-encoding": "br"})).text == answer.text
    closed = await serve(introspection=False)
    answer = await closed.http.get(f"{closed.url}/schema.graphql")
    assert (answer.status_code, len(answer.json()["errors"])) == (404, 1)


async def test_where_the_schema_is_closed_nothing_tells_of_it(serve: Serve) -> None:
    server = await serve(introspection=False)
    for query in ("{ __schema { types { name } } }", '{ __type(name: "User") { name } }'):
        answer = await posted(server, {"query": query}, accept=GRAPHQL)
        assert answer.status_code == 400
        assert "introspection" in answer.text
    for query, variables in (
        ("{ viever { id } }", {}),
        ("{ viewer }", {}),
        ("mutation { createPost(input: {texd: 1}) { userErrors { code } } }", {}),
        (
            "mutation ($i: CreatePostInput!) { createPost(input: $i) { userErrors { code } } }",
            {"i": {"texd": "x"}},
        ),
    ):
        answer = await posted(server, {"query": query, "variables": variables})
        assert "Did you mean" not in answer.text, answer.text
    assert (await posted(server, {"query": "{ viewer { __typename } }"})).json()["data"] == {"viewer": None}


async def test_other_paths_and_methods_are_refused_in_json(server: Server) -> None:
    for path, method in (
        ("/nothing", "GET"),
        ("/healthz", "DELETE"),
        ("/graphql", "DELETE"),
        ("/graphql", "PUT"),
    ):
        answer = await server.http.request(method, server.url + path)
        assert answer.status_code in (404, 405)
        assert answer.json()["errors"][0]["message"]
        if answer.status_code == 405:
            assert answer.headers["allow"]
