"""Where the code uses which named query, and with which row class, read from its syntax trees.

Followed are the usual ways only: `NOUN["name"]`, also `NOUN["one" if … else "other"]`, given to many, maybe, one, run
or run_many at once, by way of a variable or a table of them, or through a function of this house (a method of the
same object) that does so. What goes another way is reported, so that the lints see everything.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sql import Queries
from tests.houserules.tables import ROOT
from tests.houserules.violations import Violation

ROOMS = ("app", "bench", "dataloaders", "resolvers")
# The methods of Statements, and the shape of query that each wants; those in ROW_FIRST are given the row class first.
SHAPES = {"many": "many", "maybe": "maybe", "one": "one", "run": "run", "run_many": "run"}
ROW_FIRST = frozenset({"many", "maybe", "one"})


class QueryName(NamedTuple):
    """`NOUN["name"]`, by the noun that NOUN loads."""

    noun: str
    name: str


class RowClass(NamedTuple):
    """A row class: where it is defined, and its name."""

    module: str
    name: str


class Use(NamedTuple):
    """A query at work. `method` is that of Statements, or "text" where only its text is taken."""

    query: QueryName
    method: str
    row: RowClass | None
    where: str


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Value = QueryName | RowClass
Values = Mapping[str, frozenset[Value]]


@dataclass
class Module:
    """One Python file."""

    name: str
    path: str
    tree: ast.Module

    @cached_property
    def nouns(self) -> dict[str, str]:
        """NOUN = load("noun"), at the top of the file."""
        return {
            target.id: call.args[0].value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            and isinstance(call := node.value, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "load"
            and call.args
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """Names of other modules: (module, name there)."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
            for alias in node.names
        }

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
        """The functions at the top of the file."""
        return {node.name: node for node in self.tree.body if isinstance(node, _FUNCTIONS)}

    @cached_property
    def methods(self) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
        """The methods of all classes of the file; those that take queries have names of their own."""
        return {
            node.name: node
            for part in self.tree.body
            if isinstance(part, ast.ClassDef)
            for node in part.body
            if isinstance(node, _FUNCTIONS)
        }

    @cached_property
    def row_classes(self) -> set[str]:
        """The named tuples of the file."""
        return {
            node.name
            for node in self.tree.body
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases)
        }


def modules(root: Path = ROOT, rooms: tuple[str, ...] = ROOMS) -> dict[str, Module]:
    """The Python files of the rooms, by module name."""
    found = {}
    for path in sorted(chain.from_iterable((root / room).rglob("*.py") for room in rooms)):
        relative = path.relative_to(root)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, str(relative), ast.parse(path.read_text(encoding="utf-8")))
    return found


