"""No request holds the event loop: the longest step of the loop is measured while hostile documents are answered.

A step is one callback of the loop, in CPU time of its thread, so that a busy machine does not count. The server, the
client and the heartbeat share the loop of the test; a step of any of them counts.
"""

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.worker import COLLECT_AFTER
from bench.hostile_documents import SHAPES
from tests.conftest import Server
from tests.people import Person

# Seconds that no request may hold the loop.
LONGEST_PAUSE = 0.05

USER = (
    "id handle displayName bio avatarUrl createdAt followerCount followingCount postCount viewerIsFollowing"
)
POST = (
    "id text textDirection createdAt isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted "
    "author { id handle displayName avatarUrl viewerIsFollowing }"
)


class Steps:
    """The longest step of the loop since `begin`."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def begin(self) -> None:
        """Forget what was, and the step that asks."""
        await asyncio.sleep(0)
        self.longest = 0.0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    found = Steps()
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        run(handle)
        found.longest = max(found.longest, time.thread_time() - started)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    # As a worker does: what this process has gathered for its tests is not looked at.
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    yield found
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def asked(person: Person, body: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if person.token is not None:
        headers["authorization"] = f"Bearer {person.token}"
    answer = await person.http.post(f"{person.url}/graphql", content=body, headers=headers)
    assert answer.status_code in (200, 400, 413), (answer.status_code, answer.text[:300])
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("name", SHAPES)
async def test_a_hostile_document_does_not_hold_the_loop(alice: Person, steps: Steps, name: str) -> None:
    body = json.dumps({"query": SHAPES[name]})
    for _ in range(2):
        await steps.begin()
        await asked(alice, body)
        assert steps.longest < LONGEST_PAUSE, steps.longest


@pytest.mark.parametrize(
    "variables",
    [
        {"ids": ["x"] * 60_000},
        {"ids": [[["x"]]] * 20_000},
        {"ids": [{"a": 1}] * 1_900},
        {"ids": "x" * 250_000},
        {f"v{n}": n for n in range(15_000)},
    ],
    ids=lambda variables: str(next(iter(variables.values())))[:20],
)
async def test_hostile_variables_do_not_hold_the_loop(
    alice: Person, steps: Steps, variables: dict[str, Any]
) -> None:
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    body = json.dumps({"query": document, "variables": variables})
    await steps.begin()
    await asked(alice, body)
    assert steps.longest < LONGEST_PAUSE, steps.longest


async def test_bodies_that_are_no_requests_do_not_hold_the_loop(alice: Person, steps: Steps) -> None:
    for body in (
        "[" * 250_000,
        '{"a":' * 40_000,
        "[" + "1," * 120_000 + "1]",
        '"' + "\\ud83d" * 40_000 + '"',
    ):
        await steps.begin()
        await asked(alice, body)
        assert steps.longest < LONGEST_PAUSE, (body[:10], steps.longest)


async def test_the_dearest_operations_that_run_do_not_hold_the_loop(
    server: Server, alice: Person, steps: Steps
) -> None:
    for n in range(100):
        await alice.posts(f"post {n}")
    page = f"publicTimeline(first: 100) {{ edges {{ node {{ post {{ {POST} }} }} }} }}"
    replies = f"replies(first: 3) {{ edges {{ node {{ {POST} }} }} }}"
    many = " ".join(f"a{n}: handle" for n in range(200))
    for document in (
        # As many posts as one operation may bring.
        "query A { " + " ".join(f"a{n}: {page}" for n in range(10)) + " }",
        f"query B {{ viewer {{ posts(first: 100) {{ edges {{ node {{ {POST} {replies} }} }} }} }} }}",
        f"query C {{ publicTimeline(first: 100) {{ edges {{ node {{ post {{ author {{ {many} }} }} }} }} }} }}",
    ):
        await steps.begin()
        found = await asked(alice, json.dumps({"query": document}))
        assert "errors" not in found, found["errors"][:2]
        assert steps.longest < LONGEST_PAUSE, (document[:10], steps.longest)


async def test_one_selection_of_many_objects_does_not_hold_the_loop(alice: Person, steps: Steps) -> None:
    for field in ("name", "description", "type { kind }", "args { name }"):
        many = " ".join(f"a{n}: {field}" for n in range(100 if "{" in field else 240))
        await steps.begin()
        found = await asked(
            alice, json.dumps({"query": f"{{ __schema {{ types {{ fields {{ {many} }} }} }} }}"})
        )
        assert "errors" not in found, found["errors"][:2]
        assert steps.longest < LONGEST_PAUSE, (field, steps.longest)


async def test_thousands_of_errors_do_not_hold_the_loop(alice: Person, steps: Steps) -> None:
    for n in range(100):
        await alice.posts(f"post {n}")
    many = " ".join(f'a{n}: replies(first: 0, after: "x") {{ __typename }}' for n in range(35))
    document = f"{{ viewer {{ posts(first: 100) {{ edges {{ node {{ {many} }} }} }} }} }}"
    await steps.begin()
    found = await asked(alice, json.dumps({"query": document}))
    assert len(found["errors"]) == 3_500
    assert steps.longest < LONGEST_PAUSE, steps.longest
