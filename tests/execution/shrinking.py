"""Makes the operation of a case smaller while the executors still differ in it."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from graphql import DocumentNode, OperationDefinitionNode, parse, print_ast

from tests.execution.cases import Case

Differs = Callable[[Case], Awaitable[list[str]]]


async def smaller(case: Case, differs: Differs, attempts: int = 400) -> Case:
    """The case with what can be left out left out."""
    tried = 0
    found = True
    while found and tried < attempts:
        found = False
        for document in _less(case.document):
            tried += 1
            candidate = case._replace(document=document)
            if await differs(candidate):
                case, found = candidate, True
                break
            if tried >= attempts:
                break
    return case


def _less(document: DocumentNode) -> Iterator[DocumentNode]:
    text = print_ast(document)
    count = _sets(parse(text))
    for number, size in enumerate(count):
        for place in range(size):
            copy = parse(text)
            if _remove(copy, number, place):
                yield parse(print_ast(copy))


def _walk(node: Any) -> Iterator[Any]:
    below = getattr(node, "selection_set", None)
    if below is not None:
        yield below
        for selection in below.selections:
            yield from _walk(selection)


def _all(document: DocumentNode) -> Iterator[Any]:
    for node in document.definitions:
        yield from _walk(node)


def _sets(document: DocumentNode) -> list[int]:
    return [len(node.selections) for node in _all(document)]


def _remove(document: DocumentNode, number: int, place: int) -> bool:
    chosen = list(_all(document))[number]
    if len(chosen.selections) == 1:
        return False
    left = (*chosen.selections[:place], *chosen.selections[place + 1 :])
    object.__setattr__(chosen, "selections", left)  # a copy of our own, and nodes are frozen
    return any(isinstance(node, OperationDefinitionNode) for node in document.definitions)
