"""What a subscription asks, and the answers to its events as they are sent."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson
from graphql import ExecutionResult, FragmentDefinitionNode

from app.documents.documents import Operation
from app.operations import Operations, encode, told
from execution import PreparedOperation
from resolvers.context import Context
from resolvers.feeds import Asked
from resolvers.live import LiveEvent
from schema.build import executable
from schema.live import event_of
from schema.sharing import asked_by, variables_used


class Ended(Exception):
    """A subscription cannot begin, or go on; the answer says why."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer


class Question(NamedTuple):
    """What does not change between the runs of a subscription. `asked`: None when it cannot be shared."""

    asked: Asked | None
    variables: frozenset[str]


_questions: WeakKeyDictionary[PreparedOperation, Question] = WeakKeyDictionary()


def question_of(operation: Operation) -> Question:
    """What a subscription asks; found out once for each document."""
    prepared = operation.prepared
    found = _questions.get(prepared)
    if found is None:
        fragments = {
            node.name.value: node
            for node in prepared.document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        found = _questions[prepared] = Question(
            asked_by(executable, prepared.definition, fragments),
            variables_used(prepared.definition, fragments),
        )
    return found


def shared_key(operation: Operation, variables: frozenset[str], *more: object) -> tuple[object, ...]:
    """Equal for operations with the same answers: the same document, and the same values of what these depend on."""
    given = {name: operation.variables[name] for name in variables if name in operation.variables}
    return (operation.prepared, orjson.dumps(given, option=orjson.OPT_SORT_KEYS), *more)


class Answers:
    """Answers one operation's events."""

    __slots__ = ("_cost", "_operations", "_prepared", "_request_id", "_variables")

    def __init__(self, operations: Operations, operation: Operation, cost: int, request_id: str) -> None:
        self._operations, self._cost, self._request_id = operations, cost, request_id
        self._prepared = operation.prepared
        self._variables: Mapping[str, Any] = operation.variables

    async def to(self, ctx: Context, kind: str, events: Sequence[LiveEvent]) -> list[bytes]:
        """The answers as JSON, in the events' order. Raises Ended for one that is longer than any may be."""
        sources = [event_of(event, kind) for event in events]
        results = await self._prepared.respond(ctx, self._variables, sources)
        return [self._encoded(result) for result in results]

    def _encoded(self, result: ExecutionResult) -> bytes:
        bounded, _ = self._operations.bounded(result, self._cost)
        answer = told(bounded, self._request_id)
        if bounded is not result:
            raise Ended(answer)
        return encode(answer)
