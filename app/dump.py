"""The schema of a migrated database as SQL text, for the committed sql/schema.sql."""

import re
import subprocess
from pathlib import Path

from app.embedded.binaries import PACKAGE

FILE = Path(__file__).parent.parent / "sql" / "schema.sql"
HEADER = "-- The schema that the migrations make, as pg_dump prints it. Written by `make sql-schema`; do not edit.\n\n"
# Session settings, comments and owners say nothing about the schema.
_NOISE = re.compile(
    r"^(--.*|SET .*;|SELECT pg_catalog\.set_config.*;|\\(un)?restrict .*|CREATE SCHEMA public;"
    r"|COMMENT ON SCHEMA public .*;)$"
)


def dump_schema(dsn: str) -> str:
    """The schema as text, the same for the same migrations. Raises RuntimeError when pg_dump fails."""
    program = PACKAGE / "pginstall" / "bin" / "pg_dump"
    done = subprocess.run(  # noqa: S603 - our own pg_dump
        [program, "--schema-only", "--no-owner", "--no-privileges", "--exclude-table=schema_migrations", dsn],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise RuntimeError(f"pg_dump failed: {done.stderr.strip()}")
    lines = [line for line in done.stdout.splitlines() if not _NOISE.match(line)]
    return HEADER + re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip() + "\n"
