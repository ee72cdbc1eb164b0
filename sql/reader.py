"""Reads the named queries of sql/*.sql.

A query starts with a line `-- name: posts_by_keys :many`; comment lines below it say what it means. Its
shape is one of `:many` (rows), `:maybe` (one row or none), `:one` (exactly one row) and `:run` (no rows).
A line `-- crosses owners: reason` puts it on the short list of statements that do not bind one owner.
The dialect is PostgreSQL's own, with `$1` for parameters (the file layout is sqlc's).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

FOLDER = Path(__file__).parent

Shape = Literal["many", "maybe", "one", "run"]

_HEADER = re.compile(r"^-- name: ([a-z][a-z0-9_]*) :(many|maybe|one|run)[ \t]*$", re.MULTILINE)
_CROSSES = re.compile(r"^-- crosses owners: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query:
    """One named query: its text as sent, its shape, and why it crosses owners (None when it does not)."""

    name: str
    noun: str
    shape: Shape
    text: str
    crosses_owners: str | None


class Queries(Mapping[str, Query]):
    """The queries of one noun, by name. An unknown name says which file was searched."""

    def __init__(self, noun: str, queries: dict[str, Query]) -> None:
        self.noun = noun
        self._queries = queries

    def __getitem__(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise KeyError(f"sql/{self.noun}.sql has no query named {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def load(noun: str) -> Queries:
    """Read sql/<noun>.sql. Raises ValueError on a name given twice or on a file without queries."""
    source = (FOLDER / f"{noun}.sql").read_text(encoding="utf-8")
    heads = list(_HEADER.finditer(source))
    queries: dict[str, Query] = {}
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = source[head.end() : following.start() if following else len(source)]
        name = head.group(1)
        if name in queries:
            raise ValueError(f"sql/{noun}.sql names {name!r} twice")
        crosses = _CROSSES.search(body)
        statement = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        text = f"/* {name} */ {statement.rstrip(';')}"
        queries[name] = Query(
            name, noun, cast(Shape, head.group(2)), text, crosses.group(1) if crosses else None
        )
    if not queries:
        raise ValueError(f"sql/{noun}.sql has no query; a query starts with '-- name: the_name :many'")
    return Queries(noun, queries)


def load_all() -> dict[str, Queries]:
    """Every noun's queries, for the lints and the contract tests."""
    return {path.stem: load(path.stem) for path in sorted(FOLDER.glob("*.sql")) if path.stem != "schema"}
