"""Completing a column of values by its type: October 2021, 6.4.3, for all values of a field at once.

First a column is sifted: what must be awaited is awaited, exceptions become failures, nulls are set aside. The usual
column needs none of that, which its set of Python types tells at the price of one pass in C. What is left is completed
by the kind of its type: leaves (leaves.py), lists, objects, and abstract types (below).
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
)
from graphql.execution.executor import invalid_return_type_error
from graphql.pyutils import is_iterable
from graphql.type import is_leaf_type

from execution.kinds import Kind, kind_of
from execution.leaves import leaf_of
from execution.spots import InLists, Some, Spots, scattered
from execution.types import certainty_of

if TYPE_CHECKING:
    from execution.plans import Field
    from execution.run import Run

# Takes the completed column, now or when what it waits for has come.
Store = Callable[[list[Any]], None]


class Completion:
    """Completes values of one type. `nullable` is false for a Non-Null type."""

    def __init__(self, nullable: bool) -> None:
        self.nullable = nullable

    def complete(
        self,
        run: "Run",
        field: "Field",
        values: Sequence[Any],
        spots: Spots,
        store: Store,
        awaited: bool = False,
    ) -> None:
        """Give the completed values to `store`. With `awaited` an awaitable among them is a value like any other."""
        kinds = [kind_of(type_) for type_ in set(map(type, values))]
        if Kind.AWAITABLE in kinds and not awaited:
            run.later_settled(values, lambda settled: self.complete(run, field, settled, spots, store, True))
            return
        if Kind.ERROR not in kinds and Kind.NULL not in kinds:
            self.complete_present(run, field, values, spots, store)
            return
        present = []
        for index, value in enumerate(values):
            kind = kind_of(type(value))
            if kind is Kind.ERROR:
                run.fail(value, field, spots, index)
            elif kind is not Kind.NULL:
                present.append(index)
            elif not self.nullable:
                run.fail(_null_error(field), field, spots, index)
        self.complete_present(
            run,
            field,
            [values[index] for index in present],
            Some(spots, present),
            lambda results: store(scattered(results, present, len(values))),
        )

    def complete_present(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        """Complete values of which none is null, an exception or to be awaited."""
        raise NotImplementedError


class LeafCompletion(Completion):
    """Scalars and enums."""

    def __init__(self, type_: Any, nullable: bool) -> None:
        super().__init__(nullable)
        self._leaf = leaf_of(type_)
        self._ready = self._leaf.ready | ({type(None)} if nullable else set())
        self._fits = self._leaf.fits

    def are_complete(self, values: Sequence[Any]) -> bool:
        """Whether the values go into the response as they are."""
        return self._ready.issuperset(map(type, values)) and (self._fits is None or self._fits(values))

    def complete(
        self,
        run: "Run",
        field: "Field",
        values: Sequence[Any],
        spots: Spots,
        store: Store,
        awaited: bool = False,
    ) -> None:
        if self._ready and self.are_complete(values):
            store(list(values))
        else:
            super().complete(run, field, values, spots, store, awaited)

    def complete_present(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        told = self._leaf.told
        if told:
            try:
                known = [told[id(value)] for value in values]
            except KeyError:
                pass  # told below, and from then on
            else:
                store(known)
                return
        coerce = self._leaf.coerce
        results = []
        for index, value in enumerate(values):
            try:
                results.append(coerce(value))
            except Exception as error:
                run.fail(error, field, spots, index)
                results.append(None)
        store(results)


class ListCompletion(Completion):
    """Lists: their items are one column, whichever list they are in."""

    def __init__(self, item: Completion, nullable: bool) -> None:
        super().__init__(nullable)
        self.item = item

    def complete_present(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        if not {list, tuple}.issuperset(map(type, values)):
            streams = [index for index, value in enumerate(values) if hasattr(value, "__aiter__")]
            if streams:
                run.later(
                    _collected(run, values, streams),
                    lambda collected: self._complete_any(run, field, collected, spots, store),
                )
            else:
                self._complete_any(run, field, values, spots, store)
            return
        lengths = list(map(len, values))
        items = InLists(spots, lengths, self.item.nullable)

        def store_lists(results: list[Any]) -> None:
            if len(lengths) == 1:
                store([results])
            else:
                rest = iter(results)
                store([list(islice(rest, length)) for length in lengths])

        self.item.complete(run, field, list(chain.from_iterable(values)), items, store_lists)

    def _complete_any(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        """Lists, other iterables, and what is neither."""
        lists: list[list[Any]] = []
        present = []
        for index, value in enumerate(values):
            items, error = (
                (value.items, value.error) if isinstance(value, _Collected) else _items_of(value, field)
            )
            if error is not None:
                run.fail(error, field, spots, index, late=items is not None)
            if items is not None:
                present.append(index)
                lists.append(items)
        self.complete_present(
            run,
            field,
            lists,
            Some(spots, present),
            lambda results: store(scattered(results, present, len(values))),
        )


def _items_of(value: Any, field: "Field") -> tuple[list[Any] | None, Exception | None]:
    """The items of an iterable, and the error at which it ended; no items for what is no iterable."""
    if not is_iterable(value):
        name = f"{field.parent_type}.{field.nodes[0].name.value}"
        return None, GraphQLError(f"Expected Iterable, but did not find one for field '{name}'.")
    items: list[Any] = []
    try:
        items.extend(value)
    except Exception as error:
        return items, error
    return items, None


class _Collected:
    """What an asynchronous iterable gave, and the error at which it ended."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.error: Exception | None = None


