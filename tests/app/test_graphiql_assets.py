"""The vendored files are the published ones, and their licences come along."""

import hashlib
import re
from pathlib import Path

import app.graphiql
from app.graphiql.bundle import MEDIA_TYPES, bundle

ASSETS = Path(app.graphiql.__file__).parent / "assets"
ROW = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)


def test_each_vendored_file_has_the_sum_that_the_readme_names() -> None:
    named = dict(ROW.findall((ASSETS / "README.md").read_text(encoding="utf-8")))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in ASSETS.iterdir()
        if path.is_file() and path.name != "README.md"
    }
    assert found == named


def test_every_file_and_licence_is_served() -> None:
    files = {path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file()}
    assert files - {"README.md"} <= set(MEDIA_TYPES)
    assert set(bundle().assets) == set(MEDIA_TYPES)
