"""Compiles what operations cost (execution/costs.py), from the same merged view as their plans.

Fields with one response key are one field; fragments count where they are spread, once in each selection set; @skip
and @include are followed. Below an interface or a union, the dearest of the possible types counts.

Each merged selection of a type becomes one cell, however often it comes, so fragments that spread each other again and
again stay as small as they are written. Where that does not help, the number of selections looked at is limited.
"""

from collections.abc import Generator, Mapping
from typing import Any, TypeAlias

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
)

from execution.cost_sizes import Sizes, is_connection, lists_of, plain, shows_items
from execution.costs import (
    CEILING,
    PRICES,
    Cell,
    Clause,
    OperationCost,
    Prices,
    Size,
    Term,
    When,
)

# Selections that are looked at for one operation. The largest in use have some hundreds.
MAX_SELECTIONS = 10_000

# Parts that are known, or the cell that tells them (-1: none).
Value: TypeAlias = tuple[int, int]
Step: TypeAlias = "Generator[Step, Value, Value]"
Occurrences: TypeAlias = tuple[tuple[SelectionSetNode, Clause], ...]
Groups: TypeAlias = dict[str, list[tuple[FieldNode, Clause]]]
# Where a selection stands: nowhere special, in a connection so long, or in one of its edges.
Role: TypeAlias = Size | str | None
EDGE = "edge"
ALWAYS: When = ()


class TooManySelections(Exception):
    """An operation that its fragments expand beyond what is worth counting: it is to be refused."""


