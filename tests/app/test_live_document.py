"""docs/live.md tells of everything that an app can meet, and what it quotes is valid."""

import re
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from schema.build import sdl

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(sdl())


def rows(begin: str) -> set[str]:
    """What stands in the first column of the table with this heading."""
    table = DOCUMENT.split(f"| {begin} |")[1].split("\n\n")[0]
    return set(re.findall(r"\w+", " ".join(line.split("|")[1] for line in table.splitlines()[2:])))


def test_its_operations_run_against_the_schema(schema: GraphQLSchema) -> None:
    quoted = re.findall(r"```graphql\n(.*?)```", DOCUMENT, re.DOTALL)
    assert quoted
    for text in quoted:
        assert validate(schema, parse(text)) == []


def test_it_tells_what_each_event_means(schema: GraphQLSchema) -> None:
    interface = schema.get_type("TimelineEvent")
    kinds = {kind.name for kind in schema.get_possible_types(interface)}  # type: ignore[arg-type]  # it is an interface
    assert len(kinds) >= 5
    assert kinds <= rows("event")


def test_it_tells_what_to_do_about_each_code_that_a_socket_is_closed_with() -> None:
    sources = [(ROOT / "app" / name).read_text() for name in ("graphql_ws.py", "socket_operations.py")]
    codes = set(re.findall(r"(?:Closed\(|close\(|\"code\": )(\d{4})\b", " ".join(sources)))
    assert {"1011", "1013", "4400", "4403", "4406", "4499"} <= codes
    assert codes <= rows("code")


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", DOCUMENT)
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []
