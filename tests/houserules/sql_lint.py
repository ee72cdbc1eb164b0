"""The lint over sql/*.sql: every statement says whose rows it means, and so can be sent to where those are.

For each table that a statement touches, the owner (first column of the primary key) must be bound: compared for
equality with a parameter, `= ANY(parameter)`, the column of an unnest of parameters, or something that is itself
bound so; in an INSERT the value must be. A statement that cannot do so carries the line `-- crosses owners: reason`
and stands in CROSSING.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from sql import Queries, Query
from tests.houserules.tables import Table
from tests.houserules.violations import Violation

# Which statements may leave which tables' owners open, and why. Users outgrow one machine: keep this short.
CROSSING: dict[str, tuple[frozenset[str], str]] = {
    "applied_migrations": (frozenset({"schema_migrations"}), "book-keeping of the database itself"),
    "public_entries_down": (frozenset({"entries"}), "the public timeline is everybody's"),
    "public_entries_up": (frozenset({"entries"}), "the public timeline is everybody's"),
    "entries_walked_down": (frozenset({"entries"}), "a viewer who follows thousands: reading all is cheaper"),
    "entries_walked_up": (frozenset({"entries"}), "a viewer who follows thousands: reading all is cheaper"),
    "entry_at_depth_down": (frozenset({"entries"}), "where such a walk ended"),
    "entry_at_depth_up": (frozenset({"entries"}), "where such a walk ended"),
    "outbox_first": (frozenset({"outbox"}), "the sequencer looks whether anybody's event waits"),
    "number_outbox": (
        frozenset({"outbox", "changed_posts"}),
        "the sequencer moves everybody's events into the log",
    ),
    "announce_changes": (
        frozenset({"changes", "outbox", "posts", "fanouts", "reposters"}),
        "the sequencer announces whichever posts' counters moved",
    ),
    "trim_changes": (frozenset({"changes"}), "a sweep"),
    "take_fanout": (frozenset({"fanouts"}), "the sequencer takes whoever's job is next"),
    "sessions_revoked_lately": (frozenset({"sessions"}), "a starting worker has to refuse everybody's"),
    "trim_throttles": (frozenset({"throttles"}), "a sweep"),
    "any_user": (frozenset({"users"}), "asked once, before the server is used: is it empty"),
}

_DO = (
    "compare it with a parameter (=, = ANY, or a join with unnest), "
    "or write `-- crosses owners: reason` and add the statement to CROSSING in tests/houserules/sql_lint.py"
)


class _NotUnderstood(Exception):
    """A construct that this lint was not taught."""


class _Condition(NamedTuple):
    """What must hold; when it is the ON of an outer join, for the rows of `only` that source."""

    test: exp.Expr
    only: str | None


@dataclass
class _Scope:
    """One SELECT, UPDATE or DELETE: its sources by alias, and which of their columns are bound."""

    tables: dict[str, str] = field(default_factory=dict)
    derived: dict[str, set[str]] = field(default_factory=dict)
    bound: set[tuple[str, str]] = field(default_factory=set)
    outer: "_Scope | None" = None


class OwnerLint:
    """Finds the owners that a statement leaves open: (table, owner column) pairs and other complaints."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._open: list[str] = []
        self._said: list[str] = []
        self._results: dict[str, dict[str, bool]] = {}

    def check(self, text: str) -> tuple[list[str], list[str]]:
        """The tables whose owner is open, in order, and what else is wrong."""
        self._open, self._said, self._results = [], [], {}
        try:
            self._statement(parse_one(text, dialect="postgres"), None)
        except (_NotUnderstood, SqlglotError) as error:
            self._said.append(
                f"the lint does not understand this ({error}); write it more simply, or teach it"
            )
        return list(dict.fromkeys(self._open)), list(dict.fromkeys(self._said))

    def _statement(self, node: exp.Expr, outer: _Scope | None) -> dict[str, bool]:
        """The result's columns, and whether each is bound."""
        for cte in (node.args.get("with_") or exp.With(expressions=[])).expressions:
            self._results[cte.alias] = self._statement(cte.this, outer)
        if isinstance(node, exp.Subquery):
            return self._statement(node.this, outer)
        if isinstance(node, exp.SetOperation):
            left, right = self._statement(node.this, outer), self._statement(node.expression, outer)
            both = zip(left.items(), right.values(), strict=True)
            return {name: one and other for (name, one), other in both}
        if isinstance(node, exp.Insert):
            return self._insert(node, outer)
        if isinstance(node, (exp.Select, exp.Update, exp.Delete)):
            return self._scoped(node, outer)
        raise _NotUnderstood(type(node).__name__)

    def _scoped(self, node: exp.Expr, outer: _Scope | None) -> dict[str, bool]:
        scope = _Scope(outer=outer)
        laterals: list[exp.Expr] = []
        conditions: list[_Condition] = []
        sources = [] if isinstance(node, exp.Select) else [node.this]
        start = node.args.get("from_")
        sources += [start.this] if start else []
        sources += node.args.get("using") or []
        for join in node.args.get("joins") or []:
            sources.append(join.this)
            conditions += _joined_by(join)
        for source in sources:
            self._source(source, scope, laterals)
            for join in source.args.get("joins") or []:
                self._source(join.this, scope, laterals)
                conditions += _joined_by(join)
        where = node.args.get("where")
        conditions += [_Condition(part, None) for part in _all_of(where.this if where else None)]
        self._bind(scope, conditions)
        for lateral in laterals:
            inner = self._statement(lateral.this, scope)
            scope.derived[lateral.alias] = set(inner)
            scope.bound |= {(lateral.alias, column) for column, is_bound in inner.items() if is_bound}
        self._bind(scope, conditions)
        for alias, name in scope.tables.items():
            owner = self._owner(name)
            if owner is None or (alias, owner) not in scope.bound:
                self._open.append(name)
        if isinstance(node, exp.Update):
            self._sets(node.expressions, self._owner(node.this.name))
        returned = node.args.get("returning")
        results = (
            node.expressions if isinstance(node, exp.Select) else returned.expressions if returned else []
        )
        parts = [
            *results,
            *(condition.test for condition in conditions),
            *(node.expressions if isinstance(node, exp.Update) else []),
        ]
        for part in parts:
            for query in _queries_in(part):
                self._statement(query, scope)
        columns: dict[str, bool] = {}
        for item in results:
            if isinstance(item, exp.Star):
                columns |= {name: (alias, name) in scope.bound for alias, name in self._columns(scope)}
            else:
                columns[item.alias_or_name] = self._is_bound(item.unalias(), scope)
        return columns

    def _columns(self, scope: _Scope) -> Iterator[tuple[str, str]]:
        """All columns of all sources, by alias."""
        for alias, name in scope.tables.items():
            known = self._tables[name].columns if name in self._tables else {}
            yield from ((alias, column) for column in known)
        for alias, columns in scope.derived.items():
            yield from ((alias, column) for column in sorted(columns))

    def _source(self, source: exp.Expr, scope: _Scope, laterals: list[exp.Expr]) -> None:
        alias = source.alias_or_name
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
            if source.name in self._results:
                columns = self._results[source.name]
                scope.derived[alias] = set(columns)
                scope.bound |= {(alias, column) for column, is_bound in columns.items() if is_bound}
            else:
                scope.tables[alias] = source.name
        elif isinstance(source, exp.Unnest):
            named = source.args.get("alias")
            columns = {column.name: True for column in named.columns} if named else {}
            offset = source.args.get("offset")
            columns |= {offset.name: True} if isinstance(offset, exp.Identifier) else {}
            scope.derived[alias] = set(columns)
            if all(self._is_bound(value, scope) for value in source.expressions):
                scope.bound |= {(alias, column) for column in columns}
        elif isinstance(source, (exp.Subquery, exp.Lateral)):
            laterals.append(source)
        else:
            raise _NotUnderstood(f"{type(source).__name__} {alias}")

    def _insert(self, node: exp.Insert, outer: _Scope | None) -> dict[str, bool]:
        into = node.this
        if not isinstance(into, exp.Schema):
            raise _NotUnderstood("INSERT without its columns")
        name = into.this.name
        owner = self._owner(name)
        columns = [column.name for column in into.expressions]
        values = node.expression
        if isinstance(values, exp.Values):
            scope = _Scope(outer=outer)
            given = [
                [self._is_bound(value, scope) for value in row.expressions] for row in values.expressions
            ]
        else:
            given = [list(self._statement(values, outer).values())]
        is_bound = owner in columns and all(row[columns.index(owner)] for row in given)
        if not is_bound:
            self._open.append(name)
        conflict = node.args.get("conflict")
        if conflict is not None:
            keys = [key.this.name for key in conflict.args.get("conflict_keys") or []]
            if keys and owner not in keys:
                self._said.append(f"ON CONFLICT names no owner of {name}: add {owner}")
            self._sets(conflict.expressions, owner)
        returned = node.args.get("returning")
        return {
            item.alias_or_name: is_bound and item.name == owner
            for item in (returned.expressions if returned else [])
        }

    def _sets(self, assignments: list[exp.Expr], owner: str | None) -> None:
        for assignment in assignments:
            if isinstance(assignment, exp.EQ) and assignment.this.name == owner:
                self._said.append(
                    f"sets the owner {owner}: a row stays with its owner; delete it and insert another"
                )

    def _owner(self, table: str) -> str | None:
        return self._tables[table].owner if table in self._tables else None

    def _bind(self, scope: _Scope, conditions: list[_Condition]) -> None:
        count = -1
        while count != len(scope.bound):
            count = len(scope.bound)
            for condition, only in conditions:
                if isinstance(condition, exp.EQ):
                    sides = [(condition.this, condition.expression), (condition.expression, condition.this)]
                elif isinstance(condition, exp.In) and condition.expressions:
                    sides = [(condition.this, exp.Tuple(expressions=condition.expressions))]
                else:
                    continue
                for one, other in sides:
                    if isinstance(one, exp.Column) and self._is_bound(other, scope):
                        alias = self._alias(one, scope)
                        if alias is not None and only in (None, alias):
                            scope.bound.add((alias, one.name))

    def _alias(self, column: exp.Column, scope: _Scope) -> str | None:
        """Which source of this scope the column is of; None when it is of an outer one."""
        if column.table:
            return column.table if column.table in {*scope.tables, *scope.derived} else None
        of = [
            alias
            for alias, name in scope.tables.items()
            if name in self._tables and column.name in self._tables[name].columns
        ]
        of += [alias for alias, columns in scope.derived.items() if column.name in columns]
        return of[0] if of else None

    def _is_bound(self, value: exp.Expr, scope: _Scope | None) -> bool:
        if isinstance(value, (exp.Parameter, exp.Literal)):
            return True
        if isinstance(value, (exp.Cast, exp.Paren, exp.Any)):
            return self._is_bound(value.this, scope)
        if isinstance(value, exp.Tuple):
            return all(self._is_bound(item, scope) for item in value.expressions)
        while isinstance(value, exp.Column) and scope is not None:
            alias = self._alias(value, scope)
            if alias is not None:
                return (alias, value.name) in scope.bound
            scope = scope.outer
        return False


