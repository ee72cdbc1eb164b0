"""One run of a plan: blocks of objects, level by level, and what they wait for.

A block is a selection together with all objects that it is asked of at one place, and their results, which stand in
the response from the beginning and are filled in key by key. Whatever can be had without waiting is had at once, and
makes further blocks. What must be awaited becomes a job; a job's outcome makes blocks again. The run is over when
there are neither blocks nor jobs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from typing import Any, NamedTuple

from graphql import GraphQLObjectType, GraphQLResolveInfo
from graphql.pyutils import Path

from execution.arguments import AnyExecutor
from execution.completion import Store
from execution.failures import Failure
from execution.kinds import Kind, kind_of
from execution.plans import Field, Selection
from execution.spots import Root, Spots, UnderKey

# Values after which a run lets others run: 1 ms of plain columns, 20 ms of resolvers that are called for each object.
BREATH = 2_500


class Block:
    """Objects of one type at one place, and their results."""

    __slots__ = ("results", "selection", "sources", "spots")

    def __init__(self, selection: Selection, sources: Sequence[Any], spots: Spots) -> None:
        self.selection = selection
        self.sources = sources
        self.spots = spots
        blank = selection.blank
        self.results: list[dict[str, Any]] = [blank.copy() for _ in sources]


class Job(NamedTuple):
    """Something awaited, and what to do with its outcome: a value, or the exception it raised."""

    awaitable: Awaitable[Any]
    finish: Callable[[Any], None]
    # What the awaitable awaits in turn.
    values: Sequence[Any] = ()
    # Whose values it brings, if those of one field.
    field: Field | None = None


class Run:
    """The state of one run."""

    def __init__(self, executor: AnyExecutor) -> None:
        self.executor = executor
        self.failures: list[Failure] = []
        # With the fields that are still to be asked for.
        self._blocks: deque[tuple[Block, Sequence[Field]]] = deque()
        # Whether others run before the next blocks.
        self._resting = False
        self._jobs: list[Job] = []
        # Tasks under way, each with the job that it was made for.
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._broken: list[asyncio.Task[None]] = []

    def begin(self, selection: Selection) -> Block:
        """The root's block. Its fields are not begun yet."""
        return Block(selection, [self.executor.root_value], Root())

    def advance(self, block: Block | None = None, fields: Sequence[Field] | None = None) -> list[Job]:
        """Do all that needs no waiting, first these fields of the block; the jobs that came up.

        Inside an event loop a rest comes up as a job when there was much to do, and the remaining blocks follow it.
        """
        if block is not None:
            self._resolve(block, block.selection.fields if fields is None else fields)
        blocks = self._blocks
        done = 0
        while blocks and not self._resting:
            if done > BREATH and _is_in_loop():
                self._resting = True
                self.later(asyncio.sleep(0), self._rested)
                break
            block, fields = blocks.popleft()
            some = max(1, BREATH // len(block.sources))
            if len(fields) > some:
                # More than a breath by itself: a part of its fields now.
                blocks.appendleft((block, fields[some:]))
                fields = fields[:some]
            self._resolve(block, fields)
            done += len(block.sources) * len(fields)
        jobs, self._jobs = self._jobs, []
        return jobs

    def _rested(self, _: object) -> None:
        self._resting = False

    def _resolve(self, block: Block, fields: Sequence[Field]) -> None:
        for field in fields:
            values = field.getter(self, block, field)
            if values is not None:
                self.put(block, field, values)

    async def finish(self, jobs: list[Job]) -> None:
        """Do the jobs and all that comes of them."""
        try:
            await self._work(jobs)
            while self._tasks and not self._broken:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in self._broken:
                task.result()
        finally:
            if self._tasks:
                await self._give_up()

    async def _work(self, jobs: list[Job]) -> None:
        """Do these jobs, one after the other for as long as none of them has to wait; then all at once."""
        waiting: deque[Job] = deque()
        _enqueue(waiting, jobs)
        while waiting:
            job = waiting.popleft()
            share = None
            if waiting:
                # Runs as soon as the job lets others run. Many do not: what they ask for was read before.
                share = asyncio.get_running_loop().call_soon(self._share, waiting, job.field)
                if job.field is not None:
                    job.field.waits = False
            try:
                outcome = await job.awaitable
            except Exception as error:
                outcome = error
            except BaseException:
                for left in waiting:
                    _close(left)
                raise
            finally:
                if share is not None:
                    share.cancel()
            job.finish(outcome)
            _enqueue(waiting, self.advance())

    def _share(self, waiting: deque[Job], keeping: Field | None) -> None:
        """Have the waiting jobs done beside the one that keeps them waiting."""
        if keeping is not None:
            keeping.waits = True
        while waiting:
            job = waiting.popleft()
            task = asyncio.create_task(self._work([job]))
            self._tasks[task] = job
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Note a task that ended with what is no field's failure: the caller must get it."""
        _close(self._tasks.pop(task))  # its task may have been cancelled before it began
        if task.cancelled() or task.exception() is not None:
            self._broken.append(task)

    async def _give_up(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def put(self, block: Block, field: Field, values: Sequence[Any]) -> None:
        """Complete a field's values and put them into its objects' results."""
        leaf = field.leaf
        if leaf is not None and leaf.are_complete(values):
            key = field.key
            for result, value in zip(block.results, values, strict=True):
                result[key] = value
            return
        spots = self.spots(block, field)
        field.completion.complete(self, field, values, spots, partial(_fill, block.results, field.key))

    def spots(self, block: Block, field: Field) -> UnderKey:
        """Where a field's values stand."""
        return UnderKey(block.spots, field.key, field.parent_type.name, field.nullable)

    def descend(
        self, field: Field, type_: GraphQLObjectType, sources: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        """Ask of these objects what the field's selection asks."""
        if not sources:
            store([])
            return
        try:
            selection = field.selection(self.executor, type_)
        except Exception as error:
            for index in range(len(sources)):
                self.fail(error, field, spots, index)
            store([None] * len(sources))
            return
        block = Block(selection, sources, spots)
        store(list(block.results))
        self._blocks.append((block, selection.fields))

    def later(
        self, awaitable: Awaitable[Any], finish: Callable[[Any], None], field: Field | None = None
    ) -> None:
        """Await this, then give its outcome to `finish`: its value, or the exception it raised."""
        self._jobs.append(Job(awaitable, finish, field=field))

    def later_settled(self, values: Sequence[Any], finish: Callable[[list[Any]], None]) -> None:
        """Give the values to `finish` when each awaitable among them has become its value, or what it raised."""
        self._jobs.append(Job(self.settled(values), finish, values))

    def when_settled(self, values: list[Any], finish: Callable[[list[Any]], None]) -> None:
        """Give the values to `finish`, with what must be awaited replaced by its outcome."""
        if any(kind_of(kind) is Kind.AWAITABLE for kind in set(map(type, values))):
            self.later_settled(values, finish)
        else:
            finish(values)

    async def settled(self, values: Sequence[Any]) -> list[Any]:
        """The values, each awaitable among them replaced by its value or the exception it raised."""
        result = list(values)
        waiting = [index for index, value in enumerate(values) if kind_of(type(value)) is Kind.AWAITABLE]
        if len(waiting) == 1:
            (index,) = waiting
            try:
                result[index] = await values[index]
            except Exception as error:
                result[index] = error
            return result
        outcomes = await asyncio.gather(*[values[index] for index in waiting], return_exceptions=True)
        for index, outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
                raise outcome
            result[index] = outcome
        return result

    def lost(self) -> bool:
        """Whether a failure takes all data away."""
        return any(not failure.nulled() for failure in self.failures)

    def info(self, field: Field, path: Path | None) -> GraphQLResolveInfo[Any]:
        """What a resolver is told about the field at this path."""
        return self.executor.build_resolve_info(field.definition, field.nodes, field.parent_type, path)  # type: ignore[arg-type]  # only an error's text is made without one

    def fail(self, error: Exception, field: Field, spots: Spots, index: int, late: bool = False) -> None:
        """Something was raised at this spot."""
        self.failures.append(Failure(error, field.nodes, spots, index, late))


def _enqueue(waiting: deque[Job], jobs: Sequence[Job]) -> None:
    """Put jobs before those that wait; those whose fields kept others waiting in an earlier run behind everybody."""
    for job in reversed(jobs):
        if job.field is not None and job.field.waits:
            waiting.append(job)
        else:
            waiting.appendleft(job)


def _is_in_loop() -> bool:
    return asyncio._get_running_loop() is not None


def _close(job: Job) -> None:
    """End what will never be awaited."""
    for value in (job.awaitable, *job.values):
        if iscoroutine(value) and getcoroutinestate(value) == CORO_CREATED:
            value.close()


def _fill(results: list[dict[str, Any]], key: str, column: Sequence[Any]) -> None:
    for result, value in zip(results, column, strict=True):
        result[key] = value
