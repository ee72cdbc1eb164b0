"""Operations, documents, sources and errors, as GraphQL's reference implementation tests its executor."""

from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    build_schema,
    execute,
    graphql_sync,
    parse,
)

from execution import BreadthFirstExecutor
from tests.execution.asking import Given, ask, soon

SCHEMA = """
type Query { a: String, b: String, c: String, deep: Query, list: [Query], calls(n: Int = 1, s: String): String }
"""


async def test_a_document_without_an_operation_and_one_with_too_many() -> None:
    assert await ask(SCHEMA, "fragment F on Query { a }") == (None, [("Must provide an operation.", None)])
    two = "query One { a } query Two { b }"
    assert await ask(SCHEMA, two) == (
        None,
        [("Must provide operation name if query contains multiple operations.", None)],
    )
    assert await ask(SCHEMA, two, {"a": "x", "b": "y"}, operation_name="Two") == ({"b": "y"}, [])
    assert await ask(SCHEMA, two, operation_name="Three") == (
        None,
        [("Unknown operation named 'Three'.", None)],
    )


async def test_an_operation_that_the_schema_does_not_have() -> None:
    message = "Schema is not configured to execute mutation operation."
    assert await ask(SCHEMA, "mutation { a }") == (None, [(message, None)])


async def test_values_come_from_mappings_attributes_and_functions() -> None:
    text = "{ a deep { b c } list { a } }"
    root = {"a": "x", "deep": Given(b="y", c=lambda info: soon("z")), "list": [Given(a="1"), {"a": "2"}, {}]}
    assert await ask(SCHEMA, text, root) == (
        {"a": "x", "deep": {"b": "y", "c": "z"}, "list": [{"a": "1"}, {"a": "2"}, {"a": None}]},
        [],
    )


async def test_fragments_aliases_and_merged_selections_keep_the_order_of_first_mention() -> None:
    text = """{ b x: a ...F deep { c } a deep { a ... { deep { b } } } ... on Query { deep { deep { a } c } } }
    fragment F on Query { deep { b } b }"""
    root: dict[str, Any] = {"a": "1", "b": "2", "c": "3"}
    root["deep"] = root
    data, errors = await ask(SCHEMA, text, root)
    assert errors == []
    assert repr(data) == repr(
        {"b": "2", "x": "1", "deep": {"b": "2", "c": "3", "a": "1", "deep": {"b": "2", "a": "1"}}, "a": "1"}
    )


async def test_keys_keep_their_order_whatever_is_awaited() -> None:
    root = {"a": lambda info: soon("1"), "b": "2", "c": lambda info: soon("3")}
    data, _ = await ask(SCHEMA, "{ a b c }", root)
    assert list(data) == ["a", "b", "c"]


async def test_errors_have_the_places_of_all_nodes_of_their_field() -> None:
    def fail(info: object) -> None:
        raise RuntimeError("no")

    data, errors = await ask(SCHEMA, "{\n a\n x: b\n ... { a } }", {"a": fail, "b": fail}, places=True)
    assert data == {"a": None, "x": None}
    assert errors == [("no", ["a"], [(2, 2), (4, 8)]), ("no", ["x"], [(3, 2)])]


async def test_errors_carry_extensions_and_what_was_raised() -> None:
    refused = GraphQLError("no", extensions={"code": "GONE"})
    result = execute(
        build_schema(SCHEMA),
        parse("{ a b }"),
        {"a": refused, "b": KeyError("k")},
        executor_class=BreadthFirstExecutor,
    )
    assert isinstance(result, ExecutionResult)
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "GONE"}
    assert result.errors[0].original_error is refused
    assert isinstance(result.errors[1].original_error, KeyError)


async def test_resolvers_are_told_all_about_their_field() -> None:
    seen: list[GraphQLResolveInfo[Any]] = []

    def look(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        seen.append(info)
        return {"a": 1} if info.field_name in ("deep",) else [{}, {}] if info.field_name == "list" else "x"

    schema, document = build_schema(SCHEMA), parse("query Q($n: Int) { x: deep { list { y: a } } }")
    root, context = object(), object()
    for executor_class in (None, BreadthFirstExecutor):
        execute(schema, document, root, context, {"n": 5}, field_resolver=look, executor_class=executor_class)
    stock, ours = seen[:4], seen[4:]
    assert [info.path.as_list() for info in ours] == [
        ["x"],
        ["x", "list"],
        ["x", "list", 0, "y"],
        ["x", "list", 1, "y"],
    ]
    for one, other in zip(stock, ours, strict=True):
        for name in (
            "field_name",
            "field_nodes",
            "return_type",
            "parent_type",
            "path",
            "schema",
            "fragments",
        ):
            assert getattr(one, name) == getattr(other, name)
        assert other.root_value is root
        assert other.context is context
        assert other.operation is document.definitions[0]
        assert other.variable_values.coerced == {"n": 5}


async def test_unknown_fields_of_an_operation_nobody_validated_are_left_out() -> None:
    assert await ask(SCHEMA, "{ a nothing deep { nothing } }", {"a": "x", "deep": {}}) == (
        {"a": "x", "deep": {}},
        [],
    )


async def test_arguments_are_given_by_name_with_their_defaults() -> None:
    root = {"calls": lambda info, **given: repr(sorted(given.items()))}
    text = 'query ($s: String, $n: Int) { a: calls b: calls(n: null) c: calls(s: $s, n: $n) d: calls(s: "x", n: 2) }'
    data, errors = await ask(SCHEMA, text, root)
    assert errors == []
    assert data == {
        "a": "[('n', 1)]",
        "b": "[('n', None)]",
        "c": "[('n', 1)]",
        "d": "[('n', 2), ('s', 'x')]",
    }


async def test_a_deep_operation() -> None:
    depth = 60
    root: dict[str, Any] = {"a": "x"}
    root["deep"] = lambda info: soon(root)
    data, errors = await ask(SCHEMA, "{ deep " * depth + "{ a }" + " }" * depth, root)
    assert errors == []
    for _ in range(depth):
        data = data["deep"]
    assert data == {"a": "x"}


async def test_type_and_field_resolvers_of_the_caller() -> None:
    schema = "interface I { a: String } type T implements I { a: String } type Query { i: I }"
    assert await ask(
        schema,
        "{ i { a __typename } }",
        type_resolver=lambda value, info, type_: soon("T"),
        field_resolver=lambda source, info: info.field_name,
    ) == ({"i": {"a": "a", "__typename": "T"}}, [])


def test_the_schema_tells_itself() -> None:
    text = "{ __schema { types { name fields { name type { kind ofType { name } } args { name defaultValue } } } } }"
    schema = build_schema(SCHEMA)
    assert graphql_sync(schema, text) == execute(schema, parse(text), executor_class=BreadthFirstExecutor)
