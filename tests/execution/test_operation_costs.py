"""What operations cost before they run: bounded, the same however they are written, and never less than they answer."""

import asyncio
import math
import pickle
import random
from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_introspection_query,
    get_named_type,
    parse,
    validate,
    visit,
)

from bench.documents import HOME, pages
from execution import BreadthFirstExecutor, Costing, OperationCost, Prices, TooManySelections
from schema.build import executable
from tests.execution.cases import Case, run, stock_left_alone, toy_case

TOYS = build_schema(
    """
    type Query {
      a: Int, b: String, strings: [String], toy: Toy, toys: [Toy], grid: [[Toy]], thing: Thing
      byIds(ids: [ID!]!): [Toy], cut(first: Int = 3): [Toy]
      box(first: Int, last: Int, after: String): ToyConnection
    }
    type Mutation { push: Toy, pull: Toy }
    type Subscription { seen: Thing }
    interface Thing { id: ID, near: Thing }
    type Toy implements Thing { id: ID, near: Thing, toy: Toy, box(first: Int): ToyConnection, big: [Toy] }
    type Ball implements Thing { id: ID, near: Thing, size: Int, toys: [Toy] }
    type ToyConnection { edges: [ToyEdge], nodes: [Toy], pageInfo: PageInfo }
    type ToyEdge { cursor: String, node: Toy }
    type PageInfo { more: Boolean }
    """
)


def compiled(text: str, schema: Any = TOYS, **options: Any) -> OperationCost:
    document = parse(text)
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    [operation] = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return Costing(schema, **options).compile(operation, fragments)


def cost(text: str, schema: Any = TOYS, **variables: Any) -> int:
    return compiled(text, schema)(variables)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{ a }", 1),
        ("{ a b again: a }", 3),
        ("{ __typename }", 0),
        ("{ kind: __typename }", 1),
        ("{ strings }", 10),
        ("{ toy { id } }", 11),
        ("{ toys { id } }", 110),
        ("{ grid { id } }", 1_100),
        ('{ byIds(ids: ["1", "2", "3"]) { id } }', 33),
        ('{ byIds(ids: "1") { id } }', 11),
        ("{ cut { id } }", 33),
        ("{ cut(first: 7) { id } }", 77),
        ("mutation { push { id } }", 111),
        ("mutation { push { id } more: pull { id } }", 222),
        ("subscription { seen { id } }", 111),
        # A connection, its items once, and what is in them.
        ("{ box(first: 5) { edges { cursor node { id } } } }", 10 + 5 * 12),
        ("{ box(first: 5) { nodes { id } } }", 10 + 5 * 11),
        ("{ box(first: 5) { nodes { id } edges { cursor } } }", 10 + 5 * 11 + 5 * 11),
        ("{ box(first: 5) { edges { node { id } other: node { id } } } }", 10 + 5 * 22),
        ("{ box(first: 5) { pageInfo { more } } }", 10 + 5 * 10 + 11),
        ("{ box(last: 5) { nodes { id } } }", 10 + 5 * 11),
        ("{ box { nodes { id } } }", 10 + 20 * 11),
        ("{ box(first: null) { nodes { id } } }", 10 + 20 * 11),
        ("{ box(first: 0) { nodes { id } } }", 10),
        ("{ box(first: 5) { nodes { box(first: 4) { nodes { id } } } } }", 10 + 5 * (10 + 10 + 4 * 11)),
        # Wrong counts are as many as there may be.
        ("{ box(first: -1) { nodes { id } } }", 10 + 100 * 11),
        ("{ box(first: 101) { nodes { id } } }", 10 + 100 * 11),
        ("{ box(first: 99999999999999999999) { nodes { id } } }", 10 + 100 * 11),
        ('{ box(first: "5") { nodes { id } } }', 10 + 100 * 11),
        ("{ box(first: 2, last: 9) { nodes { id } } }", 10 + 9 * 11),
        # The dearest of the possible types.
        ("{ thing { id ... on Ball { size } ... on Toy { big { id } } } }", 11 + 110),
        ("{ thing { id ... on Ball { size } } }", 12),
        ("{ thing { ... on Thing { id } near { id } } }", 22),
    ],
)
def test_prices(text: str, parts: int) -> None:
    assert cost(text) == max(1, math.ceil(parts / 10))


