"""The plans that are kept: found again, bounded, and never taken for one another."""

from typing import Any

from graphql import ExecutionResult, GraphQLSchema, build_schema, execute, parse
from graphql.execution import Executor

from execution import BreadthFirstExecutor
from execution.plans import MAX_VARIANTS, PlanCache

SCHEMA = build_schema("type Query { a(n: Int): Int, b: Query, c: [Query] } type Mutation { a: Int }")


def executor(
    text_or_document: Any, schema: GraphQLSchema = SCHEMA, name: str | None = None, **variables: Any
) -> Any:
    document = parse(text_or_document) if isinstance(text_or_document, str) else text_or_document
    built = BreadthFirstExecutor.build(schema, document, None, None, variables, name)
    assert isinstance(built, Executor)
    return built


def test_a_kept_document_finds_its_plan_again() -> None:
    cache, document = PlanCache(), parse("{ a }")
    assert cache.plan(executor(document)) is cache.plan(executor(document))
    assert len(cache) == 1


def test_an_equal_document_that_was_parsed_again_is_another_one() -> None:
    cache = PlanCache()
    first, second = executor("{ a }"), executor("{ a }")
    assert cache.plan(first) is not cache.plan(second)


def test_two_operations_of_one_document_have_plans_of_their_own() -> None:
    cache, document = PlanCache(), parse("query One { a } query Two { b { a } }")
    one, two = (cache.plan(executor(document, name=name)) for name in ("One", "Two"))
    assert one is not two
    assert (one.operation.name.value, two.operation.name.value) == ("One", "Two")  # type: ignore[union-attr]  # named
    assert cache.plan(executor(document, name="One")) is one


def test_one_document_under_two_schemas_has_two_plans() -> None:
    other = build_schema("type Query { a: String }")
    cache, document = PlanCache(), parse("{ a }")
    assert cache.plan(executor(document)) is not cache.plan(executor(document, other))
    results = [
        execute(schema, document, {"a": 5}, executor_class=BreadthFirstExecutor)
        for schema in (SCHEMA, other, SCHEMA)
    ]
    assert [result.data for result in results if isinstance(result, ExecutionResult)] == [
        {"a": 5},
        {"a": "5"},
        {"a": 5},
    ]


def test_the_same_operation_with_other_fragments_has_another_plan() -> None:
    cache = PlanCache()
    one = parse("query { ...F } fragment F on Query { a }")
    two = parse("query { ...F } fragment F on Query { b { a } }")
    mixed = type(one)(definitions=(one.definitions[0], two.definitions[1]))
    first = cache.plan(executor(one))
    second = cache.plan(executor(mixed))
    assert first is not second
    assert second.fragments == [two.definitions[1]]
    assert len(cache) == 1


def test_a_stream_of_new_documents_stays_within_the_number() -> None:
    cache = PlanCache(plans=10)
    kept = parse("{ kept: a }")
    plan = cache.plan(executor(kept))
    for number in range(200):
        cache.plan(executor(f"{{ a{number}: a }}"))
        assert cache.plan(executor(kept)) is plan
        assert len(cache) <= 10


def test_a_stream_of_long_documents_stays_within_the_characters() -> None:
    cache = PlanCache(plans=1_000, characters=10_000)
    for number in range(50):
        cache.plan(executor(f"{{ a{number}: a }}".ljust(3_000)))
        assert len(cache) <= 3


def test_a_document_longer_than_all_may_be_runs_and_is_not_kept() -> None:
    cache = PlanCache(characters=100)
    assert cache.plan(executor("{ a }".ljust(200))).supported
    assert len(cache) == 0


def test_an_operation_without_a_location_is_kept_within_bounds_too() -> None:
    cache = PlanCache(characters=5_000)
    for _ in range(20):
        cache.plan(executor(parse("{ a }", no_location=True)))
    assert len(cache) == 5


def test_each_combination_of_switches_is_a_variant_and_the_variants_are_bounded() -> None:
    names = [f"s{number}" for number in range(6)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: a @include(if: ${name})" for name in names)
    document, cache = parse(f"query ({declared}) {{ {fields} }}"), PlanCache()
    for number in range(64):
        variables = {name: bool(number >> place & 1) for place, name in enumerate(names)}
        built = executor(document, SCHEMA, None, **variables)
        plan = cache.plan(built)
        selection = plan.root(built, SCHEMA.query_type)  # type: ignore[arg-type]  # it has one
        assert plan.root(built, SCHEMA.query_type) is selection  # type: ignore[arg-type]  # it has one
        assert [field.key for field in selection.fields] == [name for name in names if variables[name]]
        assert len(plan._variants) <= MAX_VARIANTS


def test_variables_that_switch_nothing_make_no_variants() -> None:
    document, cache = parse("query ($n: Int) { a(n: $n) }"), PlanCache()
    for number in range(20):
        built = executor(document, n=number)
        cache.plan(built).root(built, SCHEMA.query_type)  # type: ignore[arg-type]  # it has one
    assert len(cache.plan(executor(document, n=1))._variants) == 1


def test_a_directive_of_the_schemas_own_may_take_a_list() -> None:
    schema = build_schema("directive @tags(of: [String]) on FIELD type Query { a: Int }")
    document = parse("query ($of: [String]) { a @tags(of: $of) }")
    result = execute(schema, document, {"a": 1}, None, {"of": ["x"]}, executor_class=BreadthFirstExecutor)
    assert result == ExecutionResult({"a": 1}, None)


def test_what_is_skipped_below_a_list_follows_the_variables_of_each_run() -> None:
    document = parse("query ($s: Boolean!) { c { a @skip(if: $s) b { a } } }")
    root = {"c": [{"a": 1, "b": {"a": 2}}]}
    for skip, expected in [
        (True, {"b": {"a": 2}}),
        (False, {"a": 1, "b": {"a": 2}}),
        (True, {"b": {"a": 2}}),
    ]:
        result = execute(SCHEMA, document, root, None, {"s": skip}, executor_class=BreadthFirstExecutor)
        assert result == ExecutionResult({"c": [expected]}, None)