@dataclass
class QueryUses:
    """Everything that the modules do with named queries."""

    modules: Mapping[str, Module]
    uses: list[Use] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    _globals: dict[str, Values] = field(default_factory=dict)

    @classmethod
    def of(cls, modules: Mapping[str, Module]) -> "QueryUses":
        """Read all functions, each as it is called."""
        found = cls(modules)
        for module in modules.values():
            found._globals[module.name] = _locals(found, module, module.tree, {})
        for module in modules.values():
            found._scope(module, module.tree, {}, ())
        found.uses = list(dict.fromkeys(found.uses))
        found.violations = list(dict.fromkeys(found.violations))
        return found

    def _scope(self, module: Module, scope: ast.AST, given: Values, calling: tuple[str, ...]) -> None:
        """What a function (or the module itself) does when its parameters have the values given."""
        known = dict(given)
        if given:
            known |= _locals(self, module, scope, known)
            self._statements(module, scope, known, calling)
            return
        # Nobody knows yet what it is called with: read each function with its own local variables.
        for part in _own_nodes(scope):
            if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                self._scope(module, part, {}, calling)
        known |= _locals(self, module, scope, known)
        self._statements(module, scope, known, calling)

    def _statements(self, module: Module, scope: ast.AST, known: Values, calling: tuple[str, ...]) -> None:
        explained: set[ast.AST] = set()
        for node in _own_nodes(scope):
            if isinstance(node, ast.Call):
                explained |= self._call(module, node, known, calling)
            elif isinstance(node, ast.Attribute) and node.attr == "text":
                for query in _queries(self.values(module, node.value, known)):
                    explained.add(node.value)
                    self.uses.append(Use(query, "text", None, _place(module, node)))
            elif isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) for target in node.targets
            ):
                explained |= {node.value}
                explained |= set(node.value.values) if isinstance(node.value, ast.Dict) else set()
        for node in _own_nodes(scope):
            if isinstance(node, ast.Subscript) and self._noun(module, node.value):
                if not _names(node.slice):
                    self._complain(
                        module, node, "write the query's name as a literal, so that its uses can be found"
                    )
                elif node not in explained:
                    self._complain(
                        module, node, "give the query to many, maybe, one, run or run_many of Statements"
                    )

    def _call(self, module: Module, node: ast.Call, known: Values, calling: tuple[str, ...]) -> set[ast.AST]:
        """Record what is called with queries; returns the arguments that were followed."""
        positional = [(arg, self.values(module, arg, known)) for arg in node.args]
        named = {word.arg: self.values(module, word.value, known) for word in node.keywords if word.arg}
        given = [arg for arg, values in positional if _queries(values)]
        given += [word.value for word in node.keywords if word.arg and _queries(named[word.arg])]
        if not given:
            return set()
        if isinstance(node.func, ast.Attribute) and node.func.attr in SHAPES:
            method = node.func.attr
            at = 1 if method in ROW_FIRST else 0
            queries = _queries(positional[at][1]) if at < len(positional) else []
            rows = [value for value in positional[0][1] if isinstance(value, RowClass)] if at else [None]
            if not rows and queries and not _is_parameter(node.args[0], known):
                self._complain(
                    module, node, "give the row class by name, so that its columns can be compared"
                )
            for query in queries:
                for row in rows:
                    self.uses.append(Use(query, method, row, _place(module, node)))
            return set(given)
        target = self._function(module, node.func)
        if target is None:
            return set()
        other, function = target
        names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args) if arg.arg != "self"]
        values = {name: values for name, (_, values) in zip(names, positional, strict=False) if values}
        values |= {name: found for name, found in named.items() if found}
        key = f"{other.name}.{function.name}"
        if key not in calling:
            self._scope(other, function, values, (*calling, key))
        return set(given)

    def values(self, module: Module, node: ast.AST, known: Values) -> frozenset[Value]:
        """The queries and row classes that an expression may stand for."""
        if isinstance(node, ast.Name):
            if node.id in known:
                return known[node.id]
            if node.id in self._globals.get(module.name, {}):
                return self._globals[module.name][node.id]
            if node.id in module.row_classes:
                return frozenset({RowClass(module.name, node.id)})
            home = module.imported.get(node.id)
            if home and home[0] in self.modules and home[1] in self.modules[home[0]].row_classes:
                return frozenset({RowClass(*home)})
        if isinstance(node, ast.IfExp):
            return self.values(module, node.body, known) | self.values(module, node.orelse, known)
        if isinstance(node, ast.Dict):
            return frozenset().union(*(self.values(module, value, known) for value in node.values))
        if isinstance(node, ast.Subscript):
            noun = self._noun(module, node.value)
            if noun:
                return frozenset(QueryName(noun, name) for name in _names(node.slice))
            return self.values(module, node.value, known)
        return frozenset()

    def _noun(self, module: Module, node: ast.AST) -> str | None:
        if not isinstance(node, ast.Name):
            return None
        if node.id in module.nouns:
            return module.nouns[node.id]
        home = module.imported.get(node.id)
        return self.modules[home[0]].nouns.get(home[1]) if home and home[0] in self.modules else None

    def _function(
        self, module: Module, node: ast.AST
    ) -> tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef] | None:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            method = module.methods.get(node.attr)
            return (module, method) if method else None
        if not isinstance(node, ast.Name):
            return None
        if node.id in module.functions:
            return module, module.functions[node.id]
        home = module.imported.get(node.id)
        other = self.modules.get(home[0]) if home else None
        return (other, other.functions[home[1]]) if other and home and home[1] in other.functions else None

    def _complain(self, module: Module, node: ast.expr, message: str) -> None:
        self.violations.append(Violation(_place(module, node), message))


def _locals(uses: QueryUses, module: Module, scope: ast.AST, known: Values) -> dict[str, frozenset[Value]]:
    found: dict[str, frozenset[Value]] = {}
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign):
            values = uses.values(module, node.value, known)
            for target in node.targets:
                if isinstance(target, ast.Name) and values:
                    found[target.id] = found.get(target.id, frozenset()) | values
    return found


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope and, themselves but not inside them, the functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _own_nodes(child)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        body, other = _names(node.body), _names(node.orelse)
        return [*body, *other] if body and other else []
    return []


def _queries(values: frozenset[Value]) -> list[QueryName]:
    return sorted(value for value in values if isinstance(value, QueryName))


def _is_parameter(node: ast.AST, known: Values) -> bool:
    return isinstance(node, ast.Name) and node.id in known


def _place(module: Module, node: ast.expr) -> str:
    return f"{module.path}:{node.lineno}"


def lint_uses(nouns: Mapping[str, Queries], found: QueryUses) -> list[Violation]:
    """Names that do not exist, queries that nobody uses, and shapes that do not agree with their use."""
    violations = list(found.violations)
    for use in found.uses:
        noun, name = use.query
        query = nouns[noun].get(name) if noun in nouns else None
        if query is None:
            violations.append(Violation(use.where, f"sql/{noun}.sql has no query {name!r}; correct the name"))
        elif use.method in SHAPES and SHAPES[use.method] != query.shape:
            violations.append(
                Violation(
                    use.where,
                    f"{name} is :{query.shape}; call {query.shape}, or change its shape in sql/{noun}.sql",
                )
            )
    used = {use.query for use in found.uses}
    for noun, queries in nouns.items():
        for name in queries:
            if QueryName(noun, name) not in used:
                violations.append(Violation(f"sql/{noun}.sql: {name}", "nothing uses it; remove it"))
    return violations
