"""Fields that are resolved for all their parents at once."""

import asyncio
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.extensions import FieldExtension

from execution import StrawberryBreadthFirstExecutor, batch_field

CALLS: list[list[int]] = []


@strawberry.enum
class Size(Enum):
    """An enum that Strawberry converts for resolvers."""

    SMALL = "s"


@strawberry.input
class Wish:
    """An input type that Strawberry makes for resolvers."""

    words: list[str]
    loud: bool = False


class Shouting(FieldExtension):
    """Changes what the field gives."""

    def __init__(self, field: Any = None) -> None:
        self.sources: list[object] = []

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **arguments: Any) -> Any:
        self.sources.append(source)
        found = next_(source, info, **arguments)
        return [text.upper() for text in found] if isinstance(found, list) else found.upper()


@strawberry.type
class Person:
    """Somebody, whose fields are all batch fields."""

    id: int

    @batch_field(description="Twice the number.")
    @staticmethod
    def twice(people: list["Person"]) -> list[int]:
        CALLS.append([person.id for person in people])
        return [person.id * 2 for person in people]

    @batch_field(name="thrice")
    @staticmethod
    async def three_times(people: list["Person"], info: strawberry.Info, plus: int = 0) -> list[int]:
        await asyncio.sleep(0)
        assert info.path.key == "thrice"
        CALLS.append([person.id for person in people])
        return [person.id * 3 + plus for person in people]

    @batch_field()
    @staticmethod
    def picky(people: list["Person"]) -> list[int | None]:
        return [person.id if person.id % 2 else ValueError(f"{person.id} is even") for person in people]  # type: ignore[misc]  # exceptions stand for values

    @batch_field()
    @staticmethod
    def forgetful(people: list["Person"]) -> list[int | None]:
        return [1, 2]

    @batch_field()
    @staticmethod
    async def broken(people: list["Person"]) -> list[int | None]:
        raise GraphQLError("all of it is broken")

    @batch_field()
    @staticmethod
    def wishes(people: list["Person"], wish: Wish, size: Size = Size.SMALL) -> list[str]:
        assert isinstance(wish, Wish)
        assert isinstance(size, Size)
        return [f"{person.id} {wish.words} {wish.loud} {size.name}" for person in people]

    @batch_field(extensions=[Shouting()])
    @staticmethod
    def loud(people: list["Person"], word: str) -> list[str]:
        return [f"{word} {person.id}" for person in people]

    @batch_field()
    @staticmethod
    def selfish(people: list["Person"]) -> list[int]:
        people.sort(key=lambda person: -person.id)
        count = len(people)
        people.clear()
        return [count] * count

    @batch_field()
    @staticmethod
    async def friends(people: list["Person"]) -> list[list["Person"]]:
        CALLS.append([person.id for person in people])
        return [[Person(id=person.id * 10 + number) for number in range(2)] for person in people]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def people(self, count: int = 3) -> list[Person]:
        return [Person(id=number + 1) for number in range(count)]


STOCK = strawberry.Schema(Query)
OURS = strawberry.Schema(Query, execution_context_class=StrawberryBreadthFirstExecutor)


@pytest.fixture(params=[STOCK, OURS], ids=["one by one", "all at once"])
def schema(request: pytest.FixtureRequest) -> strawberry.Schema:
    CALLS.clear()
    found: strawberry.Schema = request.param
    return found


async def ask(schema: strawberry.Schema, text: str) -> tuple[Any, list[tuple[str, Any]]]:
    result = await schema.execute(text)
    return result.data, [(error.message, error.path) for error in result.errors or ()]


async def test_values_are_those_of_each_parent_under_both_executors(schema: strawberry.Schema) -> None:
    assert await ask(schema, "{ people { twice thrice(plus: 1) } }") == (
        {"people": [{"twice": 2, "thrice": 4}, {"twice": 4, "thrice": 7}, {"twice": 6, "thrice": 10}]},
        [],
    )
    assert ([[1], [2], [3], [1], [2], [3]] if schema is STOCK else [[1, 2, 3], [1, 2, 3]]) == CALLS


