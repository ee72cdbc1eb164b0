"""Hostile texts in every argument, and documents made to exhaust: clean answers, never an internal error."""

import json
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from schema.build import executable
from tests.conftest import Serve, Server
from tests.people import Answer, Person, Socket

HOSTILE = [
    *(
        "\ud83d",
        "a\udc00b",
        "\0",
        "a\0b",
        "x" * 100_000,
        "\u0301" * 30_000,
        "",
        " ",
        "\u202e",
        "\ufeff",
        "\r\n",
    ),
    *(
        "p" + "A" * 22,
        "uAAAAAAAAAAA",
        "p" + "_" * 22,
        "u" + "/" * 11,
        "e====",
        "é" * 40,
        "👨‍👩‍👧‍👦" * 20,
        "%s{}$1';--",
    ),
]
# A value that lets the other arguments through, so that the hostile one is reached.
FINE = {"Int": 3, "String": "fine_words_here", "ID": "uAAAAAAAAAAE", "Boolean": True}
CODES = {"BAD_USER_INPUT", "INVALID_CURSOR", "UNAUTHENTICATED", "RATE_LIMITED"}


def fine(kind: Any) -> Any:
    """A value of this type."""
    if is_non_null_type(kind):
        kind = kind.of_type
    if is_list_type(kind):
        return [fine(kind.of_type)]
    if is_input_object_type(kind):
        return {name: fine(given.type) for name, given in kind.fields.items()}
    return FINE[kind.name]


def spoiled(kind: Any, hostile: str) -> list[Any]:
    """Values of this type with one text replaced, each text once."""
    if is_non_null_type(kind):
        kind = kind.of_type
    if is_list_type(kind):
        return [[value] for value in spoiled(kind.of_type, hostile)]
    if isinstance(kind, GraphQLInputObjectType):
        whole = fine(kind)
        return [
            whole | {name: value}
            for name, given in kind.fields.items()
            for value in spoiled(given.type, hostile)
        ]
    return [hostile] if kind.name in ("String", "ID") else []


