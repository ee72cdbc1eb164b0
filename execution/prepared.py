"""Operations that are run many times: found in their document, and compiled, once."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
)
from graphql.execution import create_source_event_stream, map_source_to_response_event
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.execute import default_field_resolver, default_type_resolver
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues

from execution.executor import BreadthFirst
from execution.plans import Plan
from execution.variables import Variables


class PreparedOperation:
    """An operation of a parsed document that was found valid.

    Does what graphql-core's execute and subscribe do with it, without doing again for each run what does not change.
    Raises GraphQLError when the document has no such operation, or several and none was named.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation_name: str | None,
        executor_class: type[BreadthFirst],
        *,
        max_coercion_errors: int = 50,
        hide_suggestions: bool = False,
    ) -> None:
        self.definition = _operation_of(document, operation_name)
        self.document = document
        self._schema = schema
        self._executor_class = executor_class
        self._max_coercion_errors = max_coercion_errors
        self._hide_suggestions = hide_suggestions
        self._definitions = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._fragments = {name: FragmentDetails(node) for name, node in self._definitions.items()}
        self._variables = Variables(
            schema, self.definition.variable_definitions or (), max_errors=max_coercion_errors
        )
        self._plan = Plan(self.definition, list(self._definitions.values()))
        self._model = executor_class(
            schema,
            self._definitions,
            self._fragments,
            None,
            None,
            self.definition,
            VariableValues({}, {}),
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
        )
        self._model.plan = self._plan
        self._model.hide_suggestions = hide_suggestions

    async def execute(
        self, context: Any, variables: Mapping[str, Any] | None = None, root: Any = None
    ) -> ExecutionResult:
        """Run a query or a mutation."""
        if not self._plan.supported:
            result = execute(
                self._schema,
                self.document,
                root,
                context,
                dict(variables or {}),
                None if self.definition.name is None else self.definition.name.value,
                max_coercion_errors=self._max_coercion_errors,
                executor_class=self._executor_class,
                hide_suggestions=self._hide_suggestions,
            )
        else:
            executor = self._executor(context, variables, root)
            if isinstance(executor, ExecutionResult):
                return executor
            result = executor.execute_operation()
        return await result if isawaitable(result) else result

    async def subscribe(
        self, context: Any, variables: Mapping[str, Any] | None = None, root: Any = None
    ) -> AsyncGenerator[ExecutionResult, None] | ExecutionResult:
        """Begin a subscription: the results of its events, or the result that says why it cannot begin."""
        executor = self._executor(context, variables, root)
        if isinstance(executor, ExecutionResult):
            return executor
        stream = await _source(executor)
        return (
            stream if isinstance(stream, ExecutionResult) else map_source_to_response_event(executor, stream)
        )

    async def source(
        self, context: Any, variables: Mapping[str, Any] | None = None, root: Any = None
    ) -> AsyncIterable[Any] | ExecutionResult:
        """Begin a subscription whose events the caller has answered by `respond`: what its resolver returned."""
        executor = self._executor(context, variables, root)
        return executor if isinstance(executor, ExecutionResult) else await _source(executor)

    async def respond(
        self, context: Any, variables: Mapping[str, Any] | None, events: Sequence[Any]
    ) -> list[ExecutionResult]:
        """A subscription's results for these events, which are resolved together."""
        if len(events) > 1 and self._plan.supported:
            executor = self._executor(context, variables, None)
            if not isinstance(executor, ExecutionResult):
                data = await executor.data_of_each(events)
                if data is not None:
                    return [ExecutionResult(found, None) for found in data]
        return [await self.execute(context, variables, event) for event in events]

    def _executor(
        self, context: Any, variables: Mapping[str, Any] | None, root: Any
    ) -> BreadthFirst | ExecutionResult:
        values = self._variables(variables or {}, hide_suggestions=self._hide_suggestions)
        if isinstance(values, list):
            return ExecutionResult(None, errors=values)
        # As graphql-core makes an executor for each event of a subscription, but for all that belongs to one run.
        model = self._model
        executor = object.__new__(type(model))
        executor.__dict__.update(model.__dict__)
        executor.root_value = root
        executor.context_value = context
        executor.variable_values = values
        executor.collected_errors = CollectedErrors()
        executor._relevant_sub_fields = {}
        return executor


async def _source(executor: BreadthFirst) -> AsyncIterable[Any] | ExecutionResult:
    stream = create_source_event_stream(executor)
    return await stream if isawaitable(stream) else stream


def _operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        found = [node for node in found if node.name is not None and node.name.value == name]
        if not found:
            raise GraphQLError(f"Unknown operation named '{name}'.")
    if not found:
        raise GraphQLError("Must provide an operation.")
    if len(found) > 1:
        raise GraphQLError("Must provide operation name if query contains multiple operations.")
    return found[0]
