"""Plans: what of an operation does not change from one run to the next, compiled once.

A plan is a tree of selections. A selection is what is asked of one object type at one place: its fields in the
order of the response, merged from all fragments that apply (graphql-core's own collect_fields does that). Selections
are compiled when the first object comes to their place, since below an interface its type is not known before.

Variables change a plan only through @skip and @include. So it has a variant for each combination of their values
that was met.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.pyutils import Undefined
from graphql.type import is_non_null_type

from execution.arguments import UNCHANGING, AnyExecutor, Arguments
from execution.completion import Completion, LeafCompletion, completion_of
from execution.getters import Getter, getter_of

# Variants that one plan keeps; an operation with more switches in use is compiled again now and then.
MAX_VARIANTS = 16


class Field:
    """One response key of a selection."""

    def __init__(
        self,
        executor: AnyExecutor,
        selection: "Selection",
        key: str,
        details: FieldDetailsList,
        definition: GraphQLField,
    ) -> None:
        self.parent_type = selection.type
        self.key = key
        self.details = details
        self.nodes: list[FieldNode] = [detail.node for detail in details]
        self.definition = definition
        self.nullable = not is_non_null_type(definition.type)
        self.completion: Completion = completion_of(definition.type)
        # Of a field that is a leaf itself.
        self.leaf = self.completion if isinstance(self.completion, LeafCompletion) else None
        self.getter: Getter = getter_of(executor.schema, definition, selection.type)
        self._selections: dict[str, Selection] = {}
        # Whether its values were waited for in the last run in which others could have come first.
        self.waits = False
        # Coerces them for a run. Raises GraphQLError.
        self.arguments = Arguments(definition, self.nodes[0])

    @staticmethod
    def are_shared(arguments: Mapping[str, Any]) -> bool:
        """Whether these may be given to several calls: nothing in them can be changed by one of them."""
        return all(type(value) in UNCHANGING for value in arguments.values())

    def selection(self, executor: AnyExecutor, type_: GraphQLObjectType) -> "Selection":
        """What is asked of objects of this type below the field. Raises GraphQLError for unusable directives."""
        found = self._selections.get(type_.name)
        if found is None:
            grouped = collect_subfields(
                executor.schema,
                executor.fragments,
                executor.variable_values,
                executor.operation,
                type_,
                self.details,
                executor.hide_suggestions,
            ).grouped_field_set
            found = self._selections[type_.name] = Selection(executor, type_, grouped)
        return found


class Selection:
    """What is asked of objects of one type at one place: `fields` in order, `blank` the keys of the response."""

    def __init__(self, executor: AnyExecutor, type_: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        self.type = type_
        self.fields: list[Field] = []
        for key, details in grouped.items():
            definition = executor.schema.get_field(type_, details[0].node.name.value)
            # As graphql-core does: what the type does not have (an operation that was not validated) is left out.
            if definition is not None:
                self.fields.append(Field(executor, self, key, details, definition))
        self.blank: dict[str, Any] = dict.fromkeys(field.key for field in self.fields)


class Plan:
    """One operation, compiled."""

    def __init__(
        self, operation: OperationDefinitionNode, fragments: Sequence[FragmentDefinitionNode]
    ) -> None:
        self.operation = operation
        self.fragments = fragments
        self.supported = True
        switches = set()
        for name, value in _directive_arguments(operation, fragments):
            if name in ("defer", "stream"):
                self.supported = False
            elif name in ("skip", "include") and isinstance(value, VariableNode):
                switches.add(value.name.value)
        if any(fragment.variable_definitions for fragment in fragments):
            self.supported = False
        self._switches = sorted(switches)
        self._variants: OrderedDict[tuple[Any, ...], Selection] = OrderedDict()

    def root(self, executor: AnyExecutor, root_type: GraphQLObjectType) -> Selection:
        """What is asked of the root. Raises GraphQLError for unusable directives, RecursionError when too deep."""
        values = executor.variable_values.coerced
        key = tuple([values.get(name, Undefined) for name in self._switches])
        found = self._variants.get(key)
        if found is not None:
            self._variants.move_to_end(key)
            return found
        grouped = collect_fields(
            executor.schema,
            executor.fragments,
            executor.variable_values,
            root_type,
            executor.operation,
            executor.hide_suggestions,
        ).grouped_field_set
        found = self._variants[key] = Selection(executor, root_type, grouped)
        if len(self._variants) > MAX_VARIANTS:
            self._variants.popitem(last=False)
        return found


def _directive_arguments(
    operation: OperationDefinitionNode, fragments: Sequence[FragmentDefinitionNode]
) -> Iterator[tuple[str, Any]]:
    """The name of each directive on a selection with each of its arguments' values; None when it has none."""
    waiting: list[SelectionSetNode] = [operation.selection_set, *(node.selection_set for node in fragments)]
    while waiting:
        for node in waiting.pop().selections:
            for directive in node.directives or ():
                yield directive.name.value, None
                for argument in directive.arguments or ():
                    yield directive.name.value, argument.value
            below = node.selection_set if isinstance(node, (FieldNode, InlineFragmentNode)) else None
            if below is not None:
                waiting.append(below)


class PlanCache:
    """The plans used last, by operation. Bounded in number and in the length of their documents.

    An operation is its node in a parsed document, so whoever keeps parsed documents gets their plans again, and
    two operations of one document are two plans.
    """

    def __init__(self, *, plans: int = 1_000, characters: int = 2_000_000) -> None:
        self._max_plans = plans
        self._max_characters = characters
        self._plans: OrderedDict[tuple[int, int], tuple[Plan, Any]] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._plans)

    def plan(self, executor: AnyExecutor) -> Plan:
        """The plan of the executor's operation."""
        operation, schema = executor.operation, executor.schema
        # AST nodes hash by all that is in them; what is kept here keeps its id.
        key = (id(operation), id(schema))
        found = self._plans.get(key)
        fragments = list(executor.fragment_definitions.values())
        if found is not None and _same(found[0].fragments, fragments):
            with self._lock:
                if key in self._plans:
                    self._plans.move_to_end(key)
            return found[0]
        plan = Plan(operation, fragments)
        with self._lock:
            self._forget(key)
            self._plans[key] = plan, schema
            self._characters += _length(plan)
            while len(self._plans) > self._max_plans or self._characters > self._max_characters:
                self._forget(next(iter(self._plans)))
        return plan

    def _forget(self, key: tuple[int, int]) -> None:
        found = self._plans.pop(key, None)
        if found is not None:
            self._characters -= _length(found[0])


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(map(lambda one, other: one is other, some, others))


def _length(plan: Plan) -> int:
    location = plan.operation.loc
    return 1_000 if location is None else len(location.source.body)
