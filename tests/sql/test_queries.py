"""The contract between sql/*.sql and dataloaders/rows.py: every query, on a migrated database, with its row class."""

import importlib
import json
import re
import types
import typing
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import pytest

from sql import Query
from sql.reader import load_all
from tests.houserules.query_uses import QueryUses, RowClass, modules
from tests.servers import Databases

QUERIES = {f"{noun}.{name}": query for noun, queries in load_all().items() for name, query in queries.items()}
ROWS: dict[str, set[RowClass]] = {}
for _use in QueryUses.of(modules()).uses:
    if _use.row is not None:
        ROWS.setdefault(f"{_use.query.noun}.{_use.query.name}", set()).add(_use.row)

# What asyncpg makes of PostgreSQL's types. Anything else is a surprise: numeric comes as Decimal, json as text.
PYTHON = {
    "int2": int,
    "int4": int,
    "int8": int,
    "float8": float,
    "bool": bool,
    "text": str,
    "bytea": bytes,
    "timestamptz": datetime,
    "jsonb": dict[str, Any],
    "int8[]": list[int],
    "text[]": list[str],
}
# A column inside a cast: its index is of no use, because the parameter was given another type.
CAST_COLUMN = re.compile(r"\((?:\w+\.)?(\w+)\)::(?:numeric|double precision|bigint|text)\b")
CONDITIONS = ("Index Cond", "Recheck Cond", "Filter", "Hash Cond", "Join Filter", "Merge Cond")


class Result(NamedTuple):
    """One column of a result. `nullable` is None where it cannot be known."""

    name: str
    type: str
    nullable: bool | None


@pytest.fixture(scope="module")
def migrated(prepared: Databases) -> Iterator[str]:
    """One database for all queries: nothing is executed here."""
    dsn = prepared.fresh()
    yield dsn
    prepared.drop(dsn)


