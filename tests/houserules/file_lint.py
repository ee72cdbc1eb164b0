"""The lint over files: short, described, without unexplained exceptions, and bound to nobody's machine."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from tests.houserules.violations import Violation

# Every project that this one learned from grew one module that everybody found convenient.
LONG, LONGEST = 400, 450
# Files that may be longer than LONG, and why.
MAY_BE_LONG = {"tests/resolvers/test_text.py": "tables of texts for the many rules of one module"}
# Where SQL may be written into code, and why: everywhere else it is a named query of sql/*.sql.
MAY_WRITE_SQL = {
    "app/migrations.py": "the table of migrations comes before all queries",
    "app/seed/": "COPY, and a lock that only seeding takes",
    "app/serve.py": "one look at a database whose migrations may be missing",
    "app/cli.py": "administration",
    "app/embedded/": "makes the server's role and database",
}
# They name what they look for.
EXAMPLES = ("tests/houserules/file_lint.py", "tests/houserules/test_files.py")
ROOMS = ("app", "schema", "resolvers", "dataloaders", "sql", "execution", "bench")

_SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s|CREATE\s|ALTER\s|DROP\s"
    r"|TRUNCATE\s|COPY\s+\w|LOCK\s+TABLE\s|VACUUM\b|SET\s+(LOCAL|SESSION)\s|(FROM|WHERE|ORDER BY|LIMIT)\s+[\w$])"
)
# An exception to a check, and what must follow: its reason, after a dash or a second number sign.
_EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|nosec)\b([^#]*?)((?:\s-\s|\s#\s*)\s*\S.*)?$")
_LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Folders that exist on one person's or one machine's disk, never in a checkout or in a standard system.
_MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(root|home|Users|work|workspace|builds?|opt|mnt|srv)/[\w.-]+")
_REGISTRY = re.compile(
    r"(?<!no-emit-)(?:(?:extra-)?index-url|find-links)|https?://[^\s/]*(?:pypi|pythonhosted|npmjs|registry)[^\s/]*"
)


def lint_length(path: str, text: str, may_be_long: Mapping[str, str] = MAY_BE_LONG) -> Iterator[Violation]:
    """A file that has grown too long."""
    lines = text.count("\n")
    if lines >= (LONGEST if path in may_be_long else LONG):
        yield Violation(path, f"{lines} lines; split it by noun below {LONG}")


def lint_docstrings(path: str, tree: ast.Module) -> Iterator[Violation]:
    """Modules, and public functions and classes of a module, that do not say what they are for.

    A row class without properties may go without: its name and its columns say it. A schema type has a description.
    """
    if ast.get_docstring(tree) is None and tree.body:
        yield Violation(path, "the module has no docstring; say in a line what it is for")
    for node in tree.body:
        if (
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and not node.name.startswith("_")
            and not _is_plain_row(node)
            and not _has_description(node)
            and ast.get_docstring(node) is None
        ):
            yield Violation(
                f"{path}:{node.lineno}", f"{node.name} has no docstring; say in a line what it is for"
            )


def _has_description(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(
        isinstance(decorator, ast.Call) and any(word.arg == "description" for word in decorator.keywords)
        for decorator in node.decorator_list
    )


def _is_plain_row(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ClassDef)
        and node.name.endswith("Row")
        and all(isinstance(part, ast.AnnAssign) for part in node.body)
    )


def lint_lines(path: str, text: str) -> Iterator[Violation]:
    """Exceptions to checks without a reason behind or above them, and notes of what to do one day."""
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{path}:{number}"
        exception = _EXCEPTION.search(line) if path.endswith(".py") else None
        if exception and not exception[3] and not before.startswith("#"):
            yield Violation(place, f"{exception[1]} without a reason; add ' - ' and why it is right here")
        before = line.strip()
        later = _LATER.search(line)
        if later:
            yield Violation(place, f"{later[1]}: do it now, or file an issue and take the note out")


def lint_addresses(path: str, text: str) -> Iterator[Violation]:
    """Folders of one machine, and the registries that packages came from."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in (
            (_MACHINE_PATH, "a folder that only one machine has; make it relative, or a setting"),
            (_REGISTRY, "the address of a package registry; whoever installs has their own configured"),
        ):
            found = pattern.search(line)
            if found:
                yield Violation(f"{path}:{number}", f"{found[0]} is {what}")


def lint_sql_in_code(
    path: str, tree: ast.Module, may_write_sql: Iterable[str] = tuple(MAY_WRITE_SQL)
) -> Iterator[Violation]:
    """SQL written into code, and queries made elsewhere than by the reader of sql/*.sql."""
    room = PurePosixPath(path).parts[0]
    if room not in ("app", "schema", "resolvers", "dataloaders") or path.startswith(tuple(may_write_sql)):
        return
    documented = {id(text) for text in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            if _SQL.match(node.value):
                yield Violation(
                    f"{path}:{node.lineno}", "SQL in code; make it a named query in sql/*.sql and load that"
                )
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query":
            yield Violation(f"{path}:{node.lineno}", "makes a Query; only sql/reader.py does, from sql/*.sql")


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def lint_python(path: str, text: str) -> list[Violation]:
    """All rules for one Python file."""
    tree = ast.parse(text)
    found = [*lint_length(path, text), *lint_lines(path, text), *lint_sql_in_code(path, tree)]
    if PurePosixPath(path).parts[0] in ROOMS:
        found += lint_docstrings(path, tree)
    return found
