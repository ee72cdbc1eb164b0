"""The load generator, a process of its own: `python -m bench.live.generator` does what each line tells it, in JSON.

It holds the subscribers and the posters, so that both ends of a latency are on one clock. Every answer says how much
CPU it used and how late its own timers were meanwhile: what it measures can be no better than that.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from bench.live.posters import Posters, pace
from bench.live.sockets import Crowd, Lost, open_crowd, subscribe_frame

# Seconds between two looks at how late the loop is. Timers of uvloop are exact to a millisecond.
HEARTBEAT = 0.01
# Posts under way at once when nobody waits for their events.
WRITERS = 8
# A command may be long: what is posted stands in it.
LONGEST_LINE = 1 << 24

Answer = dict[str, Any]
clock = time.perf_counter


class Generator:
    """Does what it is told."""

    def __init__(self) -> None:
        self._crowds: dict[str, Crowd] = {}
        self._posters: dict[int, Posters] = {}
        self._posts = 0
        self._late: list[float] = []

    async def run(self) -> None:
        """Commands from standard input until it ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        heart = asyncio.create_task(self._beat())
        while line := await reader.readline():
            command = json.loads(line)
            do: Callable[..., Awaitable[Answer]] = getattr(self, "do_" + command.pop("do"))
            self._late.clear()
            cpu, started = time.process_time(), clock()
            try:
                answer = await do(**command)
            except (Lost, OSError, TimeoutError) as error:
                answer = {"error": str(error) or type(error).__name__}
            late = sorted(self._late) or [0.0]
            answer |= {
                "seconds": clock() - started,
                "cpu": time.process_time() - cpu,
                "late_p99": late[min(len(late) * 99 // 100, len(late) - 1)],
                "late_most": late[-1],
            }
            print(json.dumps(answer), flush=True)
        heart.cancel()

    async def _beat(self) -> None:
        while True:
            due = clock() + HEARTBEAT
            await asyncio.sleep(HEARTBEAT)
            self._late.append(max(clock() - due, 0.0) * 1000)

    async def do_open(
        self,
        *,
        crowd: str,
        ports: list[int],
        tokens: str,
        first: int,
        count: int,
        document: str,
        after: str | None,
        at_once: int,
        patience: float,
    ) -> Answer:
        """Bring up subscribers with the tokens of a file from `first` on."""
        some = json.loads(Path(tokens).read_text())[first : first + count]
        assert len(some) == count
        new = Crowd(crowd, ports, subscribe_frame(document, after), count)
        self._crowds[crowd] = new
        await open_crowd(new, some, at_once, patience)
        return {"cursor": new.cursor, "retried": new.retried, "replays": new.replays, "events": new.events}

    async def do_close(self, *, crowd: str) -> Answer:
        """Have them all go."""
        old = self._crowds.pop(crowd)
        for socket in list(old.sockets):
            socket.close()
        while old.sockets:
            await asyncio.sleep(0.01)
        return {}

    async def do_look(self, *, crowd: str) -> Answer:
        """What a crowd has received so far, and its last sample."""
        found = self._crowds[crowd]
        return {
            "events": found.events,
            "lost": found.lost,
            "live": found.live,
            "trouble": found.trouble,
            "sample": found.sample.decode(),
        }

    async def do_deliver(
        self, *, crowd: str, port: int, request: str, events: int, seconds: float, patience: float
    ) -> Answer:
        """Post, wait until every subscriber has the event, post again: at least so many, and for so long.

        Each has each event once, or it is Lost. How many there were, and the bytes of one message.
        """
        found, posters = self._crowds[crowd], self._posters_at(port)
        had, size = {socket: socket.events for socket in found.sockets}, found.size_of_events
        done, end = 0, clock() + seconds
        while done < events or clock() < end:
            self._posts += 1
            await asyncio.gather(
                found.reach(found.events + found.size, patience),
                posters.post(request.encode(), self._posts),
            )
            done += 1
        if any(socket.events - before != done for socket, before in had.items()):
            raise Lost(f"{done} events did not come once to each socket")
        return {"events": done, "bytes": (found.size_of_events - size) / done / found.size}

    async def do_write(self, *, port: int, requests: list[str], count: int) -> Answer:
        """Post so many, by those of the requests in turn, and wait for the answers only."""
        posters, numbers = self._posters_at(port), iter(range(count))

        async def writer() -> None:
            for number in numbers:
                self._posts += 1
                await posters.post(requests[number % len(requests)].encode(), self._posts)

        await asyncio.gather(*(writer() for _ in range(WRITERS)))
        return {}

    async def do_reach(self, *, crowd: str, events: int, patience: float) -> Answer:
        """Wait until a crowd has received so many events in all."""
        await self._crowds[crowd].reach(events, patience)
        return {}

    async def do_pace(
        self,
        *,
        crowd: str,
        port: int,
        requests: list[str],
        rate: float,
        seconds: float,
        seed: int,
        each: int,
        patience: float,
    ) -> Answer:
        """Post so many a second at random moments; milliseconds from each answer and each request to every event.

        `each` is how many of the crowd an event concerns.
        """
        found, posters = self._crowds[crowd], self._posters_at(port)
        found.arrivals, before, first = [], found.events, self._posts + 1
        posts = await pace(posters, [request.encode() for request in requests], first, rate, seconds, seed)
        self._posts += len(posts)
        taken = sum(1 for _, answered in posts if answered is not None)
        came: Counter[int] = Counter()
        with suppress(Lost):  # then they are missing
            await found.reach(before + taken * each, patience)
        arrivals, found.arrivals = found.arrivals, None
        # By the moment of the answer, and by that of the request.
        from_answer, from_request, early = [], [], 0
        for number, at in arrivals:
            if number < first:
                continue  # of a run before that was given up
            sent, answered = posts[number - first]
            if answered is not None:
                came[number] += 1
                # An event that is there before the answer was not waited for.
                early += at < answered
                from_answer.append(round(max(at - answered, 0.0) * 1000, 2))
                from_request.append(round((at - sent) * 1000, 2))
        if any(times > each for times in came.values()):
            raise Lost("an event came to more sockets than it concerns, or twice to one")
        return {
            "posts": len(posts),
            "early": early,
            "refused": len(posts) - taken,
            "missing": len(posts) * each - len(from_answer),
            "answered": sorted(from_answer),
            "sent": sorted(from_request),
        }

    def _posters_at(self, port: int) -> Posters:
        if port not in self._posters:
            self._posters[port] = Posters(port)
        return self._posters[port]


if __name__ == "__main__":
    uvloop.run(Generator().run())