async def _collected(run: "Run", values: Sequence[Any], streams: Iterable[int]) -> list[Any]:
    result = list(values)
    for index in streams:
        result[index] = _Collected()
    # Together: one may give its items only when another one has been asked for its own.
    await run.settled([_collect(values[index], result[index]) for index in streams])
    return result


async def _collect(stream: AsyncIterable[Any], found: _Collected) -> None:
    try:
        iterator = aiter(stream)
    except Exception as error:
        found.error = error
        return
    try:
        async for item in iterator:
            found.items.append(item)
    except Exception as error:
        found.error = error
        close = getattr(iterator, "aclose", None)
        if close is not None:
            with suppress(Exception):  # the error that ended it is the one to tell
                await close()


class ObjectCompletion(Completion):
    """Objects: what is asked of them becomes the next block of the run."""

    def __init__(self, type_: GraphQLObjectType, nullable: bool) -> None:
        super().__init__(nullable)
        self.type = type_
        self._are_certain = certainty_of(type_)

    def complete_present(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        if self._are_certain(values):
            run.descend(field, self.type, values, spots, store)
        else:
            self._check(run, field, values, spots, store)

    def _check(self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store) -> None:
        """Ask is_type_of about each value."""
        ask = self.type.is_type_of
        assert ask is not None
        answers = [
            _answer(ask, value, run.info(field, spots.field_path(index)))
            for index, value in enumerate(values)
        ]

        def decide(answers: Sequence[Any]) -> None:
            present = []
            for index, answer in enumerate(answers):
                if isinstance(answer, _Raised):
                    run.fail(answer.error, field, spots, index)
                elif not answer:
                    wrong = invalid_return_type_error(self.type, values[index], field.details)
                    run.fail(wrong, field, spots, index)
                else:
                    present.append(index)
            run.descend(
                field,
                self.type,
                [values[index] for index in present],
                Some(spots, present),
                lambda results: store(scattered(results, present, len(values))),
            )

        run.when_settled(answers, decide)


class AbstractCompletion(Completion):
    """Interfaces and unions: values are completed together with those of the same object type."""

    def __init__(self, type_: GraphQLInterfaceType | GraphQLUnionType, nullable: bool) -> None:
        super().__init__(nullable)
        self.type = type_

    def complete_present(
        self, run: "Run", field: "Field", values: Sequence[Any], spots: Spots, store: Store
    ) -> None:
        ask = self.type.resolve_type or run.executor.type_resolver
        names = [
            _answer(ask, value, run.info(field, spots.field_path(index)), self.type)
            for index, value in enumerate(values)
        ]
        run.when_settled(names, partial(self._by_type, run, field, values, spots, store))

    def _by_type(
        self,
        run: "Run",
        field: "Field",
        values: Sequence[Any],
        spots: Spots,
        store: Store,
        names: Sequence[Any],
    ) -> None:
        groups: dict[str, tuple[GraphQLObjectType, list[int]]] = {}
        for index, name in enumerate(names):
            if isinstance(name, _Raised):
                run.fail(name.error, field, spots, index)
                continue
            try:
                type_ = run.executor.ensure_valid_runtime_type(
                    name, self.type, field.details, run.info(field, None), values[index]
                )
            except Exception as error:
                run.fail(error, field, spots, index)
            else:
                groups.setdefault(type_.name, (type_, []))[1].append(index)
        column: list[Any] = [None] * len(values)
        waiting = len(groups)
        if not groups:
            store(column)

        def store_group(indexes: list[int], results: list[Any]) -> None:
            nonlocal waiting
            for index, result in zip(indexes, results, strict=True):
                column[index] = result
            waiting -= 1
            if not waiting:
                store(column)

        for type_, indexes in groups.values():
            ObjectCompletion(type_, nullable=True).complete_present(
                run,
                field,
                [values[index] for index in indexes],
                Some(spots, indexes),
                partial(store_group, indexes),
            )


class _Raised(NamedTuple):
    """What was raised in place of an answer; an exception that was returned is an answer, if a wrong one."""

    error: Exception


def _answer(ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        answer = ask(*arguments)
    except Exception as error:
        return _Raised(error)
    return _awaited(answer) if kind_of(type(answer)) is Kind.AWAITABLE else answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except Exception as error:
        return _Raised(error)


def _null_error(field: "Field") -> Exception:
    name = f"{field.parent_type}.{field.nodes[0].name.value}"
    return TypeError(f"Cannot return null for non-nullable field {name}.")


def completion_of(type_: GraphQLOutputType, nullable: bool = True) -> Completion:
    """How values of this type are completed."""
    if isinstance(type_, GraphQLNonNull):
        return completion_of(type_.of_type, nullable=False)
    if isinstance(type_, GraphQLList):
        return ListCompletion(completion_of(type_.of_type), nullable)
    if is_leaf_type(type_):
        return LeafCompletion(type_, nullable)
    if isinstance(type_, GraphQLObjectType):
        return ObjectCompletion(type_, nullable)
    assert isinstance(type_, (GraphQLInterfaceType, GraphQLUnionType))
    return AbstractCompletion(type_, nullable)