def test_what_is_merged_in_the_answer_costs_once() -> None:
    plain = cost("{ toys { id toy { id } } }")
    for text in (
        "{ toys { id } toys { toy { id } } toys { id } }",
        "{ ...F ...F ... { ...F } } fragment F on Query { toys { ...G id } } fragment G on Toy { id toy { id } }",
        "{ toys { ... on Thing { id } ... on Toy { toy { id } } ... on Ball { size toys { id } } } }",
    ):
        assert cost(text) == plain


@pytest.mark.parametrize(
    ("given", "items"),
    [
        ({"n": 7}, 7),
        ({"n": None}, 20),
        ({}, 20),
        ({"n": 0}, 0),
        ({"n": -3}, 100),
        ({"n": 10**30}, 100),
        ({"n": True}, 100),
        ({"n": "7"}, 100),
        ({"n": [7]}, 100),
        ({"n": {"n": 7}}, 100),
    ],
)
def test_a_counts_variable_may_be_anything(given: dict[str, Any], items: int) -> None:
    text = "query ($n: Int) { box(first: $n) { nodes { box(first: $n) { nodes { id } } } } }"
    assert cost(text, **given) == max(1, math.ceil((10 + items * (20 + items * 11)) / 10))


def test_defaults_of_variables_and_arguments_count() -> None:
    text = "query ($n: Int = 50) { box(first: $n) { nodes { id } } }"
    assert (cost(text), cost(text, n=None), cost(text, n=1)) == (56, 23, 3)
    text = "query ($n: Int = null) { box(first: $n) { nodes { id } } }"
    assert cost(text) == 23
    text = "query ($n: Int) { cut(first: $n) { id } }"
    assert (cost(text), cost(text, n=10)) == (4, 11)


def test_a_list_of_ids_counts_by_its_length() -> None:
    text = "query ($ids: [ID!]!) { byIds(ids: $ids) { id } }"
    assert (cost(text, ids=["1"] * 100), cost(text, ids="1"), cost(text, ids=[])) == (110, 2, 1)


def test_switches_are_followed_and_unknown_ones_count() -> None:
    text = """query ($on: Boolean!, $off: Boolean = true) {
      toys @include(if: $on) { id } toys { a: id @skip(if: $off) } never: toys @include(if: false) { id } }"""
    assert cost(text, on=False) == 10 * 10 // 10
    assert cost(text, on=True) == 10 + 1
    assert cost(text, on=True, off=False) == 10 + 2
    assert cost(text) == cost(text, on="?") == cost(text, on=None) == 11
    nested = "query ($a: Boolean!, $b: Boolean!) { ... @include(if: $a) { toys @skip(if: $b) { id } } }"
    assert [cost(nested, a=a, b=b) for a in (True, False) for b in (True, False)] == [1, 11, 1, 1]


def test_it_goes_through_pickle_and_stays_the_same() -> None:
    text = "query ($n: Int, $s: Boolean!) { box(first: $n) { nodes { id @skip(if: $s) } } thing { near { id } } }"
    made = compiled(text)
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert again({"n": 3, "s": True}) == made({"n": 3, "s": True})


def spreading(levels: int, *, connection: bool) -> str:
    """A short document whose answer doubles with each fragment."""
    wrap = "{ box(first: $n) { nodes { %s } } }" if connection else "{ near { %s } }"
    pairs = "".join(
        f"fragment F{n} on Toy {{ one: toy {wrap % f'...F{n + 1}'} two: toy {wrap % f'...F{n + 1}'} }}"
        for n in range(levels)
    )
    return f"query ($n: Int) {{ toy {{ ...F0 }} }} {pairs} fragment F{levels} on Toy {{ id }}"