def selection(kind: Any, depth: int = 0) -> str:
    """What to ask of a result: all that needs no arguments, one level of objects deep."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    if not isinstance(named, GraphQLObjectType):
        return "{ __typename }"
    fields = [
        f"{name} {selection(given.type, depth + 1)}"
        for name, given in named.fields.items()
        if is_leaf_type(get_named_type(given.type)) or (depth == 0 and not given.args)
    ]
    return f"{{ {' '.join(fields) or '__typename'} }}"


def calls(hostile: str) -> list[tuple[str, dict[str, Any]]]:
    """A document and variables for each text in the arguments of each query and mutation."""
    made = []
    assert executable.query_type is not None
    assert executable.mutation_type is not None
    for word, root in (("query", executable.query_type), ("mutation", executable.mutation_type)):
        for name, given in root.fields.items():
            for argument, declared in given.args.items():
                for value in spoiled(declared.type, hostile):
                    others = {
                        other: fine(known.type)
                        for other, known in given.args.items()
                        if other != argument and isinstance(known.type, GraphQLNonNull)
                    }
                    values = {argument: value} | others
                    declarations = ", ".join(f"${key}: {given.args[key].type}" for key in values)
                    passed = ", ".join(f"{key}: ${key}" for key in values)
                    made.append(
                        (
                            f"{word} ({declarations}) {{ {name}({passed}) {selection(given.type)} }}",
                            values,
                        )
                    )
    return made


def test_the_walk_finds_the_arguments() -> None:
    found = calls("x")
    fields = {document.partition("{ ")[2].partition("(")[0] for document, _ in found}
    assert {
        "node",
        "nodes",
        "user",
        "homeTimeline",
        "publicTimeline",
        "signUp",
        "createPost",
        "blockUser",
    } <= fields
    assert len([document for document, _ in found if "createPost(" in document]) == 3
    assert len([document for document, _ in found if "signUp(" in document]) == 4


def clean(answer: Answer) -> bool:
    """Whether an answer blames nobody but the client."""
    return answer.status in (200, 400) and set(answer.error_codes) <= CODES


async def test_hostile_texts_in_every_argument_are_no_internal_errors(serve: Serve) -> None:
    server = await serve(sign_in_per_account="100000/60", sign_in_per_address="100000/60")
    alice = await server.sign_up("alice")
    for hostile in HOSTILE:
        for document, variables in calls(hostile):
            answer = await alice.asks(document, **variables)
            assert clean(answer), (document, hostile[:20], answer.body)
            assert answer.status == 200 or "BAD_USER_INPUT" in answer.error_codes


async def test_hostile_texts_written_into_the_document_are_no_internal_errors(alice: Person) -> None:
    for hostile in HOSTILE:
        written = json.dumps(hostile)
        for field in (
            f"node(id: {written}) {{ id }}",
            f"nodes(ids: [{written}]) {{ id }}",
            f"user(handle: {written}) {{ id }}",
            f"homeTimeline(after: {written}) {{ liveCursor }}",
        ):
            answer = await alice.asks(f"{{ {field} }}")
            assert answer.status in (200, 400), answer.body
            assert set(answer.error_codes) <= CODES | {"GRAPHQL_PARSE_FAILED"}, (field[:60], answer.body)


async def test_hostile_cursors_in_nested_lists_are_no_internal_errors(alice: Person) -> None:
    post = await alice.posts("here")
    document = (
        "query ($post: ID!, $after: String) { viewer { posts(after: $after) { edges { cursor } } "
        "followers(after: $after) { edges { cursor } } following(after: $after) { edges { cursor } } } "
        "node(id: $post) { ... on Post { replies(after: $after) { edges { cursor } } } } }"
    )
    for hostile in HOSTILE:
        answer = await alice.asks(document, post=post, after=hostile)
        assert set(answer.error_codes) == {"INVALID_CURSOR"}, (hostile[:20], answer.body)
        assert len(answer.error_codes) == 4


async def test_hostile_cursors_of_subscriptions_are_errors_of_the_operation(alice: Person) -> None:
    async with alice.socket() as socket:
        for name in ("homeTimelineEvents", "publicTimelineEvents"):
            for hostile in HOSTILE:
                assert await refusal(socket, name, hostile) == "INVALID_CURSOR", hostile[:20]


async def refusal(socket: Socket, name: str, after: str) -> str:
    """The code with which a subscription does not begin."""
    document = f"subscription ($after: String) {{ {name}(after: $after) {{ __typename }} }}"
    payload = {"query": document, "variables": {"after": after}}
    await socket.send({"id": "s", "type": "subscribe", "payload": payload})
    answer = await socket.receive()
    assert answer["type"] == "error", answer
    code: str = answer["payload"][0]["extensions"]["code"]
    return code


def deep(levels: int) -> list[str]:
    """Documents nested this deep, in every way that nests."""
    return [
        "{ viewer " + "{ posts { edges { node { author " * levels + "{ id }" + " } } } }" * levels + " }",
        "{ " + "... { " * levels + "viewer { id }" + " }" * levels + " }",
        "{ nodes(ids: " + "[" * levels + "]" * levels + ") { id } }",
        "{ user(handle: " + "{a: " * levels + "1" + "}" * levels + ") { id } }",
        "query ($a: " + "[" * levels + "Int" + "]" * levels + ") { viewer { id } }",
        "{ __schema { types { fields { type "
        + "{ ofType " * levels
        + "{ name }"
        + " }" * levels
        + " } } } }",
        "{" * levels,
        "{ viewer { ...F0 } } "
        + " ".join(f"fragment F{n} on User {{ ...F{n + 1} }}" for n in range(levels))
        + f" fragment F{levels} on User {{ id }}",
    ]


async def test_deep_documents_and_variables_get_clean_answers(server: Server, alice: Person) -> None:
    await alice.posts("here")
    for levels in (10, 40, 90, 150, 190, 1_000):
        for document in deep(levels):
            answer = await alice.asks(document)
            assert answer.status in (200, 400), (document[:60], levels)
            assert "INTERNAL_SERVER_ERROR" not in answer.error_codes, (document[:60], levels, answer.body)
    for levels in (100, 900, 50_000):
        nested = "[" * levels + "]" * levels
        body = '{"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": {"id": ' + nested + "}}"
        raw = await server.http.post(
            f"{server.url}/graphql", content=body, headers={"content-type": "application/json"}
        )
        assert (raw.status_code, raw.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


async def test_long_documents_get_clean_answers(alice: Person) -> None:
    for document in (
        "{ viewer { " + "id " * 60_000 + "} }",
        "{ viewer { " + "id " * 9_000 + "} }",
        "{ " + "viewer { id } " * 2_000 + "}",
        "{ " + "nothing " * 9_000 + "}",
        "{ " + " ".join(f"a{n}: viewer {{ id }}" for n in range(1_500)) + " }",
        "{ viewer { " + "...F " * 4_000 + "} } fragment F on User { id }",
        "{ viewer { " + "id @skip(if: true) " * 1_400 + "} }",
        "#" * 200_000,
        "{ viewer { id } } " * 2_000,
    ):
        answer = await alice.asks(document)
        assert answer.status in (200, 400), document[:60]
        assert "INTERNAL_SERVER_ERROR" not in answer.error_codes, (document[:60], answer.body)
    assert (await alice.asks("{ viewer { handle } }")).data == {"viewer": {"handle": "alice"}}
