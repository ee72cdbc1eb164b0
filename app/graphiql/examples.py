"""The prepared operations, one tab each: examples/NN-name.graphql with NN-name.json as its variables.

Variables may hold placeholders like {{post id}}; the page fills them from the public timeline when it opens.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """One tab: a document with a single named operation, and its variables as JSON text."""

    name: str
    query: str
    variables: str


@cache
def examples() -> tuple[Example, ...]:
    """All examples in the order of their numbers."""
    return tuple(_load(path) for path in sorted(FOLDER.glob("*.graphql")))


def _load(path: Path) -> Example:
    variables = path.with_suffix(".json")
    return Example(
        name=path.stem,
        query=path.read_text(encoding="utf-8"),
        variables=variables.read_text(encoding="utf-8") if variables.exists() else "",
    )
