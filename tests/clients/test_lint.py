"""graphql-eslint over the schema as clients see it; eslint.config.mjs says where it differs from the rules, and why."""

from pathlib import Path

import pytest

from tests.clients.conftest import Play

pytestmark = pytest.mark.clients
ROOT = Path(__file__).parents[2]


async def test_the_schema_keeps_the_rules_of_graphql_eslint(node: Play) -> None:
    complaints = await node("lint.mjs", "schema", root=str(ROOT), schema="schema/schema.graphql")
    assert complaints == []
