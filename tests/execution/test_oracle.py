"""graphql-core's executor is the oracle: in all these cases both give the same. `make campaign-execution` runs more."""

import asyncio
import gc
import warnings
from collections.abc import Callable

import pytest
from graphql import validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.execution.cases import Case, problems, report, run, stock_left_alone, toy_case
from tests.execution.generated import generated_case, written
from tests.execution.shrinking import smaller
from tests.execution.strawberry_toys import strawberry_case

# The same cases in each run, so that a failure can be repeated; the campaign takes new ones.
SAME = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SEEDS, CHUNK = 1_200, 100


async def agree(case: Case) -> None:
    found = await problems(case)
    if found:
        pytest.fail(f"{found}\n{await report(await smaller(case, problems))}")


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_both_executors_agree_on_toy_schemas(first: int) -> None:
    async def all_of_them() -> None:
        for seed in range(first, first + CHUNK):
            await agree(toy_case(seed))

    with stock_left_alone():
        asyncio.run(all_of_them())


@pytest.mark.parametrize("first", range(0, 600, CHUNK))
def test_both_executors_agree_on_strawberrys_schemas(first: int) -> None:
    async def all_of_them() -> None:
        for seed in range(first, first + CHUNK):
            await agree(strawberry_case(seed))

    with stock_left_alone():
        asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("number", "kind", "examples"),
    [(None, "query", 60), (None, "mutation", 40), (3, "query", 60), (11, "mutation", 40)],
)
def test_both_executors_agree_on_operations_that_hypothesis_writes(
    number: int | None, kind: str, examples: int
) -> None:
    @settings(SAME, max_examples=examples)
    @given(
        text=written(number, kind),
        seed=st.integers(0, 2**32),
        waits=st.booleans(),
        wild=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    )
    def example(text: str, seed: int, waits: bool, wild: float) -> None:
        runner.run(agree(generated_case(number, kind, text, seed, waits, wild)))

    with stock_left_alone(), asyncio.Runner() as runner:
        example()


@pytest.mark.parametrize("make", [toy_case, strawberry_case])
def test_nothing_is_left_without_an_awaiter(make: Callable[[int], Case]) -> None:
    async def all_of_them() -> None:
        for seed in range(5_000, 5_100):
            case = make(seed)
            await run(case, case.ours)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(all_of_them())
        gc.collect()
    texts = {str(warning.message) for warning in caught}
    # An item of a generator that broke off, or of a list that was no list, is nobody's.
    assert {text for text in texts if "_coroutine'" not in text} == set()


def test_the_operations_are_valid() -> None:
    harmless = ("is never used", "'unknown'")
    for seed in range(60):
        for case in (toy_case(seed), strawberry_case(seed)):
            found = [
                error.message
                for error in validate(case.schema, case.document)
                if not any(text in error.message for text in harmless)
            ]
            assert found == [], case.told()


def test_the_cases_are_of_all_kinds() -> None:
    cases = [toy_case(seed) for seed in range(100)]
    assert {case.kind for case in cases} == {"query", "mutation", "subscription"}
    assert {case.waits for case in cases} == {True, False}

    async def counted() -> tuple[int, int, int]:
        clean = failing = lost = 0
        for case in cases:
            outcome = await run(case, case.ours)
            for data, errors in outcome.results:
                clean += not errors
                failing += bool(errors)
                lost += data is None
        return clean, failing, lost

    with stock_left_alone():
        assert min(asyncio.run(counted())) > 10
