"""Servers on Node that answer the home page: Mercurius with graphql-jit, by hand and with loaders, Yoga, Apollo."""

import json
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app.parts import token_keys
from app.settings import Settings
from bench.servers import CannotMeasure, Processes, Server
from dataloaders.database import SERVER_SETTINGS
from sql.reader import load_all

FOLDER = Path(__file__).parent
SCHEMA = FOLDER.parent.parent / "schema" / "schema.graphql"
NAMES = ("mercurius", "mercurius_loaders", "yoga", "apollo")


def start(processes: Processes, settings: Settings, folder: Path) -> list[Server]:
    """The servers, started. Raises CannotMeasure when Node or their packages are missing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotMeasure(
            "the servers on Node need Node 20 or newer with npm; `make bench` goes without them"
        )
    if not (FOLDER / "node_modules").is_dir():
        raise CannotMeasure(
            "their packages are not installed: `make bench-peers`, or `npm ci` in bench/peers"
        )
    given = folder / "given.json"
    given.write_text(
        json.dumps(
            {
                "schema": SCHEMA.read_text(encoding="utf-8"),
                "queries": {
                    name: query.text for queries in load_all().values() for name, query in queries.items()
                },
                "jwks": token_keys(settings).jwks(),
                "database": _database(settings),
                "pool": settings.database_pool_size,
            }
        )
    )
    return [
        processes.node(name, FOLDER / f"{name}.mjs", {"NODE_ENV": "production", "BENCH_GIVEN": str(given)})
        for name in NAMES
    ]


def _database(settings: Settings) -> dict[str, str]:
    assert settings.database_url is not None
    url = urlsplit(settings.database_url)
    return {
        "host": parse_qs(url.query)["host"][0],
        "user": url.username or "",
        "database": url.path.lstrip("/"),
        "options": " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items()),
    }
