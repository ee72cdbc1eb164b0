"""The processes of a benchmark: the servers that are compared, and the load generator."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Any, Self

from app.settings import Settings
from bench.load import Job, Outcome

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class CannotMeasure(Exception):
    """A server does not start, or answers something else than it should; the message says which and what."""


class Server:
    """One server process with the port it answers on. It ends when this process does."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.name, self.pid, self.port = name, process.pid, port
        self._process = process
        self._log = log

    def post(self, data: bytes) -> dict[str, Any]:
        """Send a request's bytes and read the JSON of its answer. Raises CannotMeasure."""
        return json.loads(self.answer(data))  # type: ignore[no-any-return]  # an object, as GraphQL has it

    def answer(self, data: bytes) -> bytes:
        """Send a request's bytes and read the body of its answer. Raises CannotMeasure."""
        head, _, body = data.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        connection = HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        try:
            connection.request("POST", "/graphql", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200 or b'"errors"' in text:
            raise CannotMeasure(
                f"{self.name} answered {answer.status}: {text[:2000].decode()}{self.last_words()}"
            )
        return text

    def wait(self, data: bytes) -> None:
        """Until it answers this. Raises CannotMeasure when it does not in time."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                raise CannotMeasure(f"{self.name} does not start{self.last_words()}")
            try:
                self.answer(data)
                return
            except (OSError, HTTPException):
                if time.monotonic() > deadline:
                    raise CannotMeasure(f"{self.name} does not answer{self.last_words()}") from None
                time.sleep(0.05)

    def last_words(self) -> str:
        """The end of what it printed."""
        with suppress(OSError):
            return "\n" + self._log.read_text(errors="replace")[-2000:]
        return ""

    def stop(self) -> None:
        """End it, in order if it does so in time."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Processes:
    """Starts servers and ends them all at the end of the block."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._environment = os.environ | settings.environment()
        self._folder = folder
        self._servers: list[Server] = []
        self._lifelines: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.stop()
        for lifeline in self._lifelines:
            os.close(lifeline)

    def python(self, name: str, *module: str) -> Server:
        """A server of ours: `python -m module… SOCKET_FD LIFELINE_FD`."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        read, write = os.pipe()
        self._lifelines.append(write)
        with listening, (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module, str(listening.fileno()), str(read)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(listening.fileno(), read),
                start_new_session=True,
            )
            port = listening.getsockname()[1]
        os.close(read)
        return self._started(name, process, port)

    def node(self, name: str, script: Path, environment: dict[str, str]) -> Server:
        """A server on Node: it prints its port, and ends when its standard input does. Raises CannotMeasure."""
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["node", str(script)],
                env=self._environment | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        server = self._started(name, process, int(line) if line.strip().isdigit() else 0)
        if not server.port:
            raise CannotMeasure(f"{name} does not start{server.last_words()}")
        return server

    def _started(self, name: str, process: "subprocess.Popen[bytes]", port: int) -> Server:
        server = Server(name, process, port, self._folder / f"{name}.log")
        self._servers.append(server)
        return server


class Generator:
    """The process of bench/load.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe(self._process.stdin).close()
        self._process.wait()
        self._pipe(self._process.stdout).close()

    def run(self, job: Job, name: str) -> Outcome:
        """Have it done. Raises CannotMeasure when the server called so does not answer as it should."""
        pipe = self._pipe(self._process.stdin)
        pipe.write(json.dumps(asdict(job)) + "\n")
        pipe.flush()
        outcome = json.loads(self._pipe(self._process.stdout).readline())
        if "error" in outcome:
            raise CannotMeasure(f"{name}: {outcome['error']}")
        return Outcome(**outcome)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
