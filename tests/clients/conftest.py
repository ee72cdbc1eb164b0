"""Clients that apps are written with, each a process of its own, run against a server of the test."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.people import Person

HERE = Path(__file__).parent
# Their own environment, with Node in it: what they need may contradict what the server needs.
PROGRAMS = HERE.parents[1] / ".venv-clients" / ("Scripts" if sys.platform == "win32" else "bin")
# Seconds for a script; each takes one or two, and many may run on few cores.
PATIENCE = 120.0

Play = Callable[..., Awaitable[Any]]


def known(person: Person) -> dict[str, str | None]:
    """What a script is told of a person."""
    return {
        "id": person.id,
        "handle": person.handle,
        "token": person.token,
        "refreshToken": person.refresh_token,
    }


async def run(program: str, *arguments: str, patience: float = PATIENCE, cwd: Path = HERE, **env: str) -> str:
    """What a program of the clients' environment prints; fails with all that it said when it fails."""
    __tracebackhide__ = True
    assert (PROGRAMS / program).exists(), f"{program} is not installed; `make test-clients` does that"
    process = await asyncio.create_subprocess_exec(
        PROGRAMS / program,
        *arguments,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience):
            said, complained = (part.decode(errors="replace") for part in await process.communicate())
    except TimeoutError:
        pytest.fail(f"{program} {arguments[0]} did not end within {patience} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        pytest.fail(f"{program} {arguments[0]} ended with {process.returncode}:\n{said}\n{complained}")
    return said


@pytest.fixture
def node() -> Play:
    """Play a scene of a script: `await node("graphql_ws.mjs", "query", url=…, alice=alice)`; what it found."""
    return lambda script, scene, **given: _play("node", script, scene, given)


@pytest.fixture
def python() -> Play:
    """The same for a script in Python."""
    return lambda script, scene, **given: _play("python", script, scene, given)


async def _play(program: str, script: str, scene: str, given: dict[str, Any]) -> Any:
    told = {name: known(value) if isinstance(value, Person) else value for name, value in given.items()}
    said = await run(program, script, json.dumps({"scene": scene, **told}))
    return json.loads(said.splitlines()[-1])