def _all_of(condition: exp.Expr | None) -> list[exp.Expr]:
    """The conditions that must all hold."""
    if condition is None:
        return []
    if isinstance(condition, exp.Paren):
        return _all_of(condition.this)
    if isinstance(condition, exp.And):
        return [*_all_of(condition.this), *_all_of(condition.expression)]
    return [condition]


def _joined_by(join: exp.Join) -> list[_Condition]:
    """What an ON says. An outer join restricts the table that it brings in, never the other one."""
    if join.args.get("using"):
        raise _NotUnderstood("JOIN … USING")
    if join.side not in ("", "LEFT"):
        raise _NotUnderstood(f"{join.side} JOIN")
    only = join.this.alias_or_name if join.side else None
    return [_Condition(part, only) for part in _all_of(join.args.get("on"))]


def _queries_in(node: exp.Expr) -> Iterator[exp.Expr]:
    """The outermost queries inside an expression."""
    for part in node.walk(prune=lambda part: isinstance(part, exp.Query)):
        if isinstance(part, exp.Query):
            yield part


def lint_owners(
    nouns: Mapping[str, Queries],
    tables: Mapping[str, Table],
    crossing: Mapping[str, tuple[frozenset[str], str]] = CROSSING,
) -> list[Violation]:
    """Whatever is wrong with the statements, and with the list of exceptions."""
    found: list[Violation] = []
    lint = OwnerLint(tables)
    queries = [query for noun in nouns.values() for query in noun.values()]
    for query in queries:
        found += [Violation(_place(query), message) for message in _complaints(query, lint, tables, crossing)]
    for name in crossing.keys() - {query.name for query in queries}:
        found.append(Violation(f"CROSSING[{name!r}]", "no query has this name; remove the entry"))
    return found


