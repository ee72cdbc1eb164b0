"""Schemathesis: operations made from the introspected schema, with values of every odd kind, and never a bug told."""

import os
import random
import re
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, run
from tests.conftest import Serve

pytestmark = pytest.mark.clients

# For each root field; together they must come to CASES.
EXAMPLES = 30
CASES = 500


async def test_no_made_up_operation_finds_a_bug(serve: Serve, tmp_path: Path) -> None:
    server = await serve(introspection=True, cost_budget="0")
    alice = await server.sign_up("alice")
    await alice.posts("good morning")
    # SEED=… repeats a run; what was said is shown when it fails.
    seed = os.environ.get("SEED") or str(random.randrange(2**31))
    said = await run(
        "schemathesis",
        "run",
        f"{server.url}/graphql",
        f"--header=Authorization: Bearer {alice.token}",
        # It would end the session that the other operations need.
        "--exclude-name=Mutation.signOut",
        f"--seed={seed}",
        f"--max-examples={EXAMPLES}",
        "--phases=fuzzing",
        "--checks=answered_as_promised",
        "--continue-on-failure",
        "--no-color",
        cwd=tmp_path,
        SCHEMATHESIS_HOOKS=str(HERE / "schemathesis_hooks.py"),
    )
    print(said)
    cases = re.search(r"(\d+) generated", said)
    assert cases is not None
    assert int(cases[1]) >= CASES
