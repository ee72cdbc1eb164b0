"""A case of the oracle: one operation, run by graphql-core's own executor and by the one of this house."""

import asyncio
import gc
import random
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import isawaitable
from typing import Any, NamedTuple

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute, parse, print_ast, subscribe
from graphql.execution import Executor

from execution import BreadthFirstExecutor
from tests.execution.behaviours import World
from tests.execution.compare import Outcome, differences
from tests.execution.operations import Writer
from tests.execution.toys import resolve, root_of, toy


class Case(NamedTuple):
    """All that a run needs; `world` makes its behaviours anew."""

    label: str
    schema: GraphQLSchema
    document: DocumentNode
    kind: str
    variables: dict[str, Any]
    world: Callable[[], World]
    root: Callable[[World], Any]
    waits: bool
    arguments: dict[str, Any]
    stock: type[Executor[Any]] = Executor
    ours: type[Executor[Any]] = BreadthFirstExecutor

    def told(self) -> str:
        """The case, for whoever must find out."""
        return (
            f"# {self.label}, waits={self.waits}\n{print_ast(self.document)}\nvariables: {self.variables}\n"
        )


def toy_case(seed: int) -> Case:
    """A case with a toy schema."""
    chance = random.Random(f"case {seed}")
    made = toy(chance.randrange(48))
    waits = chance.random() < 0.5
    wild = chance.choice([0.0, 0.15, 0.5, 1.0])
    writer = Writer(made.schema, chance)
    text, kind = writer.document()

    def world() -> World:
        found = World(seed, waits=waits, wild=wild)
        found.members = made.members
        return found

    root_seed = chance.random()
    arguments = {"field_resolver": resolve} if chance.random() < 0.7 else {}
    return Case(
        f"toy case {seed}",
        made.schema,
        parse(text),
        kind,
        writer.variables,
        world,
        lambda world: root_of(world, kind.title(), random.Random(root_seed)),
        waits,
        arguments,
    )


async def run(case: Case, executor_class: type[Executor[Any]]) -> Outcome:
    """The outcome under one executor."""
    world = case.world()
    common: dict[str, Any] = {
        "root_value": case.root(world),
        "context_value": world,
        "variable_values": case.variables,
        "executor_class": executor_class,
        **case.arguments,
    }
    results: list[ExecutionResult] = []
    raised = None
    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(20):
            if case.kind == "subscription":
                stream: Any = subscribe(
                    case.schema, case.document, subscribe_field_resolver=_events(case), **common
                )
                stream = await stream if isawaitable(stream) else stream
                if isinstance(stream, ExecutionResult):
                    results.append(stream)
                else:
                    async for result in stream:
                        results.append(result)  # what came before the source broke off counts
            else:
                made: Any = execute(case.schema, case.document, **common)
                results.append(await made if isawaitable(made) else made)
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    left = [str(task.get_coro()) for task in asyncio.all_tasks() - before]
    await _settled(before)
    found = [(result.data, list(result.errors or ())) for result in results]
    return Outcome(found, world.calls, raised, tuple(left))


def _events(case: Case) -> Callable[..., AsyncIterator[Any]]:
    async def source(root: Any, info: Any, **arguments: Any) -> AsyncIterator[Any]:
        world: World = info.context
        count = world.chance("events").randrange(4)
        for _ in range(count):
            yield case.root(world)
        if world.chance("events end").random() < world.wild * 0.2:
            raise RuntimeError("the source broke off")

    return source


async def _settled(before: set["asyncio.Task[Any]"]) -> None:
    """Let what the stock executor leaves in the background end."""
    for _ in range(50):
        left = asyncio.all_tasks() - before
        if not left:
            return
        with suppress(Exception):
            await asyncio.wait(left, timeout=1)


async def problems(case: Case) -> list[str]:
    """How the executors differ in this case."""
    stock = await run(case, case.stock)
    ours = await run(case, case.ours)
    return differences(stock, ours, waits=case.waits, kind=case.kind)


async def report(case: Case) -> str:
    """Both outcomes of a case in which they differ."""
    lines = [case.told()]
    for name, executor_class in (("graphql-core", case.stock), ("breadth first", case.ours)):
        outcome = await run(case, executor_class)
        lines.append(f"--- {name}: raised {outcome.raised}, left {outcome.left}")
        for data, errors in outcome.results:
            lines += [f"data: {data!r}", *(f"error: {error.message!r} at {error.path}" for error in errors)]
    return "\n".join(lines)


@contextmanager
def stock_left_alone(generation: int = 2) -> Iterator[None]:
    """graphql-core leaves coroutines of nulled parents without an awaiter: that is its own affair."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
            gc.collect(generation)
    finally:
        sys.unraisablehook = hook
