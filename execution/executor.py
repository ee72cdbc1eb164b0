"""The door of this room: executor classes for graphql-core and Strawberry that run operations breadth first."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, OperationType
from graphql.execution import Executor
from graphql.pyutils import is_async_iterable, is_awaitable
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution.failures import BREATH, Settled, settle, settling
from execution.plans import Plan, PlanCache
from execution.run import Block, Job, Run
from execution.spots import Root

if TYPE_CHECKING:
    Base = Executor[Any]
else:
    Base = object

PLANS = PlanCache()


class BreadthFirst(Base):
    """Mixed into an executor class of graphql-core, it runs what that class would walk depth first.

    Give the class as `executor_class` to graphql-core's execute or subscribe, or as `execution_context_class` to
    strawberry.Schema. Results, errors and the calls of resolvers are those of the class it is mixed into. What
    it does not do itself (README.md, "Handed on") the other class does.
    """

    # What a PreparedOperation knows already.
    plan: Plan | None = None

    def execute_operation(self, serially: bool | None = None) -> Any:
        """The operation's result, or an awaitable of it when something must be awaited."""
        plan = self.plan or PLANS.plan(self)
        root_type = self.schema.get_root_type(self.operation.operation)
        if root_type is None or not plan.supported or self._is_special():
            return super().execute_operation(serially)
        try:
            selection = plan.root(self, root_type)
        except (GraphQLError, RecursionError):
            return super().execute_operation(serially)
        if serially is None:
            serially = self.operation.operation is OperationType.MUTATION
        run = Run(self)
        block = run.begin(selection)
        if serially and len(selection.fields) > 1:
            return self._serially(run, block)
        jobs = run.advance(block)
        return self._finished(run, block, jobs) if jobs else self._response(run, block)

    async def data_of_each(self, roots: Sequence[Any]) -> list[dict[str, Any]] | None:
        """The operation's data for each of the roots, in one run. None when anything failed: ask each by itself."""
        root_type = self.schema.get_root_type(self.operation.operation)
        if root_type is None or self.plan is None or not self.plan.supported or self._is_special():
            return None
        try:
            selection = self.plan.root(self, root_type)
        except (GraphQLError, RecursionError):
            return None
        run = Run(self)
        block = Block(selection, roots, Root(len(roots)))
        jobs = run.advance(block)
        if jobs:
            await run.finish(jobs)
        return None if run.failures else block.results

    def _is_special(self) -> bool:
        """Whether the caller asked for something that only the other class does."""
        return (
            (self.middleware_manager is not None and bool(self.middleware_manager.middlewares))
            or self.abort_signal is not None
            or not self.error_propagation
            or self.is_awaitable not in (is_awaitable, optimized_is_awaitable)
            or self.is_async_iterable is not is_async_iterable
        )

    async def _finished(self, run: Run, block: Block, jobs: list[Job]) -> Any:
        await run.finish(jobs)
        return await self._response_in_steps(run, block)

    def _serially(self, run: Run, block: Block) -> Any:
        """One root field after the other, until one of them takes all data away."""
        fields = iter(block.selection.fields)
        for field in fields:
            jobs = run.advance(block, [field])
            if jobs:
                return self._serially_on(run, block, jobs, list(fields))
            if run.lost():
                break
        return self._response(run, block)

    async def _serially_on(self, run: Run, block: Block, jobs: list[Job], fields: list[Any]) -> Any:
        await run.finish(jobs)
        for field in fields:
            if run.lost():
                break
            await run.finish(run.advance(block, [field]))
        return await self._response_in_steps(run, block)

    def _response(self, run: Run, block: Block) -> Any:
        return self._built(settle(block.results[0], run.failures) if run.failures else (block.results[0], []))

    async def _response_in_steps(self, run: Run, block: Block) -> Any:
        """The same; others run when there is much to settle."""
        if len(run.failures) <= BREATH:
            return self._response(run, block)
        steps = settling(block.results[0], run.failures)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return self._built(done.value)
            await asyncio.sleep(0)

    def _built(self, settled: Settled) -> Any:
        data, errors = settled
        self.collected_errors.errors.extend(errors)
        return self.build_response(data)


class BreadthFirstExecutor(BreadthFirst, Executor[Any]):
    """For schemas of graphql-core."""


class StrawberryBreadthFirstExecutor(BreadthFirst, StrawberryGraphQLCoreExecutionContext):
    """For schemas of Strawberry."""
