"""PostgreSQL and Valkey from wheels, kept below the data folder and ended with the process that started them."""

from app.embedded.postgres import EmbeddedPostgres, running_dsn
from app.embedded.processes import EmbeddedError
from app.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedValkey", "running_dsn"]
