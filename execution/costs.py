"""What an operation may cost, told before it runs.

The cost is an upper bound, in points, of what the operation may answer: an object costs 1 for each time that it may
come, a leaf value 1/10. A connection (Relay's convention) is as long as its `first` or `last` says, whatever there is
to fill it, and what stands below it comes as often; connections in connections multiply. Its items are paid where
the connection is asked for, since its page is read even when only `pageInfo` is wanted; in return its first `edges`
or `nodes`, and an edge's first `node`, cost nothing more themselves. `Prices` has all the numbers.

The ideas are those of GitHub's and Shopify's published cost rules and of IBM's draft of cost directives, which all
count what may come from the arguments alone; the prices are our own.

`execution/costing.py` compiles an operation into an `OperationCost`: plain tuples in one flat list, to be sent to
another process. Evaluating them does not recurse and takes one step for each term.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

# Prices are whole numbers of these parts of a point, so that they add up exactly.
PARTS = 10
# Where products end, in parts: connections nested a hundred deep stay a small number.
CEILING = 10**12


class Prices(NamedTuple):
    """What costs how much, in tenths of a point, and how long lists are taken to be."""

    leaf: int = 1
    object: int = 10
    # On top of what they answer: a mutation writes, a subscription stays.
    mutation: int = 100
    subscription: int = 100
    # `__schema` and `__type` read nothing stored: this once, and each object below them at a leaf's price.
    introspection: int = 100
    # Items of a connection without a count, and the most that may be asked for.
    page: int = 20
    longest_page: int = 100
    # Items of a list that no argument bounds.
    some: int = 10
    # The same in introspection, where most lists are of arguments and empty.
    introspection_some: int = 5


PRICES = Prices()

# A variable, the value for which it takes something out, and its default.
Switch: TypeAlias = tuple[str, bool, Any]
# Switches of which none may take it out.
Clause: TypeAlias = tuple[Switch, ...]
# Clauses of which one must hold; empty: always.
When: TypeAlias = tuple[Clause, ...]
# How often something comes: known, or a variable's business.
PageSize: TypeAlias = tuple[str, int, tuple[tuple[str, Any], ...], int, int]
Size: TypeAlias = int | PageSize
# When, how often, parts of its own, and the cell of what stands below it (-1: none).
Term: TypeAlias = tuple[When, Size, int, int]
# Whether the terms are alternatives (the dearest counts), parts that always come, and the terms.
Cell: TypeAlias = tuple[bool, int, tuple[Term, ...]]


class OperationCost(NamedTuple):
    """The cost of one operation as a function of its variables: the last cell's, or `known` parts."""

    known: int
    cells: tuple[Cell, ...] = ()

    def __call__(self, variables: Mapping[str, Any]) -> int:
        """Points, 1 at least, with these variables, coerced or as they were sent. Raises nothing.

        A variable that is not what it should be counts as the most that it may be.
        """
        total = self.known
        values: list[int] = []
        for alternatives, total, terms in self.cells:
            for when, size, own, below in terms:
                if when and not _holds(when, variables):
                    continue
                amount = own + values[below] if below >= 0 else own
                amount *= size if type(size) is int else _size(size, variables)
                if not alternatives:
                    total += amount
                elif amount > total:
                    total = amount
            if total > CEILING:
                total = CEILING
            values.append(total)
        return max(1, -(-total // PARTS))


def _holds(when: When, variables: Mapping[str, Any]) -> bool:
    for clause in when:
        for name, out, default in clause:
            if variables.get(name, default) is out:
                break
        else:
            return True
    return False


IDS = "ids"
PAGE = "page"


def _size(size: Any, variables: Mapping[str, Any]) -> int:
    kind, known, names, default_size, longest = size
    if kind == IDS:
        for name, default in names:
            given = variables.get(name, default)
            known += len(given) if isinstance(given, (list, tuple)) else 1
        return int(known)
    largest = known
    for name, default in names:
        given = variables.get(name, default)
        if given is None:
            continue
        if type(given) is not int or not 0 <= given <= longest:
            return int(longest)
        if given > largest:
            largest = given
    return int(largest if largest >= 0 else default_size)
