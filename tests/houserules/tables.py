"""The tables as sql/schema.sql has them: columns and primary keys, whose first column is the owner."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "sql" / "schema.sql"

_TABLE = re.compile(r"^CREATE TABLE public\.(\w+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (?!CONSTRAINT )(\w+) (.+?)(?: DEFAULT .*?)?( NOT NULL)?,?$", re.MULTILINE)
_KEY = re.compile(
    r"^ALTER TABLE ONLY public\.(\w+)\n +ADD CONSTRAINT \w+ PRIMARY KEY \(([^)]+)\)", re.MULTILINE
)


@dataclass(frozen=True)
class Column:
    """One column: its type as PostgreSQL writes it, and whether it may be NULL."""

    type: str
    nullable: bool


@dataclass(frozen=True)
class Table:
    """One table; `key` is its primary key."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The column that says whose a row is."""
        return self.key[0]


def tables(dump: str | None = None) -> dict[str, Table]:
    """The tables of a dump, of sql/schema.sql when none is given. Raises LookupError for one without a key."""
    text = SCHEMA.read_text(encoding="utf-8") if dump is None else dump
    keys = {name: tuple(columns.split(", ")) for name, columns in _KEY.findall(text)}
    found: dict[str, Table] = {}
    for name, body in _TABLE.findall(text):
        if name not in keys:
            raise LookupError(f"table {name} has no primary key; give it one that starts with its owner")
        columns = {
            column: Column(type, nullable=not not_null) for column, type, not_null in _COLUMN.findall(body)
        }
        found[name] = Table(name, columns, keys[name])
    return found
