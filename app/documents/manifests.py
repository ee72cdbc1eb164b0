"""Imports the documents that an app was built with: the manifests of Apollo, Relay and graphql-codegen.

- Apollo: `{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": …, "body": …}, …]}`
- Relay (`persistConfig.file`) and graphql-codegen (`persistedDocuments`): `{"id": "text", …}`
"""

import json
from hashlib import sha256
from pathlib import Path

from app.documents.asking import LONGEST_ID
from app.documents.examine import Examined, Task, examine
from dataloaders.database import Database
from dataloaders.documents import trust_document

APOLLO = "apollo-persisted-query-manifest"


class ManifestRefused(Exception):
    """The file cannot be imported; the message is one sentence."""


def read(file: Path) -> dict[str, str]:
    """The documents of a manifest by their ids. Raises ManifestRefused."""
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestRefused(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ManifestRefused(f"{file} is not JSON") from None
    found = _apollo(given) if isinstance(given, dict) and "format" in given else given
    if not isinstance(found, dict) or not found:
        raise ManifestRefused(
            f"{file} holds no documents: it is no manifest of Apollo, Relay or graphql-codegen"
        )
    for id, text in found.items():
        if not isinstance(text, str) or not text.strip():
            raise ManifestRefused(f"the document {id!r} has no text")
        if not 0 < len(id) <= LONGEST_ID or "\0" in id + text:
            raise ManifestRefused(f"the id {id[:40]!r} cannot be used: it has 1 to {LONGEST_ID} characters")
    return found


def _apollo(given: dict[str, object]) -> object:
    operations = given.get("operations")
    if given["format"] != APOLLO or given.get("version") != 1 or not isinstance(operations, list):
        raise ManifestRefused(f"this manifest is not in Apollo's format {APOLLO!r}, version 1")
    found: dict[str, str] = {}
    for each in operations:
        if (
            not isinstance(each, dict)
            or not isinstance(each.get("id"), str)
            or not isinstance(each.get("body"), str)
        ):
            raise ManifestRefused("an operation of the manifest has no id or no body")
        if found.setdefault(each["id"], each["body"]) != each["body"]:
            raise ManifestRefused(f"the manifest has two documents with the id {each['id']!r}")
    return found


def check(documents: dict[str, str]) -> None:
    """Whether all of them fit this server's schema. Raises ManifestRefused for the first that does not."""
    for id, text in documents.items():
        examined = examine(Task(text, introspection=True))
        if not isinstance(examined, Examined):
            message = examined.errors[0]["message"]
            raise ManifestRefused(
                f"the document {id!r} does not fit the schema: {message} Nothing was imported"
            )


async def trust(dsn: str, documents: dict[str, str]) -> int:
    """Trust them, each by its id and by the SHA-256 of its text: how many were new. Raises ManifestRefused."""
    new = 0
    async with (
        Database.connected(dsn, size=1) as database,
        database.opened() as session,
        session.transaction() as db,
    ):
        # In one order, so that two imports at once do not wait for each other.
        for id, text in sorted(documents.items()):
            digest = sha256(text.encode()).hexdigest()
            known = [await trust_document(db, each, text) for each in (id, digest)]
            if None in known:
                raise ManifestRefused(
                    f"the id {id!r} already stands for another document; ids are never given anew. "
                    "Nothing was imported"
                )
            new += bool(known[0])
    return new