async def test_parents_spread_over_several_lists_are_one_call() -> None:
    CALLS.clear()
    data, errors = await ask(OURS, "{ people { friends { friends { twice } } } }")
    assert errors == []
    assert [len(call) for call in CALLS] == [3, 6, 12]
    assert [friend["twice"] for friend in data["people"][0]["friends"][1]["friends"]] == [220, 222]


async def test_no_parents_no_call(schema: strawberry.Schema) -> None:
    assert await ask(schema, "{ people(count: 0) { twice } }") == ({"people": []}, [])
    assert CALLS == []


async def test_an_exception_in_place_of_a_value_fails_one_parent(schema: strawberry.Schema) -> None:
    assert await ask(schema, "{ people { picky } }") == (
        {"people": [{"picky": 1}, {"picky": None}, {"picky": 3}]},
        [("2 is even", ["people", 1, "picky"])],
    )


async def test_a_wrong_number_of_values_fails_all_parents_and_says_so() -> None:
    data, errors = await ask(OURS, "{ people { forgetful } }")
    assert data == {"people": [{"forgetful": None}] * 3}
    text = "The batch resolver of Person.forgetful gave 2 values for 3 parents."
    assert errors == [(text, ["people", number, "forgetful"]) for number in range(3)]


async def test_a_wrong_number_of_values_is_told_one_by_one_too() -> None:
    data, errors = await ask(STOCK, "{ people { forgetful } }")
    assert data == {"people": [{"forgetful": None}] * 3}
    assert "Person.forgetful gave 2 values for 1 parents" in errors[0][0]


async def test_a_batch_resolver_that_raises_fails_all_parents(schema: strawberry.Schema) -> None:
    data, errors = await ask(schema, "{ people { broken } }")
    assert data == {"people": [{"broken": None}] * 3}
    assert errors == [("all of it is broken", ["people", number, "broken"]) for number in range(3)]


async def test_arguments_come_as_strawberry_gives_them_to_any_resolver(schema: strawberry.Schema) -> None:
    loud = 'x: wishes(wish: {words: "b", loud: true}, size: SMALL)'
    text = f'{{ people(count: 1) {{ wishes(wish: {{words: ["a"]}}) {loud} }} }}'
    assert await ask(schema, text) == (
        {"people": [{"wishes": "1 ['a'] False SMALL", "x": "1 ['b'] True SMALL"}]},
        [],
    )


async def test_field_extensions_see_all_parents_and_all_values(schema: strawberry.Schema) -> None:
    assert await ask(schema, '{ people { loud(word: "hi") } }') == (
        {"people": [{"loud": "HI 1"}, {"loud": "HI 2"}, {"loud": "HI 3"}]},
        [],
    )


async def test_a_resolver_that_empties_its_list_of_parents_harms_nobody(schema: strawberry.Schema) -> None:
    data, errors = await ask(schema, "{ people { selfish twice id } }")
    assert errors == []
    assert [person["twice"] for person in data["people"]] == [2, 4, 6]
    assert [person["id"] for person in data["people"]] == [1, 2, 3]


def test_batch_fields_work_without_an_event_loop(schema: strawberry.Schema) -> None:
    result = schema.execute_sync("{ people { twice } }")
    assert result.errors is None
    assert result.data == {"people": [{"twice": 2}, {"twice": 4}, {"twice": 6}]}


def test_a_method_that_does_not_say_what_is_in_its_list_is_refused() -> None:
    def untold(people: list[Any]) -> int:
        return 1

    with pytest.raises(TypeError, match=r"untold must be annotated to return list\[…\]"):
        batch_field()(untold)
    with pytest.raises(TypeError, match="must be annotated"):
        batch_field()(lambda people: [])


def test_the_schema_tells_the_type_of_one_value() -> None:
    assert '"""Twice the number."""\n  twice: Int!' in OURS.as_str()
    assert "thrice(plus: Int! = 0): Int!" in OURS.as_str()
    assert "friends: [Person!]!" in OURS.as_str()
    assert STOCK.as_str() == OURS.as_str()
