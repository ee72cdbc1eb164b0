"""GraphQL over HTTP from the outside: statuses, JSON bodies, request ids, and what hostile requests get."""

import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs

from dataloaders.database import DatabaseUnavailable
from resolvers import users
from tests.conftest import Oracle, Serve, Server
from tests.people import Person

JSON = {"content-type": "application/json"}
LARGEST = 262_144
VIEWER = "{ viewer { id } }"


def codes(answer: httpx.Response) -> list[str]:
    """The codes of an answer, which must be JSON with a request id that nobody may keep."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-request-id"]) == 16
    errors = answer.json().get("errors", [])
    assert all(error["message"].strip() for error in errors)
    return [error["extensions"]["code"] for error in errors]


async def sent(server: Server, body: bytes | str, **headers: str) -> httpx.Response:
    """The answer to a POST with this body."""
    return await server.http.post(f"{server.url}/graphql", content=body, headers=JSON | headers)


async def asked(server: Server, **request: object) -> httpx.Response:
    """The answer to a POST with these parameters."""
    return await sent(server, json.dumps(request))


async def test_what_is_no_request_is_refused_as_such(server: Server) -> None:
    for body in (
        *("", "{", "{'query': 1}", "\ufeff{}", '{"query": "{ viewer { id } }"', "NaN", "[" * 100_000),
        *("[]", "null", "1", '"{ viewer { id } }"', '[{"query": "{ viewer { id } }"}]'),
        *("{}", '{"query": null}', '{"query": ""}', '{"query": " \\n"}', '{"query": 1}', '{"query": ["x"]}'),
        *(
            '{"query": "{ viewer { id } }", "variables": []}',
            '{"query": "{ viewer { id } }", "variables": "{}"}',
        ),
        '{"query": "{ viewer { id } }", "operationName": 1}',
        '{"query": "{ viewer { id } }", "operationName": "Other"}',
        '{"query": "query A { viewer { id } } query B { viewer { id } }"}',
        '{"query": "query A { viewer { id } } query B { viewer { id } }", "operationName": "C"}',
        '{"query": "fragment F on User { id }"}',
    ):
        answer = await sent(server, body.encode())
        assert answer.status_code == 400
        assert codes(answer)[0] in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")
        assert "data" not in answer.json()


async def test_bytes_that_are_no_text_are_refused(server: Server) -> None:
    answer = await sent(server, b'{"query": "\xff\xfe"}')
    assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"])


async def test_a_document_that_cannot_be_parsed_says_where(server: Server) -> None:
    for document in ("{", "viewer", "{ viewer { id } } }", "query {", "{ \u0000 }", "# nothing"):
        answer = await asked(server, query=document)
        assert (answer.status_code, codes(answer)) == (400, ["GRAPHQL_PARSE_FAILED"])
        assert answer.json()["errors"][0]["locations"][0]["line"] == 1


async def test_a_document_that_is_not_valid_says_so(server: Server) -> None:
    for document in (
        *(
            "{ nothing }",
            "{ viewer }",
            "{ user { id } }",
            "{ viewer { id { id } } }",
            "{ node(id: 1.5) { id } }",
        ),
        *("query ($a: Int) { viewer { id } }", "{ node(id: $a) { id } }", "mutation { post }"),
        "query A { viewer { id } } query A { viewer { id } }",
        "{ viewer { id } } { viewer { id } }",
        "{ viewer { ...F } } fragment F on User { ...F }",
    ):
        answer = await asked(server, query=document)
        assert (answer.status_code, set(codes(answer))) == (400, {"GRAPHQL_VALIDATION_FAILED"})


async def test_variables_of_a_wrong_type_are_refused(server: Server) -> None:
    wrong: list[object] = [None, {}, {"id": None}, {"id": []}, {"id": {}}, {"id": 1.5}, {"id": True}]
    for variables in wrong:
        answer = await asked(server, query="query ($id: ID!) { node(id: $id) { id } }", variables=variables)
        assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"])


async def test_numbers_out_of_range_are_refused(server: Server) -> None:
    for first in (2**31, -(2**31) - 1, 10**400, 1.5, "1", True):
        document = "query ($first: Int) { publicTimeline(first: $first) { liveCursor } }"
        answer = await asked(server, query=document, variables={"first": first})
        assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"])


async def test_the_named_one_of_several_operations_runs(server: Server, alice: Person) -> None:
    document = "query A { viewer { id } } query B { viewer { handle } } mutation C { signOut { userErrors { code } } }"
    body = json.dumps({"query": document, "operationName": "B"})
    answer = await sent(server, body, authorization=f"Bearer {alice.token}")
    assert (answer.status_code, answer.json()["data"]) == (200, {"viewer": {"handle": "alice"}})
    assert (await alice.asks(VIEWER)).status == 200


async def test_unknown_keys_and_empty_names_do_no_harm(server: Server) -> None:
    answer = await asked(server, query=VIEWER, operationName="", variables=None, extensions={"a": 1}, id="x")
    assert (answer.status_code, answer.json()["data"], codes(answer)) == (200, {"viewer": None}, [])


async def test_errors_are_few_and_short_however_much_is_wrong(server: Server) -> None:
    """Each may quote the whole request: told in full, they would be many times its size."""
    many = " ".join(f"idempotencyKez{nth}: 1" for nth in range(2_000))
    unknown: dict[str, object] = {f"idempotencyKez{nth}": 1 for nth in range(2_000)}
    document = "mutation ($input: CreatePostInput!) { createPost(input: $input) { userErrors { code } } }"
    for request in (
        {"query": f'mutation {{ createPost(input: {{text: "" {many}}}) {{ userErrors {{ code }} }} }}'},
        {"query": "{ " + " ".join(f"nothing{nth}" for nth in range(2_000)) + " }"},
        {"query": document, "variables": {"input": {"text": "x"} | unknown}},
        {"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": {"id": ["x"] * 50_000}},
        {"query": VIEWER, "operationName": "x" * 200_000},
    ):
        answer = await asked(server, **request)
        assert answer.status_code == 400
        assert 1 <= len(codes(answer)) <= 11
        assert len(answer.content) < 10_000


async def test_other_content_types_are_refused(server: Server) -> None:
    for content_type in (
        *(
            "",
            "text/plain",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ),
        *("application/jsonp", "application/json; charset=utf-16", "text/json"),
        "application/json; profile=x; charset=latin1",
    ):
        body = json.dumps({"query": VIEWER})
        answer = await sent(server, body, **{"content-type": content_type})
        assert (answer.status_code, codes(answer)) == (415, ["BAD_USER_INPUT"])


async def test_json_is_taken_however_it_is_written(server: Server) -> None:
    for content_type in (
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json; charset=utf-8; profile=x",
    ):
        body = json.dumps({"query": VIEWER})
        assert (await sent(server, body, **{"content-type": content_type})).status_code == 200


async def test_queries_may_come_by_get(server: Server, alice: Person) -> None:
    variables = json.dumps({"handle": "alice"})
    answer = await server.http.get(
        f"{server.url}/graphql",
        params={
            "query": "query A { viewer { id } } query B($handle: String!) { user(handle: $handle) { id } }",
            "variables": variables,
            "operationName": "B",
        },
    )
    assert (answer.status_code, codes(answer)) == (200, [])
    assert answer.json()["data"] == {"user": {"id": alice.id}}


async def test_a_get_that_asks_nothing_sensible_is_refused(server: Server) -> None:
    for parameters in (
        *("", "query=", "query=%00", "query=%FF%FE", "variables={}", "query={viewer{id}}&variables={"),
        *(
            "query={viewer{id}}&variables=[]",
            "query={viewer{id}}&variables=1",
            "query={viewer{id}}&operationName=X",
        ),
        "&".join("a=1" for _ in range(50)),
    ):
        answer = await server.http.get(f"{server.url}/graphql?{quote(parameters, safe='=&%')}")
        assert answer.status_code == 400
        assert codes(answer)[0] in ("BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED")


async def test_a_get_changes_nothing(server: Server, alice: Person, stored: Oracle) -> None:
    document = 'mutation { createPost(input: {text: "x"}) { userErrors { code } } }'
    answer = await server.http.get(
        f"{server.url}/graphql",
        params={"query": document},
        headers={"authorization": f"Bearer {alice.token}"},
    )
    assert (answer.status_code, codes(answer)) == (405, ["BAD_USER_INPUT"])
    assert answer.headers["allow"] == "POST"
    assert await stored.count("posts") == 0


async def test_other_methods_are_refused(server: Server) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        answer = await server.http.request(method, f"{server.url}/graphql", content=b"{}", headers=JSON)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
        if method != "HEAD":
            assert codes(answer) == ["BAD_USER_INPUT"]


async def test_subscriptions_do_not_run_over_http(server: Server) -> None:
    for method in ("GET", "POST"):
        document = "subscription { publicTimelineEvents { liveCursor } }"
        given = {"params": {"query": document}} if method == "GET" else {"json": {"query": document}}
        answer = await server.http.request(method, f"{server.url}/graphql", **given)  # type: ignore[arg-type]  # either of two shapes
        assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"])
        assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    """A body in pieces, sent without its length."""
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413), (3_000_000, 413)])
async def test_large_bodies_are_refused(server: Server, chunked: bool, excess: int, status: int) -> None:
    body = json.dumps({"query": VIEWER, "padding": ""}).encode()
    body = body[:-2] + b"x" * (LARGEST + excess - len(body)) + b'"}'
    content: Any = chunks(body) if chunked else body
    answer = await server.http.post(f"{server.url}/graphql", content=content, headers=JSON)
    assert (answer.status_code, codes(answer)) == (status, ["BAD_USER_INPUT"] if excess else [])
    assert (await asked(server, query=VIEWER)).status_code == 200


async def test_a_token_that_is_not_valid_is_refused_and_not_anonymous(server: Server, alice: Person) -> None:
    for authorization in (
        "Bearer x",
        "Bearer",
        "",
        "Basic YTpi",
        f"Bearer {alice.token}x",
        f"Token {alice.token}",
    ):
        answer = await sent(server, json.dumps({"query": VIEWER}), authorization=authorization)
        assert (answer.status_code, codes(answer)) == (401, ["UNAUTHENTICATED"]), authorization
        assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_every_answer_has_a_request_id_of_its_own(server: Server) -> None:
    ids = {(await asked(server, query=VIEWER)).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_bug_is_masked_and_the_log_has_its_request_id(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> NoReturn:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(users, "user_by_handle", broken)
    with capture_logs() as logged:
        answer = await asked(server, query='{ viewer { id } user(handle: "alice") { id } }')
    assert (answer.status_code, codes(answer)) == (200, ["INTERNAL_SERVER_ERROR"])
    assert answer.json()["data"] == {"viewer": None, "user": None}
    (error,) = answer.json()["errors"]
    assert error["path"] == ["user"]
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    (line,) = [line for line in logged if line["event"] == "operation failed"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert str(line["exc_info"]) == "a secret detail"


async def test_an_unreachable_database_is_no_bug(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> NoReturn:
        raise DatabaseUnavailable("at an address that is nobody's business")

    monkeypatch.setattr(users, "user_by_handle", unreachable)
    with capture_logs() as logged:
        answer = await asked(server, query='{ user(handle: "alice") { id } }')
    assert (answer.status_code, codes(answer)) == (200, ["UNAVAILABLE"])
    assert "nobody" not in answer.text
    assert answer.json()["errors"][0]["extensions"]["requestId"] == answer.headers["x-request-id"]
    assert not [line for line in logged if line["log_level"] == "error"]


async def test_an_unknown_path_is_answered_with_json(serve: Serve) -> None:
    for path in ("/", "/nothing", "/graphql/x", "/healthz/x", "/%00", "/.well-known/nothing"):
        server = await serve(graphiql=False)
        answer = await server.http.get(server.url + path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
        assert answer.json()["errors"][0]["message"]
