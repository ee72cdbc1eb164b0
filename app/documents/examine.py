"""What a new document is put through before anything of it runs: parsing, validation, costs.

All of it is work that a hostile document can make long, so it is done in a process of its own (helper.py). What comes
back is small and quick to read: the parsed document as bytes, with the places in it that errors may point at.
"""

import io
import pickle
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    NameNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    Source,
    parse,
    specified_rules,
    validate,
)
from graphql.language import Location

from app.documents.scan import ScanLimits, TooMuch, scan
from app.refusals import PARSE_FAILED, VALIDATION_FAILED, error_told
from execution import Costing, OperationCost, TooManySelections
from schema.build import executable

# Errors of one document that are told.
MAX_ERRORS = 10
# Tokens of a trusted document: the others have a smaller limit, in scan.py.
MAX_TOKENS = 20_000


class Task(NamedTuple):
    """A document to examine. `introspection`: whether it may ask for the schema, and is told what it may have meant.

    `limits`: what it may have; None when it was looked at before, or is trusted.
    """

    text: str
    introspection: bool
    limits: ScanLimits | None = None


class Examined(NamedTuple):
    """A valid document, packed, and what its operations cost, by name; None: too much to be counted."""

    packed: bytes
    costs: dict[str | None, OperationCost | None]


class Invalid(NamedTuple):
    """Why a document is not valid: a code, and errors as they are sent."""

    code: str
    errors: list[dict[str, Any]]


_costing = Costing(executable)
_CLOSED_RULES = (*specified_rules, NoSchemaIntrospectionCustomRule)


def examine(task: Task) -> Examined | Invalid:
    """Parse and validate. Whatever the text, this returns; how long it takes, the caller bounds."""
    try:
        if task.limits is not None:
            scan(task.text, task.limits)
        document = parse(task.text, max_tokens=MAX_TOKENS)
        errors = validate(
            executable,
            document,
            specified_rules if task.introspection else _CLOSED_RULES,
            max_errors=MAX_ERRORS,
            hide_suggestions=not task.introspection,
        )
        if errors:
            return _invalid(VALIDATION_FAILED, *(errors if task.introspection else map(_bare, errors)))
        return Examined(pack(document), _costs(document))
    except TooMuch as error:
        return _invalid(error.code, GraphQLError(str(error)))
    except GraphQLSyntaxError as error:
        return _invalid(PARSE_FAILED, error)
    except RecursionError:
        return _invalid(PARSE_FAILED, GraphQLError("This document is nested too deeply."))


def _costs(document: DocumentNode) -> dict[str | None, OperationCost | None]:
    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
    }
    costs: dict[str | None, OperationCost | None] = {}
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            try:
                cost = _costing.compile(each, fragments)
            except TooManySelections:
                cost = None
            costs[each.name.value if each.name else None] = cost
    return costs


def _bare(error: GraphQLError) -> GraphQLError:
    """Without what was perhaps meant: one rule says so whatever it is told."""
    return GraphQLError(error.message.partition(" Did you mean ")[0], error.nodes)


def _invalid(code: str, *errors: GraphQLError) -> Invalid:
    return Invalid(code, [error_told(error, code) for error in errors])


class _Packer(pickle.Pickler):
    """Places without their tokens, names without their places (no error points at one), the text by reference."""

    def persistent_id(self, obj: Any) -> str | None:
        return "source" if isinstance(obj, Source) else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Location):
            return _place, (obj.start, obj.end, obj.source)
        if isinstance(obj, NameNode):
            return _name, (obj.value,)
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, packed: bytes, source: Source) -> None:
        super().__init__(io.BytesIO(packed))
        self._source = source

    def persistent_load(self, pid: Any) -> Source:
        return self._source


def pack(document: DocumentNode) -> bytes:
    """The document as bytes."""
    packed = io.BytesIO()
    _Packer(packed, protocol=5).dump(document)
    return packed.getvalue()


def unpack(packed: bytes, text: str) -> DocumentNode:
    """The document of these bytes. They come from a helper of ours, from nobody else: reading them may run code."""
    document: DocumentNode = _Unpacker(packed, Source(text)).load()
    return document


def _place(start: int, end: int, source: Source) -> Location:
    place = Location.__new__(Location)
    place.start, place.end, place.source = start, end, source
    return place


def _name(value: str) -> NameNode:
    return NameNode(value=value)
