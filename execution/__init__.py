"""Runs GraphQL operations over a Strawberry schema breadth first. Begin at README.md."""

from execution.executor import BreadthFirst, BreadthFirstExecutor, StrawberryBreadthFirstExecutor
from execution.fields import attribute_field, batch_field
from execution.prepared import PreparedOperation

__all__ = [
    "BreadthFirst",
    "BreadthFirstExecutor",
    "PreparedOperation",
    "StrawberryBreadthFirstExecutor",
    "attribute_field",
    "batch_field",
]
