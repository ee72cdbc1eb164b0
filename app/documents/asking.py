"""What a request asks for: a document or a reference to one, the operation's name, variables."""

import re
from http import HTTPStatus
from typing import Any, NamedTuple

from app.refusals import Malformed

# Values in the variables, objects and lists counted: checking them takes microseconds each. The longest list that a
# field takes has 100.
MAX_VALUES = 2_000
LONGEST_ID = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCALARS = (str, int, float, bool, type(None))


class Reference(NamedTuple):
    """A document by its id. `automatic`: by Apollo's protocol, in which the text is sent when the id is not known."""

    id: str
    automatic: bool

    @property
    def digest(self) -> bytes | None:
        """The SHA-256 of the text, when that is what the id is."""
        return bytes.fromhex(self.id) if _SHA256.fullmatch(self.id) else None


class Asked(NamedTuple):
    """A request that is well-formed: it has a text, a reference, or both."""

    text: str | None
    reference: Reference | None
    name: str | None
    variables: dict[str, Any]


def asked_by(request: object) -> Asked:
    """What a request's JSON asks. Raises Malformed."""
    if isinstance(request, list):
        raise _bad("Batches are not taken: send each operation as a request of its own, over one connection.")
    if not isinstance(request, dict):
        raise _bad("Send one JSON object with a 'query'.")
    text, name, variables = request.get("query"), request.get("operationName"), request.get("variables")
    if text is not None and not isinstance(text, str):
        raise _bad("'query' must be a GraphQL document.")
    if name is not None and not isinstance(name, str):
        raise _bad("'operationName' must be a string or null.")
    if variables is None:
        variables = {}
    elif not isinstance(variables, dict):
        raise _bad("'variables' must be an object or null.")
    else:
        _check_size(variables)
    if text is not None and not text.strip():
        text = None  # graphql-ws's client wants a query, so apps that have none send an empty one
    reference = _reference(request, alone=text is None)
    if text is None and reference is None:
        raise _bad("'query' must be a GraphQL document.")
    return Asked(text, reference, name or None, variables)


def _reference(request: dict[str, Any], *, alone: bool) -> Reference | None:
    extensions = request.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        raise _bad("'extensions' must be an object or null.")
    persisted = extensions.get("persistedQuery") if extensions else None
    if persisted is not None:
        if not isinstance(persisted, dict) or persisted.get("version") != 1:
            raise _bad("'extensions.persistedQuery' must be an object with the version 1.")
        return Reference(
            _id(persisted.get("sha256Hash"), "extensions.persistedQuery.sha256Hash"), automatic=True
        )
    given = request.get("documentId")
    if given is not None:
        return Reference(_id(given, "documentId").removeprefix("sha256:"), automatic=False)
    if alone:
        # Relay's names for it; with a text beside them they are anybody's.
        for name in ("doc_id", "id"):
            if request.get(name) is not None:
                return Reference(_id(request[name], name), automatic=False)
    return None


def _id(given: object, name: str) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= LONGEST_ID or "\0" in given:
        raise _bad(f"'{name}' must be a string of 1 to {LONGEST_ID} characters.")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise _bad(f"'{name}' must be text.") from None
    return given


def _check_size(variables: dict[str, Any]) -> None:
    """Refuse more values than any operation takes, before they are looked at one by one."""
    seen = 0
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        inside = value.values() if isinstance(value, dict) else value
        seen += len(inside)
        if seen > MAX_VALUES:
            raise _bad(f"'variables' has more than {MAX_VALUES:,} values.")
        waiting.extend([each for each in inside if not isinstance(each, _SCALARS)])


def _bad(sentence: str) -> Malformed:
    return Malformed(HTTPStatus.BAD_REQUEST, sentence)
