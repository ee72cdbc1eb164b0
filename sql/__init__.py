"""The named queries, one .sql file per noun, and the small reader that loads them."""

from sql.reader import Queries, Query, load

__all__ = ["Queries", "Query", "load"]
