"""Runs GraphQL operations over a Strawberry schema breadth first. Begin at README.md."""

from execution.costing import Costing, TooManySelections
from execution.costs import OperationCost, Prices
from execution.executor import BreadthFirst, BreadthFirstExecutor, StrawberryBreadthFirstExecutor
from execution.fields import attribute_field, batch_field
from execution.leaves import keeps
from execution.prepared import PreparedOperation

__all__ = [
    "BreadthFirst",
    "BreadthFirstExecutor",
    "Costing",
    "OperationCost",
    "PreparedOperation",
    "Prices",
    "StrawberryBreadthFirstExecutor",
    "TooManySelections",
    "attribute_field",
    "batch_field",
    "keeps",
]
