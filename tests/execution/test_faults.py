"""The comparison is worth something: it finds faults that are planted into the executor."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from graphql.pyutils import UndefinedType

import execution.completion
import execution.executor
import execution.failures
import execution.getters
import execution.kinds
import execution.leaves
import execution.plans
import execution.run
import execution.spots
from execution.kinds import Kind
from execution.spots import UnderKey
from tests.execution.cases import problems, stock_left_alone, toy_case

Patch = pytest.MonkeyPatch


def an_error_is_dropped(patch: Patch) -> None:
    settle = execution.failures.settle

    def forgetful(data: Any, failures: Any) -> Any:
        settled, errors = settle(data, failures)
        return settled, errors[:-1] if len(errors) > 1 else errors

    patch.setattr(execution.executor, "settle", forgetful)


def errors_come_in_another_order(patch: Patch) -> None:
    settle = execution.failures.settle

    def reversing(data: Any, failures: Any) -> Any:
        settled, errors = settle(data, failures)
        return settled, errors[::-1]

    patch.setattr(execution.executor, "settle", reversing)


def nothing_is_nulled(patch: Patch) -> None:
    patch.setattr("execution.failures._null", lambda data, path: None)


def keys_come_in_another_order(patch: Patch) -> None:
    init: Callable[..., None] = execution.plans.Selection.__init__

    def made(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        self.blank = dict(reversed(self.blank.items()))

    patch.setattr(execution.plans.Selection, "__init__", made)


def a_resolver_is_called_twice(patch: Patch) -> None:
    one_by_one = execution.getters._one_by_one

    def twice(run: Any, block: Any, field: Any) -> Any:
        one_by_one(run, block, field)
        return one_by_one(run, block, field)

    patch.setattr(execution.getters, "_one_by_one", twice)


def undefined_is_a_value(patch: Patch) -> None:
    patch.setitem(execution.kinds._known, UndefinedType, Kind.VALUE)


def a_returned_exception_is_a_value(patch: Patch) -> None:
    patch.setitem(execution.kinds._known, ValueError, Kind.VALUE)


def values_are_put_back_in_another_order(patch: Patch) -> None:
    scattered = execution.spots.scattered
    patch.setattr(
        execution.completion,
        "scattered",
        lambda values, indexes, size: scattered(values, indexes[::-1], size),
    )


def a_mutation_goes_on_when_all_is_lost(patch: Patch) -> None:
    patch.setattr(execution.run.Run, "lost", lambda self: False)


def only_the_first_place_of_a_field_is_told(patch: Patch) -> None:
    fail = execution.run.Run.fail

    def told(self: Any, error: Any, field: Any, spots: Any, index: int, late: bool = False) -> None:
        fail(self, error, field, spots, index, late)
        self.failures[-1] = self.failures[-1]._replace(nodes=field.nodes[:1])

    patch.setattr(execution.run.Run, "fail", told)


def a_large_integer_is_let_through(patch: Patch) -> None:
    patch.setattr(execution.leaves, "_are_32_bits", lambda values: True)


def resolvers_are_told_a_wrong_type_in_their_path(patch: Patch) -> None:
    init: Callable[..., None] = UnderKey.__init__
    patch.setattr(
        UnderKey,
        "__init__",
        lambda self, objects, key, name, nullable: init(self, objects, key, "Any", nullable),
    )


def changed_arguments_are_given_again(patch: Patch) -> None:
    patch.setattr(execution.plans.Field, "are_shared", staticmethod(lambda arguments: True))


FAULTS = [
    an_error_is_dropped,
    errors_come_in_another_order,
    nothing_is_nulled,
    keys_come_in_another_order,
    a_resolver_is_called_twice,
    undefined_is_a_value,
    a_returned_exception_is_a_value,
    values_are_put_back_in_another_order,
    a_mutation_goes_on_when_all_is_lost,
    only_the_first_place_of_a_field_is_told,
    a_large_integer_is_let_through,
    resolvers_are_told_a_wrong_type_in_their_path,
    changed_arguments_are_given_again,
]


# A fault that shows itself rarely is looked for from here on.
BEGIN: dict[Callable[[Patch], None], int] = {a_large_integer_is_let_through: 250}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_comparison_notices_when(fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    async def noticed() -> bool:
        for seed in range(BEGIN.get(fault, 0), 600):
            if await problems(toy_case(seed)):
                return True
        return False

    fault(monkeypatch)
    with stock_left_alone():
        assert asyncio.run(noticed())
