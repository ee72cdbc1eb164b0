"""What a lint of this house reports."""

from typing import NamedTuple


class Violation(NamedTuple):
    """One broken rule: where (a file, a query), and what is wrong with what to do about it."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def told(violations: list[Violation]) -> str:
    """All of them, a line each, for a failing test to print."""
    return "".join(f"\n  {violation}" for violation in violations)