def _complaints(
    query: Query,
    lint: OwnerLint,
    tables: Mapping[str, Table],
    crossing: Mapping[str, tuple[frozenset[str], str]],
) -> Iterator[str]:
    left_open, said = lint.check(query.text)
    yield from said
    allowed, _ = crossing.get(query.name, (frozenset[str](), ""))
    for name in left_open:
        if name in allowed:
            continue
        if name in tables:
            yield f"leaves {tables[name].owner}, the owner of {name}, open: {_DO}"
        else:
            yield f"touches {name}, which sql/schema.sql does not have: correct the name, or run `make sql-schema`"
    for name in sorted(allowed - set(left_open)):
        yield f"does not leave the owner of {name} open: take the table out of its entry in CROSSING"
    if query.crosses_owners is None and query.name in crossing:
        yield "stands in CROSSING without saying so: add the line `-- crosses owners: reason`"
    if query.crosses_owners is not None and query.name not in crossing:
        yield "says that it crosses owners: remove that line, or add the statement to CROSSING with its tables"


def lint_names(nouns: Mapping[str, Queries]) -> list[Violation]:
    """Names that two files share: a log line names a query by its name alone."""
    first: dict[str, Query] = {}
    found: list[Violation] = []
    for query in (query for noun in nouns.values() for query in noun.values()):
        other = first.setdefault(query.name, query)
        if other is not query:
            found.append(Violation(_place(query), f"sql/{other.noun}.sql has the name too; choose another"))
    return found


def _place(query: Query) -> str:
    return f"sql/{query.noun}.sql: {query.name}"
