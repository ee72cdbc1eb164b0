"""Has new documents examined, in a process beside this one, one after the other and everybody in turn."""

import asyncio
import pickle
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock
from typing import NamedTuple

import structlog

from app.documents.examine import Examined, Invalid, Task
from app.documents.fork_server import Forked, ForkServer
from app.documents.line import LENGTH

# Documents that wait at most. One takes some 5 ms, a large one 100 ms.
LONGEST_QUEUE = 200
# Seconds: beyond what a document may compute, the machine is overloaded or the process stopped.
PATIENCE = 15.0

log = structlog.get_logger("maydan.documents")


class Busy(Exception):
    """Too many new documents wait already, or the helper process cannot be had."""


class _Job(NamedTuple):
    task: Task
    done: "asyncio.Future[Examined | Invalid]"


class Examiner:
    """Asks the helper. Those who sent documents, by address, are served in turn: a flood from one delays itself."""

    def __init__(self, fork_server: ForkServer, *, idle: bool) -> None:
        self._fork_server, self._idle = fork_server, idle
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._length = 0
        self._work = asyncio.Event()
        self._forked: Forked | None = None
        # Between the thread that forks and the end of everything: one of the two ends what was forked.
        self._ending = Lock()
        self._over = False
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, fork_server: ForkServer, *, idle: bool = False) -> "AsyncIterator[Examiner]":
        """An examiner for the length of the block; an `idle` one works when nobody else wants to."""
        examiner = cls(fork_server, idle=idle)
        task = asyncio.create_task(examiner._run())
        try:
            yield examiner
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with examiner._ending:
                examiner._over = True
            examiner._drop()

    async def examine(self, task: Task, asker: str) -> Examined | Invalid:
        """What is found. Raises Busy: when the queue is full, for the newest of whoever has most in it."""
        if self._length >= LONGEST_QUEUE:
            self._make_room(asker)
        job = _Job(task, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(asker, deque()).append(job)
        self._length += 1
        self._work.set()
        return await job.done

    def _make_room(self, asker: str) -> None:
        """Turn away a job of whoever has most of them. Raises Busy when that is who asks now."""
        most = max(self._waiting, key=lambda each: len(self._waiting[each]))
        jobs = self._waiting[most]
        if len(jobs) <= len(self._waiting.get(asker, ())) + 1:
            raise Busy
        job = jobs.pop()
        self._length -= 1
        if not job.done.done():
            job.done.set_exception(Busy())

    async def _run(self) -> None:
        await self._connect_early()
        while True:
            await self._work.wait()
            job = self._next()
            if job is None:
                self._work.clear()
            elif not job.done.cancelled():
                await self._serve(job)

    def _next(self) -> _Job | None:
        """The next job of whoever was not served for longest."""
        if not self._waiting:
            return None
        asker, jobs = self._waiting.popitem(last=False)
        job = jobs.popleft()
        self._length -= 1
        if jobs:
            self._waiting[asker] = jobs
        return job

    async def _serve(self, job: _Job) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._ask(job.task)
        except (OSError, EOFError, TimeoutError) as error:
            log.warning("the document helper is replaced", error=repr(error)[:200])
            self._drop()
            if not job.done.done():
                job.done.set_exception(Busy())
        except asyncio.CancelledError:
            job.done.cancel()
            raise
        else:
            if not job.done.done():
                job.done.set_result(found)

    async def _ask(self, task: Task) -> Examined | Invalid:
        reader, writer = self._streams or await self._connect()
        message = pickle.dumps(tuple(task))
        writer.write(LENGTH.pack(len(message)) + message)
        await writer.drain()
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        answer = await reader.readexactly(length)
        found: Examined | Invalid = pickle.loads(answer)  # noqa: S301  # our own process wrote it
        return found

    async def _connect_early(self) -> None:
        """Before the first document comes, so that it need not wait for the process to start."""
        try:
            await self._connect()
        except OSError as error:
            log.warning("the document helper does not start", error=str(error)[:200])

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        forked = await asyncio.to_thread(self._fork)
        self._streams = await asyncio.open_unix_connection(sock=forked.socket)
        return self._streams

    def _fork(self) -> Forked:
        """In a thread, which goes on when whoever waits for it is cancelled."""
        forked = self._fork_server.fork(idle=self._idle)
        with self._ending:
            if self._over:
                forked.kill()
            else:
                self._forked = forked
        return forked

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        forked, self._forked = self._forked, None
        if streams is not None:
            streams[1].close()
        if forked is not None:
            forked.kill()
