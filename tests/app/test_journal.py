"""What operations did is noted at once and written a moment later, with its own time."""

import json
import subprocess
import sys
from datetime import datetime

import pytest

from app import journal, metrics
from app.journal import Done, Journal
from tests.conftest import Serve
from tests.live import holds

Line = dict[str, object]
QUERY = Done("Who", "query", "ok", [], 0.0123, 3, 7, "an-id", 1_800_000_000.25)


class Log:
    """Takes lines as the log does."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append({"event": event, **values})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(journal, "log", made)
    return made


async def test_operations_are_written_together_in_their_order(log: Log) -> None:
    kept = Journal()
    for request in "abc":
        kept.note(QUERY._replace(request_id=request))
    assert log.lines == []
    await holds(lambda: log.lines != [])
    assert [line["request_id"] for line in log.lines] == ["a", "b", "c"]
    kept.note(QUERY._replace(request_id="d"))
    await holds(lambda: len(log.lines) == 4)


async def test_a_line_says_what_was_done_and_when(log: Log) -> None:
    with Journal.kept() as kept:
        kept.note(QUERY)
        kept.note(QUERY._replace(name=None, outcome="error", codes=["INVALID_CURSOR"], viewer_id=None))
    assert log.lines[0] == {
        "event": "operation",
        "name": "Who",
        "kind": "query",
        "ms": 12.3,
        "statements": 3,
        "viewer": 7,
        "codes": None,
        "request_id": "an-id",
        "timestamp": "2027-01-15T08:00:00.250000Z",
    }
    assert [log.lines[1][name] for name in ("name", "codes", "viewer")] == [None, ["INVALID_CURSOR"], None]


async def test_what_is_left_is_written_when_the_server_stops(serve: Serve, log: Log) -> None:
    server = await serve()
    parts = server.application.parts
    parts.journal.note(QUERY._replace(request_id="the last one"))
    server.uvicorn.should_exit = True
    await holds(lambda: [line["request_id"] for line in log.lines] == ["the last one"])


async def test_numbers_are_counted_at_once_when_they_are_asked_for(log: Log) -> None:
    counted = metrics.operations("query", "ok")._value
    before = counted.get()
    kept = Journal()
    kept.note(QUERY)
    kept.note(QUERY)
    kept.write()
    assert counted.get() == before + 2
    assert len(log.lines) == 2
    kept.write()
    assert len(log.lines) == 2


# In a process of its own: loggers keep what they were set up with first.
WRITES = """
import structlog
from app.logs import configure_logs
configure_logs(level="info", json=True)
log = structlog.get_logger()
log.info("then", timestamp="2026-11-24T00:00:00Z")
log.info("now")
"""


def test_the_log_keeps_the_time_of_a_line_and_adds_it_to_others() -> None:
    written = subprocess.run(
        [sys.executable, "-c", WRITES], capture_output=True, text=True, check=True
    ).stderr
    then, now = map(json.loads, written.splitlines())
    assert then["timestamp"] == "2026-11-24T00:00:00Z"
    assert datetime.fromisoformat(now["timestamp"]).tzinfo is not None
