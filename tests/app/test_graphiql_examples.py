"""Every prepared operation of GraphiQL is valid against the schema as printed."""

import json

import pytest
from graphql import (
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from app.graphiql.examples import Example, examples


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    from schema.build import sdl

    return build_schema(sdl())


def operation_of(example: Example) -> OperationDefinitionNode:
    """The only operation of an example."""
    [operation] = [d for d in parse(example.query).definitions if isinstance(d, OperationDefinitionNode)]
    return operation


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_runs_against_the_schema(example: Example, schema: GraphQLSchema) -> None:
    assert validate(schema, parse(example.query)) == []
    given = json.loads(example.variables)
    coerced = get_variable_values(schema, operation_of(example).variable_definitions or (), given)
    assert not isinstance(coerced, list), coerced


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_example_prefills_each_variable_and_no_other(example: Example) -> None:
    asked = {
        definition.variable.name.value for definition in operation_of(example).variable_definitions or ()
    }
    assert asked == set(json.loads(example.variables))


def test_there_is_an_example_of_each_kind_each_with_a_tab_title_of_its_own() -> None:
    operations = [operation_of(example) for example in examples()]
    assert {operation.operation for operation in operations} == set(OperationType)
    titles = [operation.name.value for operation in operations if operation.name]
    assert len(set(titles)) == len(operations)


@pytest.mark.parametrize("timeline", ["homeTimeline", "publicTimeline"])
def test_a_page_and_its_stream_can_be_tried_together(timeline: str) -> None:
    roots = {
        root.name.value: (example, root)
        for example in examples()
        for root in operation_of(example).selection_set.selections
        if isinstance(root, FieldNode)
    }
    page, _ = roots[timeline]
    assert {"liveCursor", "sortKey", "endCursor"} <= set(page.query.split())
    stream, field = roots[f"{timeline}Events"]
    assert [argument.name.value for argument in field.arguments or ()] == ["after"]
    # From now on, until a cursor is put in: one of another day would only be reset.
    assert json.loads(stream.variables) == {"after": None}
