"""Importing the documents that an app was built with: `python -m app documents import FILE`."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.documents.manifests import ManifestRefused, check, read, trust
from tests.conftest import Oracle

FINE = "query Fine { viewer { handle } }"
OTHER = "query Other { viewer { id } }"


def written(folder: Path, content: Any) -> Path:
    file = folder / "manifest.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def apollo(*operations: Any) -> dict[str, Any]:
    return {"format": "apollo-persisted-query-manifest", "version": 1, "operations": list(operations)}


def test_the_manifests_of_apollo_relay_and_codegen_are_read(tmp_path: Path) -> None:
    operation = {"id": "abc", "name": "Fine", "type": "query", "body": FINE}
    assert read(written(tmp_path, apollo(operation))) == {"abc": FINE}
    assert read(written(tmp_path, {"0a1b": FINE, "0c": OTHER})) == {"0a1b": FINE, "0c": OTHER}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "holds no documents"),
        ({}, "holds no documents"),
        ("null", "holds no documents"),
        ({"a": 1}, "has no text"),
        ({"a": " "}, "has no text"),
        ({"": FINE}, "cannot be used"),
        ({"x" * 201: FINE}, "cannot be used"),
        ({"a\0": FINE}, "cannot be used"),
        ({"format": "other", "version": 1, "operations": []}, "not in Apollo's format"),
        (apollo() | {"version": 2}, "not in Apollo's format"),
        (apollo({"id": "a"}), "no id or no body"),
        (apollo({"id": "a", "body": FINE}, {"id": "a", "body": OTHER}), "two documents"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(ManifestRefused, match=said):
        read(written(tmp_path, content))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestRefused, match="cannot be read"):
        read(tmp_path / "nothing.json")


def test_a_document_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestRefused, match=r"'bad'.*viever.*Nothing was imported"):
        check({"good": FINE, "bad": "{ viever { id } }"})


async def test_importing_again_is_nothing_new_and_ids_are_never_given_anew(
    database: str, stored: Oracle
) -> None:
    assert await trust(database, {"a": FINE}) == 1
    assert await trust(database, {"a": FINE, "b": OTHER}) == 1
    assert await trust(database, {"a": FINE, "b": OTHER}) == 0
    before = await stored.rows("SELECT * FROM trusted_documents ORDER BY document_id")
    with pytest.raises(ManifestRefused, match="already stands for another"):
        await trust(database, {"0": "query New { viewer { id } }", "a": OTHER})
    assert await stored.rows("SELECT * FROM trusted_documents ORDER BY document_id") == before
    digests = {sha256(text.encode()).hexdigest() for text in (FINE, OTHER)}
    assert {row["document_id"] for row in before} == {"a", "b"} | digests


async def test_two_imports_at_once_both_succeed(database: str) -> None:
    documents = {f"id{n}": f"query Q{n} {{ viewer {{ id }} }}" for n in range(50)}
    new = await asyncio.gather(*(trust(database, documents) for _ in range(3)))
    assert sum(new) == 50
