"""The load generator as the benchmark's own process sees it."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Self

from bench.servers import CannotMeasure

# Seconds until sockets that do not come up, or events that do not come, are given up.
PATIENCE = 60.0
# Of one core. A generator that uses more may be what everybody waits for.
BUSY = 0.9
# Handshakes under way at once where nothing else is said.
AT_ONCE = 200


@dataclass(frozen=True)
class Done:
    """What the generator answered, and what it cost it: seconds of CPU, and how late its timers were (ms)."""

    values: dict[str, Any]
    seconds: float
    cpu: float
    late_p99: float
    late_most: float

    @property
    def share(self) -> float:
        """How much of one core it used."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Load:
    """The process of bench/live/generator.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.live.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        self._process.wait()
        self._pipe(self._process.stdout).close()

    def do(self, command: str, **values: Any) -> Done:
        """Have a command done. Raises CannotMeasure when something does not come, or is refused."""
        pipe = self._pipe(self._process.stdin)
        line = ""
        with suppress(BrokenPipeError):
            pipe.write(json.dumps({"do": command, **values}) + "\n")
            pipe.flush()
            line = self._pipe(self._process.stdout).readline()
        if not line:
            raise CannotMeasure("the load generator has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise CannotMeasure(f"{command} {values.get('crowd', '')}: {answer['error']}")
        cost = {name: answer.pop(name) for name in ("seconds", "cpu", "late_p99", "late_most")}
        done = Done(answer, **cost)
        if command in ("deliver", "pace") and done.share > BUSY:
            raise CannotMeasure(f"the load generator was the bottleneck: {done.share:.0%} of a core")
        return done

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
