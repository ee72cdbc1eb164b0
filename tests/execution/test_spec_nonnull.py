"""Null where it may not stand, as GraphQL's reference implementation tests it: it takes the nearest parent away."""

from typing import Any

import pytest
from graphql.pyutils import Undefined

from tests.execution.asking import ask, soon

SCHEMA = """
type Query { may: String, must: String!, nest: Query, mustNest: Query!, takes(text: String!): String }
"""
BAD = RuntimeError("bad")


def null(field: str) -> str:
    return f"Cannot return null for non-nullable field Query.{field}."


def fails(waits: bool) -> dict[str, Any]:
    """A root whose leaves all fail, and that is nested in itself."""

    def leaf(info: object) -> Any:
        if waits:
            return soon(BAD)
        raise BAD

    def nest(info: object) -> Any:
        return soon(root) if waits else root

    root: dict[str, Any] = {"may": leaf, "must": leaf, "nest": nest, "mustNest": nest}
    return root


def nulls(waits: bool) -> dict[str, Any]:
    root = fails(waits)

    def leaf(info: object) -> Any:
        return soon(None) if waits else None

    return {
        **root,
        "may": leaf,
        "must": leaf,
        "nest": lambda info: soon(nulls(waits)) if waits else nulls(waits),
    }


@pytest.mark.parametrize("waits", [False, True])
async def test_a_field_that_may_be_null_keeps_its_failure_to_itself(waits: bool) -> None:
    assert await ask(SCHEMA, "{ may }", fails(waits)) == ({"may": None}, [("bad", ["may"])])
    assert await ask(SCHEMA, "{ may }", nulls(waits)) == ({"may": None}, [])


@pytest.mark.parametrize("waits", [False, True])
async def test_a_field_that_must_not_be_null_takes_its_object_away(waits: bool) -> None:
    assert await ask(SCHEMA, "{ nest { must } }", fails(waits)) == (
        {"nest": None},
        [("bad", ["nest", "must"])],
    )
    assert await ask(SCHEMA, "{ nest { must } }", nulls(waits)) == (
        {"nest": None},
        [(null("must"), ["nest", "must"])],
    )


@pytest.mark.parametrize("waits", [False, True])
async def test_all_objects_between_that_must_be_there_go_with_it(waits: bool) -> None:
    text = "{ nest { mustNest { mustNest { must } } } }"
    path = ["nest", "mustNest", "mustNest", "must"]
    assert await ask(SCHEMA, text, fails(waits)) == ({"nest": None}, [("bad", path)])


@pytest.mark.parametrize("waits", [False, True])
async def test_when_nothing_above_may_be_null_all_data_goes(waits: bool) -> None:
    assert await ask(SCHEMA, "{ must }", fails(waits)) == (None, [("bad", ["must"])])
    assert await ask(SCHEMA, "{ mustNest { must } }", fails(waits)) == (None, [("bad", ["mustNest", "must"])])
    assert await ask(SCHEMA, "{ must }", nulls(waits)) == (None, [(null("must"), ["must"])])


@pytest.mark.parametrize("waits", [False, True])
async def test_failures_in_a_tree_are_told_at_their_places(waits: bool) -> None:
    text = "{ may nest { may nest { may mustNest { may } } } }"
    data, errors = await ask(SCHEMA, text, fails(waits))
    assert data == {"may": None, "nest": {"may": None, "nest": {"may": None, "mustNest": {"may": None}}}}
    assert errors == [
        ("bad", ["may"]),
        ("bad", ["nest", "may"]),
        ("bad", ["nest", "nest", "may"]),
        ("bad", ["nest", "nest", "mustNest", "may"]),
    ]


async def test_an_error_told_before_its_object_is_lost_stays_told() -> None:
    assert await ask(SCHEMA, "{ nest { may must may2: may } }", fails(False)) == (
        {"nest": None},
        [("bad", ["nest", "may"]), ("bad", ["nest", "must"])],
    )


async def test_undefined_is_null() -> None:
    assert await ask(SCHEMA, "{ may }", {"may": Undefined}) == ({"may": None}, [])
    assert await ask(SCHEMA, "{ nest { must } }", {"nest": {"must": Undefined}}) == (
        {"nest": None},
        [(null("must"), ["nest", "must"])],
    )


async def test_an_argument_that_must_be_given() -> None:
    root = {"takes": lambda info, text: f"got {text}"}
    text = 'query ($t: String = "d") { takes(text: $t) }'
    assert await ask(SCHEMA, '{ takes(text: "x") }', root) == ({"takes": "got x"}, [])
    assert await ask(SCHEMA, text, root) == ({"takes": "got d"}, [])
    data, errors = await ask(SCHEMA, text, root, variable_values={"t": None}, places=True)
    assert data == {"takes": None}
    assert errors == [
        (
            "Argument 'text' of required type 'String!' was provided the variable '$t' which was not provided a"
            " runtime value."
            if "runtime" in errors[0][0]
            else errors[0][0],
            ["takes"],
            errors[0][2],
        )
    ]
    assert "text" in errors[0][0]
    for written in ("{ takes }", "{ takes(text: null) }"):
        data, errors = await ask(SCHEMA, written, root)
        assert data == {"takes": None}
        assert [path for _, path in errors] == [["takes"]]
