"""From a request to a validated operation: what is known is found by its SHA-256, the rest is examined once."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Literal

import structlog
from graphql import DocumentNode, OperationDefinitionNode, OperationType

from app.documents.asking import Reference, asked_by
from app.documents.cache import DocumentCache
from app.documents.examine import Examined, Task, unpack
from app.documents.examiner import Busy, Examiner
from app.documents.persisted import PersistedDocuments
from app.documents.scan import ScanLimits, TooMuch, check_length, scan
from app.logs import safe_name
from app.refusals import RequestRefused, refused
from app.token_bucket import TokenBucket
from execution import OperationCost, PreparedOperation
from schema.build import executable, executor_class

# Documents that are kept parsed, validated and compiled: in number, and in bytes of memory, all and each.
CACHED_DOCUMENTS = 2_000
CACHED_BYTES = 64 * 1024 * 1024
CACHED_LONGEST = 8 * 1024 * 1024
# Bytes of memory for each byte of a packed document: 9 for its nodes, as many again for its plan.
BYTES_PER_PACKED = 18
# Characters of a document up to which it is scanned before it is handed on, in half a millisecond; looking at a
# longer one takes up to 6 ms and is the helper's work as well.
SCANNED_HERE = 2_000
# New documents that one address has examined at once, and in each second after that, before it waits for everybody
# else: an app has some dozens, and the first one of its users makes them known.
NEW_AT_ONCE, NEW_A_SECOND = 30, 1
MOST_ASKERS = 1_000
# Errors of one request's variables that are told: each may quote the whole request.
MAX_VARIABLE_ERRORS = 10
# Seconds until a client that was turned away may find the helper free again.
RETRY_AFTER = 1

Mode = Literal["any", "log", "trusted"]
log = structlog.get_logger("maydan.documents")


@dataclass(frozen=True, slots=True)
class Operation:
    """A validated operation and its variables. `cost`: None when it is too much to be counted.

    `persisted`: it was asked for by an id, not by its text.
    """

    prepared: PreparedOperation
    cost: OperationCost | None
    variables: Mapping[str, Any]
    reads_position: bool
    reads_marks: bool
    persisted: bool = False

    @property
    def kind(self) -> OperationType:
        return self.prepared.definition.operation

    @property
    def name(self) -> str | None:
        name = self.prepared.definition.name
        return name.value if name else None


class Document:
    """A validated document: its operations are prepared when they are first asked for."""

    def __init__(
        self,
        text: str,
        node: DocumentNode,
        costs: Mapping[str | None, OperationCost | None],
        *,
        suggests: bool,
    ) -> None:
        self._node = node
        self._costs = costs
        self._suggests = suggests
        # Told from the text alone: a false alarm costs a little, and marks that were missed are read when asked for.
        self.reads_position = "liveCursor" in text
        self.reads_marks = "viewerHas" in text
        self._operations: dict[str | None, PreparedOperation] = {}

    @property
    def names(self) -> list[str | None]:
        """The names of its operations."""
        return list(self._costs)

    def operation(self, name: str | None) -> PreparedOperation:
        """The operation of this name, or the only one. Raises RequestRefused."""
        found = self._operations.get(name)
        if found is None:
            _check_name(self._node, name)
            found = self._operations[name] = PreparedOperation(
                executable,
                self._node,
                name,
                executor_class,
                max_coercion_errors=MAX_VARIABLE_ERRORS,
                hide_suggestions=not self._suggests,
            )
        return found

    def cost(self, operation: PreparedOperation) -> OperationCost | None:
        """What one of its operations costs; None when that is too much to be counted."""
        name = operation.definition.name
        return self._costs[None if name is None else name.value]


# One for the process, as the schema is. The keys say whether introspection was allowed.
_known: DocumentCache[Document] = DocumentCache(
    documents=CACHED_DOCUMENTS, size=CACHED_BYTES, longest=CACHED_LONGEST
)


class Documents:
    """Prepares operations.

    `quick` examines trusted documents, and small ones; `patient` those that may take long, and those of who sends many.
    """

    def __init__(
        self,
        quick: Examiner,
        patient: Examiner,
        persisted: PersistedDocuments,
        *,
        mode: Mode,
        introspection: bool,
        limits: ScanLimits | None = None,
    ) -> None:
        self._quick, self._patient, self._persisted = quick, patient, persisted
        self._mode = mode
        self._introspection = introspection
        self._limits = limits or ScanLimits()
        # By address, who sent a new document last at the end.
        self._askers: OrderedDict[str, TokenBucket] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Future[Document]] = {}
        self._registering: set[asyncio.Task[None]] = set()

    async def prepare(self, request: object, asker: Callable[[], str]) -> Operation:
        """The operation that a request's JSON asks for; `asker` says whose turn it takes when it is new.

        Raises RequestRefused, and DatabaseUnavailable when a trusted document cannot be looked up.
        """
        asked = asked_by(request)
        if asked.text is None:
            assert asked.reference is not None
            document = await self._referred(asked.reference, asker)
        else:
            document = await self._sent(asked.text, asked.reference, asker)
        prepared = document.operation(asked.name)
        return Operation(
            prepared,
            document.cost(prepared),
            asked.variables,
            document.reads_position,
            document.reads_marks,
            asked.text is None,
        )

    async def _sent(self, text: str, reference: Reference | None, asker: Callable[[], str]) -> Document:
        digest = sha256(text.encode(errors="surrogatepass")).digest()
        if reference is not None:
            _check_reference(reference, digest)
        if self._mode == "trusted":
            # Compared, since an id in a manifest may be the SHA-256 of another text than its own.
            if await self._persisted.trusted(digest.hex()) != text:
                raise _untrusted()
            return await self._examined(text, digest, asker, trusted=True)
        document = await self._examined(text, digest, asker)
        if reference is not None and reference.automatic:
            self._register(digest.hex(), text)
        return document

    async def _referred(self, reference: Reference, asker: Callable[[], str]) -> Document:
        digest = reference.digest
        if digest is not None and self._mode != "trusted":
            found = _known.get(self._key(digest))
            if found is not None:
                return found
        text = await self._persisted.trusted(reference.id)
        if text is not None:
            return await self._examined(text, sha256(text.encode()).digest(), asker, trusted=True)
        if digest is not None and self._mode != "trusted":
            text = await self._persisted.registered(reference.id)
            if text is not None:
                return await self._examined(text, digest, asker)
        raise _not_found(reference)

    def _key(self, digest: bytes, *, trusted: bool = False) -> bytes:
        return digest + (b"o" if trusted or self._introspection else b"c")

    async def _examined(
        self, text: str, digest: bytes, asker: Callable[[], str], *, trusted: bool = False
    ) -> Document:
        key = self._key(digest, trusted=trusted)
        found = _known.get(key)
        if found is not None:
            return found
        # Who asks for what is being examined waits for it.
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.ensure_future(self._examine(text, key, asker, trusted=trusted))
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(under_way)

    def _over(self, key: bytes, done: "asyncio.Future[Document]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # whoever waited was told; nobody may have

    async def _examine(self, text: str, key: bytes, asker: Callable[[], str], *, trusted: bool) -> Document:
        open_ = trusted or self._introspection
        scanned = len(text) <= SCANNED_HERE
        if not trusted:
            try:
                (scan if scanned else check_length)(text, self._limits)
            except TooMuch as error:
                raise refused(HTTPStatus.BAD_REQUEST, error.code, str(error)) from None
        try:
            who = "" if trusted else asker()
            examiner = self._quick if trusted or (scanned and self._is_in_time(who)) else self._patient
            examined = await examiner.examine(
                Task(text, open_, None if trusted or scanned else self._limits), who
            )
        except Busy:
            raise refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "OVERLOADED",
                "Too many new documents wait to be validated. Try again shortly; known documents are not affected.",
                retryAfter=RETRY_AFTER,
            ) from None
        if not isinstance(examined, Examined):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, examined.code, examined.errors)
        document = Document(text, unpack(examined.packed, text), examined.costs, suggests=open_)
        _known.keep(key, document, len(examined.packed) * BYTES_PER_PACKED)
        if self._mode == "log" and not trusted:
            names = [safe_name(name) for name in document.names]
            log.warning("a document that is not trusted", names=names, sha256=key[:-1].hex())
        return document

    def _is_in_time(self, asker: str) -> bool:
        """Whether somebody sends new documents no faster than apps do."""
        bucket = self._askers.pop(asker, None) or TokenBucket(NEW_AT_ONCE, NEW_A_SECOND)
        self._askers[asker] = bucket
        if len(self._askers) > MOST_ASKERS:
            self._askers.popitem(last=False)
        return bucket.take(1)

    def _register(self, digest: str, text: str) -> None:
        """Without waiting: the client has its answer whether or not the others learn of the document."""
        task = asyncio.create_task(self._persisted.register(digest, text))
        self._registering.add(task)
        task.add_done_callback(self._registering.discard)


def _operations(node: DocumentNode) -> list[OperationDefinitionNode]:
    return [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]


def _check_reference(reference: Reference, digest: bytes) -> None:
    """Whether the id that came with a text is the text's, as far as it says so. Raises RequestRefused."""
    if reference.automatic:
        if reference.digest != digest:
            raise refused(
                HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "provided sha does not match query"
            )  # Apollo's words, which its clients know
    elif reference.digest not in (None, digest):
        raise refused(HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", "'documentId' is not the SHA-256 of 'query'.")


def _not_found(reference: Reference) -> RequestRefused:
    # Apollo's clients look for exactly this message and, on iOS, for the status 200; then they send the text.
    status = HTTPStatus.OK if reference.automatic else HTTPStatus.BAD_REQUEST
    return refused(status, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")


def _untrusted() -> RequestRefused:
    return refused(
        HTTPStatus.FORBIDDEN,
        "DOCUMENT_NOT_TRUSTED",
        "This server runs the documents that its operator imported, and no others.",
    )


def _check_name(document: DocumentNode, name: str | None) -> None:
    """Whether the name chooses one operation. Raises RequestRefused."""
    found = _operations(document)
    if name is not None:
        if not any(node.name is not None and node.name.value == name for node in found):
            raise refused(
                HTTPStatus.BAD_REQUEST, "BAD_USER_INPUT", f"The document has no operation named {name!r}."
            )
    elif len(found) != 1:
        raise refused(
            HTTPStatus.BAD_REQUEST,
            "BAD_USER_INPUT",
            "The document has several operations: name one in 'operationName'."
            if found
            else "The document has no operation.",
        )