@pytest.mark.parametrize("connection", [True, False])
def test_fragments_that_double_stay_small_and_their_cost_does_not_grow_without_end(connection: bool) -> None:
    made = compiled(spreading(60, connection=connection))
    assert len(pickle.dumps(made)) < 30_000
    assert 10**9 < made({"n": 100}) < 10**12


def test_selections_that_multiply_in_ever_new_ways_are_refused() -> None:
    # Below each field another choice of the next level's fragments is merged.
    chance = random.Random(7)
    text = "{ toy { ...F0_0 } }"
    for level in range(12):
        for n in range(12):
            fields = " ".join(
                f"f{m}: toy {{ ...F{level + 1}_{chance.randrange(12)} ...F{level + 1}_{chance.randrange(12)} }}"
                for m in range(6)
            )
            text += f" fragment F{level}_{n} on Toy {{ id {fields} }}"
    with pytest.raises(TooManySelections):
        compiled(text)


def test_fragments_in_a_circle_are_refused() -> None:
    with pytest.raises(TooManySelections):
        compiled("{ toy { ...F } } fragment F on Toy { toy { ...F } }")


def test_a_limit_of_ones_own() -> None:
    assert compiled("{ a b }", max_selections=2)({}) == 1
    with pytest.raises(TooManySelections):
        compiled("{ a b }", max_selections=1)


def test_nesting_deeper_than_python_recurses_is_no_matter() -> None:
    chain = "".join(f"fragment F{n} on Toy {{ toy {{ ...F{n + 1} }} }}" for n in range(3_000))
    end = "fragment F3000 on Toy { box(first: $n) { nodes { id } } }"
    made = compiled(f"query ($n: Int) {{ toy {{ ...F0 }} }} {chain} {end}")
    assert pickle.loads(pickle.dumps(made))({"n": 10}) == 3_000 + 1 + 1 + 11


def test_other_prices_may_be_charged() -> None:
    assert compiled("{ toys { id } }", prices=Prices(object=30, leaf=5, some=2))({}) == 7


def parts_of(value: Any, free: set[str]) -> int:
    """What an answer would have cost, in tenths of a point, but for the keys that are free."""
    if isinstance(value, dict):
        return 10 + sum(parts_of(below, free) for key, below in value.items() if key not in free)
    if isinstance(value, list):
        return sum(parts_of(item, free) for item in value)
    return int(value is not None)


def keys_of_structured_scalars(case: Case) -> set[str]:
    """Response keys under which a scalar may stand that looks like objects and lists."""
    found, types = set(), TypeInfo(case.schema)

    class Looking(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            if getattr(get_named_type(types.get_type()), "name", "") == "Odd":
                found.add(node.alias.value if node.alias else node.name.value)

    visit(case.document, TypeInfoVisitor(types, Looking()))
    return found


def test_no_answer_to_a_random_operation_has_more_in_it_than_was_charged() -> None:
    async def answers(case: Case) -> list[Any]:
        return [data for data, _ in (await run(case, BreadthFirstExecutor)).results if data is not None]

    answered = 0
    with stock_left_alone():
        for seed in range(400):
            case = toy_case(seed)
            definitions = case.document.definitions
            fragments = {
                node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)
            }
            [operation] = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
            charged = Costing(case.schema).compile(operation, fragments)(case.variables)
            for data in asyncio.run(answers(case)):
                answered += 1
                free = {"__typename"} | keys_of_structured_scalars(case)
                assert parts_of(data, free) - 10 <= charged * 10, case.told()
    assert answered > 200


def test_what_an_operation_of_the_application_costs() -> None:
    """The figures that README and settings speak of. The default limit of an operation is 5,000."""
    assert cost(HOME, executable) == 125
    assert cost(pages(1), executable) == 451
    assert cost(pages(10), executable) == 4_510
    introspection = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    assert validate(executable, parse(introspection)) == []
    assert cost(introspection, executable) < 1_500
    posts = "posts(first: 100) { edges { node { id } } }"
    followed = f"{{ viewer {{ followers(first: 100) {{ edges {{ node {{ {posts} }} }} }} }} }}"
    assert cost(followed, executable) > 10_000
