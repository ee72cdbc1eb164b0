"""Whether all servers do the same work: equal data in their answers, and the same statements to the database."""

import difflib
import time
from collections.abc import Sequence
from typing import Any

import orjson

from bench.network import Meter
from bench.scenario import Operation
from bench.servers import CannotMeasure, Server

# Seconds until what was prepared has come through the log everywhere.
PATIENCE = 15.0
# Requests over which the statements of one are counted: what servers do in the background disappears in it.
REQUESTS = 60


def check_data(servers: Sequence[Server], operation: Operation) -> None:
    """That all servers answer the operation with the same data as the first. Raises CannotMeasure with a diff."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answers = {server.name: _data(server, operation) for server in servers}
        expected = answers[servers[0].name]
        wrong = [name for name, data in answers.items() if data != expected]
        if not wrong:
            return
        if time.monotonic() > deadline:
            break
        # The log is still moving, and the live cursor with it.
        time.sleep(0.25)
    name = wrong[0]
    diff = difflib.unified_diff(
        _lines(expected), _lines(answers[name]), servers[0].name, name, lineterm="", n=2
    )
    raise CannotMeasure(f"{name} answers {operation.name} with other data:\n" + "\n".join([*diff][:60]))


async def check_statements(servers: Sequence[Server], operation: Operation, meter: Meter) -> list[str]:
    """The names of the statements of one operation, as the first server sends them.

    Raises CannotMeasure when another one sends others.
    """
    sent: dict[str, list[str]] = {}
    for server in servers:
        await meter.start()
        for _ in range(REQUESTS):
            server.answer(operation.first)
        calls = await meter.calls()
        sent[server.name] = sorted(name for name, count in calls.items() for _ in range(count // REQUESTS))
    expected = sent[servers[0].name]
    for name, names in sent.items():
        if names != expected:
            raise CannotMeasure(
                f"for {operation.name} {name} sends {names}, {servers[0].name} sends {expected}"
            )
    return expected


def _data(server: Server, operation: Operation) -> bytes:
    """The data in the server's own order of fields, as JSON in one style."""
    return orjson.dumps(orjson.loads(server.answer(operation.first))["data"])


def _lines(data: bytes) -> list[str]:
    value: Any = orjson.loads(data)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().splitlines()
