"""The files that the GraphiQL page loads: vendored ones from assets/, our own from beside this file."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent

MEDIA_TYPES = {
    "react.production.min.js": "text/javascript; charset=utf-8",
    "react-dom.production.min.js": "text/javascript; charset=utf-8",
    "graphql-ws.min.js": "text/javascript; charset=utf-8",
    "graphiql.min.js": "text/javascript; charset=utf-8",
    "graphiql.min.css": "text/css; charset=utf-8",
    "maydan.js": "text/javascript; charset=utf-8",
    "maydan.css": "text/css; charset=utf-8",
    "favicon.svg": "image/svg+xml",
    "licenses/graphiql.txt": "text/plain; charset=utf-8",
    "licenses/graphiql-bundled.txt": "text/plain; charset=utf-8",
    "licenses/graphql-ws.txt": "text/plain; charset=utf-8",
    "licenses/react.txt": "text/plain; charset=utf-8",
    "licenses/react-dom.txt": "text/plain; charset=utf-8",
}
"""What is served, and as what; any other name is a 404, so no path is ever built from a request."""


@dataclass(frozen=True)
class Asset:
    """One file in memory, plain and compressed."""

    plain: bytes
    gzipped: bytes
    media_type: str


@dataclass(frozen=True)
class Bundle:
    """All files under one version, which is part of their path: what a browser cached never grows stale."""

    version: str
    assets: dict[str, Asset]


def _read(name: str) -> bytes:
    ours = HERE / name
    return (ours if ours.is_file() else HERE / "assets" / name).read_bytes()


@cache
def bundle() -> Bundle:
    """Read and compress everything once per process (about 0.1 s)."""
    digest = hashlib.sha256()
    assets: dict[str, Asset] = {}
    for name, media_type in MEDIA_TYPES.items():
        plain = _read(name)
        digest.update(f"{name}\0{len(plain)}\0".encode() + plain)
        assets[name] = Asset(plain, gzip.compress(plain, compresslevel=6, mtime=0), media_type)
    return Bundle(digest.hexdigest()[:12], assets)