@pytest.fixture
async def connection(migrated: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


def _named(type: asyncpg.Type) -> str:
    return f"{type.name[:-2]}[]" if type.kind == "array" and type.name.endswith("[]") else type.name


async def plan_of(
    connection: "asyncpg.Connection[asyncpg.Record]", query: Query, parameters: int
) -> dict[str, Any]:
    """The plan for any parameters, with what each node puts out."""
    nulls = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE the_query AS {query.text}")
    found = await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE the_query{nulls}")
    plan: dict[str, Any] = json.loads(found)[0]["Plan"]
    return plan


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, itself first."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes_of(part)


async def results_of(
    connection: "asyncpg.Connection[asyncpg.Record]", query: Query
) -> tuple[list[Result], list[str]]:
    """The columns of the query's result, and the types of its parameters."""
    statement = await connection.prepare(query.text)
    parameters = [_named(type) for type in statement.get_parameters()]
    plan = await plan_of(connection, query, len(parameters))
    nodes = list(nodes_of(plan))
    relations = {
        node["Alias"]: node["Relation Name"] for node in nodes if "Relation Name" in node and "Alias" in node
    }
    outer = any(node.get("Join Type") in ("Left", "Right", "Full") for node in nodes)
    rows = await connection.fetch(
        "SELECT attrelid::regclass::text AS relation, attname, attnotnull FROM pg_attribute WHERE attnum > 0 "
        "AND attrelid::regclass::text = ANY($1::text[])",
        sorted(set(relations.values())),
    )
    not_null = {(row["relation"], row["attname"]): row["attnotnull"] for row in rows}
    only = next(iter(relations.values())) if len(relations) == 1 else None
    outputs = plan.get("Output", [])
    found = []
    for index, column in enumerate(statement.get_attributes()):
        alias, _, name = (outputs[index] if index < len(outputs) else "").rpartition(".")
        # A plan of one table leaves its alias out.
        relation = relations.get(alias) if alias else only
        known = not_null.get((relation, name))
        nullable = None if outer or known is None else not known
        found.append(Result(column.name, _named(column.type), nullable))
    return found, parameters


def row_complaints(name: str, results: list[Result], row: type) -> list[str]:
    """In what the query's result is not what the row class says, a sentence for each column."""
    hints = {key: hint for key, hint in typing.get_type_hints(row).items() if key in row._fields}  # type: ignore[attr-defined] # a row class is a NamedTuple
    names = [result.name for result in results]
    if names != list(hints):
        missing = [column for column in hints if column not in names]
        surplus = [column for column in names if column not in hints]
        what = [
            *(f"{column} of {row.__name__} is not among its columns" for column in missing),
            *(f"its column {column} is not in {row.__name__}" for column in surplus),
        ]
        return [
            f"{name}: {one}"
            for one in what or [f"its columns stand in another order than in {row.__name__}: {names}"]
        ]
    said = []
    for result, (column, hint) in zip(results, hints.items(), strict=True):
        optional = isinstance(hint, types.UnionType) and type(None) in hint.__args__
        bare = next(part for part in hint.__args__ if part is not type(None)) if optional else hint
        if PYTHON.get(result.type) != bare:
            said.append(f"{name}: {column} is {result.type}, which is no {bare} as {row.__name__} says")
        if result.nullable is True and not optional:
            said.append(f"{name}: {column} may be NULL; {row.__name__} says that it is never None")
        if result.nullable is False and optional:
            said.append(f"{name}: {column} is never NULL; {row.__name__} says that it may be None")
    return said


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_a_query_gives_what_its_row_class_says(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    query = QUERIES[name]
    results, parameters = await results_of(connection, query)
    if query.shape == "run":
        assert not results, (
            f"{name} is :run and gives {[result.name for result in results]}: nobody reads them"
        )
    for row in sorted(ROWS.get(name, set())):
        complaints = row_complaints(name, results, getattr(importlib.import_module(row.module), row.name))
        assert not complaints, "\n".join(complaints)
    strange = {f"${at}": type for at, type in enumerate(parameters, 1) if type not in PYTHON}
    assert not strange, f"{name} takes parameters of strange types; cast them: {strange}"


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_a_query_casts_its_parameters_not_its_columns(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    statement = await connection.prepare(QUERIES[name].text)
    plan = await plan_of(connection, QUERIES[name], len(statement.get_parameters()))
    conditions = [str(node[kind]) for node in nodes_of(plan) for kind in CONDITIONS if kind in node]
    cast = [found[0] for condition in conditions for found in CAST_COLUMN.finditer(condition)]
    assert not cast, f"{name} casts a column, so that no index serves it; cast the parameter instead: {cast}"


class KeyRow(NamedTuple):
    author_id: int
    id: int
    reply_to_id: int | None


SELECT = "SELECT author_id, id, reply_to_id FROM posts WHERE author_id = $1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (SELECT, None),
        (SELECT.replace("id, reply", "reply"), "posts.planted: id of KeyRow is not among its columns"),
        (SELECT.replace(" FROM", ", text FROM"), "posts.planted: its column text is not in KeyRow"),
        (
            SELECT.replace("author_id, id", "id, author_id", 1),
            "posts.planted: its columns stand in another order",
        ),
        (SELECT.replace(", id", ", id::text AS id"), "posts.planted: id is text, which is no"),
        (SELECT.replace(", id", ", id::numeric AS id"), "posts.planted: id is numeric, which is no"),
        (SELECT.replace(", id", ", reply_to_id AS id"), "posts.planted: id may be NULL; KeyRow says"),
        (
            SELECT.replace(" reply_to_id", " id AS reply_to_id"),
            "posts.planted: reply_to_id is never NULL; KeyRow",
        ),
    ],
)
async def test_a_planted_difference_is_found(
    connection: "asyncpg.Connection[asyncpg.Record]", text: str, complaint: str | None
) -> None:
    results, _ = await results_of(connection, Query("planted", "posts", "many", text, None))
    complaints = row_complaints("posts.planted", results, KeyRow)
    assert len(complaints) == (complaint is not None), complaints
    assert complaint is None or complaints[0].startswith(complaint)