class Costing:
    """Compiles the costs of a schema's operations."""

    def __init__(
        self, schema: GraphQLSchema, prices: Prices = PRICES, *, max_selections: int = MAX_SELECTIONS
    ) -> None:
        self.schema = schema
        self.prices = prices
        self.max_selections = max_selections

    def compile(
        self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> OperationCost:
        """The cost of a validated operation. Raises TooManySelections, also for fragments in a circle."""
        compilation = _Compilation(self, operation, fragments)
        known, cell = _driven(compilation.root())
        return OperationCost(known, tuple(compilation.cells) if cell >= 0 else ())


def _driven(first: Step) -> Value:
    """Run steps that wait for others, without the recursion that deep documents would need."""
    waiting: list[Step] = [first]
    value: Value | None = None
    while True:
        try:
            below = next(waiting[-1]) if value is None else waiting[-1].send(value)
        except StopIteration as done:
            waiting.pop()
            value = done.value
            assert value is not None
            if not waiting:
                return value
        else:
            waiting.append(below)
            value = None


class _Compilation:
    """One operation's."""

    def __init__(
        self,
        costing: Costing,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self.cells: list[Cell] = []
        self._schema = costing.schema
        self._prices = costing.prices
        self._left = costing.max_selections
        self._operation = operation
        self._fragments = fragments
        self._defaults: dict[str, Any] = {
            node.variable.name.value: plain(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        self._sizes = Sizes(costing.prices, self._defaults)
        # By type, role and merged fields. None while it is being compiled.
        self._known: dict[tuple[Any, ...], Value | None] = {}

    def root(self) -> Step:
        """The operation itself."""
        type_ = self._schema.get_root_type(self._operation.operation)
        assert type_ is not None, "a validated operation has its root type"
        return (yield self._selection(type_, ((self._operation.selection_set, ()),), None))

    def _selection(self, type_: GraphQLNamedType, occurrences: Occurrences, role: Role) -> Step:
        if is_object_type(type_):
            return (yield self._object(type_, occurrences, role))
        assert is_abstract_type(type_)
        terms: dict[Value, None] = {}
        for possible in self._schema.get_possible_types(type_):
            terms[(yield self._object(possible, occurrences, role))] = None
        known = max((parts for parts, cell in terms if cell < 0), default=0)
        return self._cell(True, known, [(ALWAYS, 1, 0, cell) for _, cell in terms if cell >= 0])

    def _object(self, type_: GraphQLObjectType, occurrences: Occurrences, role: Role) -> Step:
        groups = self._collect(type_, occurrences)
        # By the fields, not by where they were found: the same fragment below two fields is compiled once.
        merged = tuple((id(node), clause) for found in groups.values() for node, clause in found)
        key = (type_.name, role, merged)
        if key in self._known:
            found = self._known[key]
            if found is None:
                raise TooManySelections("The fragments go round in a circle.")
            return found
        self._known[key] = None
        known = 0
        terms: list[Term] = []
        paid = False
        for name, nodes in groups.items():
            if name == "__typename" and nodes[0][0].name.value == name:
                continue  # free, once
            definition = self._schema.get_field(type_, nodes[0][0].name.value)
            if definition is None:
                continue  # an operation that was not validated
            # The page's items were paid with the connection, its node with the edge.
            shown = nodes[0][0].name.value
            free = not paid and (shown == "node" if role == EDGE else role is not None and shows_items(shown))
            paid = paid or free
            for when, size, own, below in (yield from self._field(type_, definition, nodes, role, free)):
                if when is ALWAYS and type(size) is int and below < 0:
                    known += own * size
                else:
                    terms.append((when, size, own, below))
        value = self._known[key] = self._cell(False, known, terms)
        return value

    def _cell(self, alternatives: bool, known: int, terms: list[Term]) -> Value:
        """A cell for what is not known yet, or what is."""
        if not terms:
            return min(known, CEILING), -1
        self.cells.append((alternatives, min(known, CEILING), tuple(terms)))
        return 0, len(self.cells) - 1

    def _field(
        self,
        parent: GraphQLObjectType,
        definition: GraphQLField,
        nodes: list[tuple[FieldNode, Clause]],
        role: Role,
        free: bool,
    ) -> "Generator[Step, Value, list[Term]]":
        """The terms of one response key. `free`: its objects are paid already."""
        node = nodes[0][0]
        type_ = get_named_type(definition.type)
        introspected = type_.name.startswith("__")
        some = self._prices.introspection_some if introspected else self._prices.some
        size: Size = 1
        lists = lists_of(definition)
        if role is not None and role != EDGE and lists == 1 and shows_items(node.name.value):
            assert not isinstance(role, str)
            size = role
        elif lists:
            size = self._sizes.of_list(definition, node, some)
            if isinstance(size, int):
                size = min(size * some ** (lists - 1), CEILING)
        when, below_clauses = _when(nodes)
        if is_leaf_type(type_):
            return [(when, size, self._prices.leaf, -1)]
        own = 0 if free else self._prices.leaf if introspected else self._prices.object
        if introspected and not parent.name.startswith("__"):
            own += self._prices.introspection
        if parent == self._schema.mutation_type:
            own += self._prices.mutation
        elif parent == self._schema.subscription_type:
            own += self._prices.subscription
        terms: list[Term] = []
        below_role: Role = None
        if is_connection(type_):
            below_role = self._sizes.page(definition, node)
            terms.append((when, below_role, self._prices.object, -1))
        elif role is not None and role != EDGE and node.name.value == "edges":
            below_role = EDGE
        occurrences = tuple(
            (found.selection_set, clause)
            for (found, _), clause in zip(nodes, below_clauses, strict=True)
            if found.selection_set is not None
        )
        known, cell = yield self._selection(type_, occurrences, below_role)
        terms.append((when, size, own + known, cell))
        return terms

    def _collect(self, type_: GraphQLObjectType, occurrences: Occurrences) -> Groups:
        """The fields of an object of this type by response key, with the switches that each stands under."""
        groups: Groups = {}
        spread: set[tuple[str, Clause]] = set()
        waiting = [iter(node.selections) for node, _ in reversed(occurrences)]
        clauses = [clause for _, clause in reversed(occurrences)]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                clauses.pop()
                continue
            self._left -= 1
            if self._left < 0:
                raise TooManySelections("The operation selects too much.")
            clause = self._clause(node, clauses[-1])
            if clause is None:
                continue
            if isinstance(node, FieldNode):
                name = node.alias.value if node.alias else node.name.value
                groups.setdefault(name, []).append((node, clause))
                continue
            inner: FragmentDefinitionNode | InlineFragmentNode | None
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                # Once without a switch is once and for all.
                if (name, ()) in spread or (name, clause) in spread:
                    continue
                spread.add((name, clause))
                inner = self._fragments.get(name)
            else:
                assert isinstance(node, InlineFragmentNode)
                inner = node
            if inner is not None and self._applies(inner, type_):
                waiting.append(iter(inner.selection_set.selections))
                clauses.append(clause)
        return groups

    def _applies(
        self, fragment: FragmentDefinitionNode | InlineFragmentNode, type_: GraphQLObjectType
    ) -> bool:
        condition = fragment.type_condition
        if condition is None or condition.name.value == type_.name:
            return True
        named = self._schema.get_type(condition.name.value)
        return is_abstract_type(named) and self._schema.is_sub_type(named, type_)

    def _clause(
        self, node: FieldNode | FragmentSpreadNode | InlineFragmentNode | Any, around: Clause
    ) -> Clause | None:
        """The switches that a selection stands under; None when it never comes."""
        clause = around
        for directive in node.directives or ():
            name = directive.name.value
            if name not in ("skip", "include"):
                continue
            out = name == "skip"
            for argument in directive.arguments or ():
                value = argument.value
                if isinstance(value, BooleanValueNode):
                    if value.value is out:
                        return None
                elif isinstance(value, VariableNode):
                    switch = (value.name.value, out, self._defaults.get(value.name.value))
                    if switch not in clause:
                        clause = (*clause, switch)
        return clause


def _when(nodes: list[tuple[FieldNode, Clause]]) -> tuple[When, list[Clause]]:
    """When a merged field comes, and which switches are still to be asked below each of its nodes."""
    clauses = list(dict.fromkeys(clause for _, clause in nodes))
    if len(clauses) == 1:
        # All of them stand or fall together: nothing below needs to ask again.
        return (ALWAYS if clauses[0] == () else (clauses[0],)), [()] * len(nodes)
    return (ALWAYS if () in clauses else tuple(clauses)), [clause for _, clause in nodes]
