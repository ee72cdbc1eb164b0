"""Every prepared operation of GraphiQL is valid against the schema as printed."""

import json

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, OperationType, build_schema, parse, validate
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
