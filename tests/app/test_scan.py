"""The look at a document before it is parsed."""

import re
from pathlib import Path

import pytest
from graphql import get_introspection_query

from app.documents.scan import ScanLimits, TooMuch, scan
from bench.documents import HOME, pages

EXAMPLES = Path(__file__).parents[2] / "app" / "graphiql" / "examples"
LIMITS = ScanLimits()


def refusal(text: str, limits: ScanLimits = LIMITS) -> str | None:
    """What is said, None when the document passes."""
    try:
        scan(text, limits)
    except TooMuch as error:
        return str(error)
    return None


def test_what_clients_send_passes() -> None:
    for text in (
        HOME,
        pages(10),
        get_introspection_query(),
        *(file.read_text() for file in EXAMPLES.glob("*.graphql")),
    ):
        assert refusal(text) is None, text[:60]
    assert refusal("\n".join(file.read_text() for file in EXAMPLES.glob("*.graphql"))) is None


def test_twenty_fragments_on_one_type_that_share_fields_pass() -> None:
    fragments = [f"fragment F{n} on User {{ id handle displayName field{n} }}" for n in range(20)]
    spreads = " ".join(f"...F{n}" for n in range(20))
    assert refusal(f"{{ viewer {{ {spreads} }} }} {' '.join(fragments)}") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{" + " " * 50_000 + "a }", "longer than"),
        ("{" + "a " * 6_000 + "}", "tokens"),
        ("{ a(b: [" + "1 " * 2_000 + "]) }", "tokens of values"),
        ("{ a" * 26 + "}" * 26, "nested"),
        ("{ ...F } fragment F on User { a { ...F } }", "spreads itself"),
        ("{ ...A } fragment A on User { a { ...B } } fragment B on User { b { ...A } }", "spreads itself"),
        ("{ a(b: " + "[" * 60 + "]" * 60 + ") }", "Values are nested"),
        ("{ a(b: " + "{c: " * 60 + "1" + "}" * 60 + ") }", "Values are nested"),
        ("query ($a: " + "[" * 60 + "Int" + "]" * 60 + ") { a }", "Values are nested"),
        ("{" + " ".join(f"a{n}: b" for n in range(251)) + "}", "aliases"),
        ("{ a " + "@skip(if: true) " * 251 + "}", "directives"),
        ("query ($a: Int " + "@d " * 251 + ") { a }", "directives"),
        ("{ a } " + " ".join(f"fragment F{n} on User {{ a }}" for n in range(251)), "fragments"),
        ("{ " + "a " * 150 + "}", "over and over"),
        ("{ " + "me{posts{a{id}}}" * 300 + "}", "over and over"),
        ("{ " + ("a{" + ("a{" + "a " * 10 + "}") * 10 + "}") * 10 + "}", "over and over"),
        ("{ " + "... { a } " * 150 + "}", "over and over"),
        ("{ " + "... on Query { a } " * 150 + "}", "over and over"),
        (
            "{" + " ".join(f"...F{n}" for n in range(150)) + "}"
            + " ".join(f"fragment F{n} on Query {{ a }}" for n in range(150)),
            "over and over",
        ),
        # Doubling: 25 levels of it would be 2^25 fields.
        (
            "{...F0}" + "".join(f"fragment F{n} on A{{a{{...F{n + 1}}}b{{...F{n + 1}}}}}" for n in range(20)),
            "more than 3,000 fields",
        ),
    ],
)  # fmt: skip
def test_too_much_is_refused(text: str, said: str) -> None:
    found = refusal(text)
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    "text",
    [
        '{ a(b: "{ { { } @ @ @ ... fragment") }',
        '{ a(b: """ { " \\""" { """) }',
        "{ a # { { { {\n }",
        "{ a(b: {c: {d: [1, 2]}}) { e } }",
        '{ a(b: "\\"{") }',
        "query ($a: In = {b: {c: 1}}) @d(e: {f: 1}) { a }",
    ],
)
def test_values_and_comments_are_no_selections(text: str) -> None:
    assert refusal(text, LIMITS._replace(depth=2, directives=1, selections=2, fragments=0)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "}",
        "}}}}{{{",
        "{ a",
        "...",
        "{ ... }",
        "@",
        "fragment",
        '{ a(b: "',
        '"""',
        "{ é }",
        "{ a: : b }",
        "\ud800",
    ],
)
def test_what_is_no_graphql_is_left_to_the_parser(text: str) -> None:
    assert refusal(text) is None


def test_an_alias_is_one_field_under_its_own_name() -> None:
    text = "{ " + " ".join(f"a{n}: b {{ c }}" for n in range(200)) + " }"
    assert refusal(text) is None
    assert re.search("over and over", refusal(text.replace("a1:", "a2:"), LIMITS._replace(pairs=0)) or "")
