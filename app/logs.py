"""Structured logs: one line per operation, never a token or a text that somebody wrote."""

import logging
import re
import secrets
import sys
from collections.abc import Callable

import orjson
import structlog
from structlog.typing import Processor

_NAME = re.compile(r"[^A-Za-z0-9_]")


def configure_logs(*, level: str, json: bool) -> None:
    """Set up structlog and the standard library's logging, all to standard error."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        # What is written later than it happened has its own time.
        structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared[:2], structlog.stdlib.add_logger_name], processor=last
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _dumps(event: object, default: Callable[[object], object]) -> str:
    """A line of the log; by orjson, since every operation writes one."""
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


def new_request_id() -> str:
    """An id that a masked error carries and the log has."""
    return secrets.token_hex(8)


def safe_name(name: str | None) -> str | None:
    """An operation's name as far as it may stand in a log."""
    return None if name is None else _NAME.sub("", name)[:60]
