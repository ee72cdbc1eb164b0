"""Page + events == a fresh page, after any order of actions: a Hypothesis state machine over the real server.

One thing happens after the other here; what happens at the same time is the random story's (test_live_story.py), and
what fails the campaign's (tests/chaos). What it finds it prints as the steps that lead there; making them fewer would
take an hour on a real server.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from app.embedded import EmbeddedValkey
from tests.conftest import Server, serving
from tests.live import HOME_EVENTS, PUBLIC_EVENTS, Phone, holds, lines, quiet
from tests.people import Person
from tests.servers import Databases

NAMES = ("alice", "bob", "carol", "dora")
# Steps of one run.
STEPS = 500
SEED = int(os.environ.get("LIVE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

people = st.sampled_from(range(len(NAMES)))


class Timelines(RuleBasedStateMachine):
    """Four people with a phone each, and a passer-by; every step is one of them doing something, or looking."""

    databases: Databases
    valkey: str
    steps = 0
    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._on: dict[int, AsyncExitStack] = {}
        self._written = 0
        # Whether anything did since everybody looked.
        self._happened = False
        self._database = self.databases.fresh()
        self._runner.run(self._begin())

    async def _begin(self) -> None:
        self.server: Server = await self._stack.enter_async_context(serving(self._database, self.valkey))
        # The clock by which counters are told at most once a second stands still for none of the steps.
        self.server.application.parts.hub.sequencer._change_every = 0.0
        self.people = [await self.server.sign_up(name) for name in NAMES]
        self.phones = [Phone(person, HOME_EVENTS) for person in self.people]
        self.phones += [Phone(self.people[0], PUBLIC_EVENTS), Phone(self.server.passer_by(), PUBLIC_EVENTS)]
        for nth in range(len(self.phones)):
            await self._turn_on(nth)

    async def _turn_on(self, nth: int) -> None:
        self._on[nth] = AsyncExitStack()
        await self._on[nth].enter_async_context(self.phones[nth].on())

    async def _turn_off(self, nth: int) -> None:
        await self._on.pop(nth).aclose()

    def does(self, action: Callable[[], Awaitable[Any]]) -> Any:
        """One step. A refusal is an answer like another."""

        async def acts() -> Any:
            return await action()

        type(self).steps += 1
        self._happened = True
        return self._runner.run(acts())

    def _text(self) -> str:
        self._written += 1
        return f"post {self._written}"

    @rule(target=posts, who=people)
    def posts_something(self, who: int) -> str:
        return str(self.does(lambda: self.people[who].posts(self._text())))

    @rule(target=posts, who=people, to=posts)
    def replies(self, who: int, to: str) -> str:
        done = self.does(lambda: self.people[who].tries_to_post(self._text(), to=to))
        made = done.payload["post"]
        return to if made is None else str(made["id"])

    @rule(
        who=people,
        post=posts,
        what=st.sampled_from(("likes", "unlikes", "reposts", "undoes_repost", "deletes")),
    )
    def does_to_a_post(self, who: int, post: str, what: str) -> None:
        self.does(lambda: self._tries(self.people[who], what, post))

    @rule(
        who=people,
        other=people,
        what=st.sampled_from(("follows", "follows", "unfollows", "blocks", "unblocks", "unblocks")),
    )
    def does_to_somebody(self, who: int, other: int, what: str) -> None:
        self.does(lambda: self._tries(self.people[who], what, self.people[other]))

    async def _tries(self, person: Person, what: str, subject: Any) -> None:
        await getattr(person, what)(subject)

    @rule(nth=st.sampled_from(range(len(NAMES) + 2)))
    def a_phone_goes_and_comes_back(self, nth: int) -> None:
        turn = self._turn_off if nth in self._on else self._turn_on
        self.does(lambda: turn(nth))

    @rule()
    def everybody_looks(self) -> None:
        type(self).steps += 1
        if self._happened:
            self._runner.run(self._compare())
            self._happened = False

    async def _compare(self) -> None:
        for nth in range(len(self.phones)):
            if nth not in self._on:
                await self._turn_on(nth)
        await quiet(self.server)
        for phone in self.phones:
            _, fresh = await phone.pages()
            try:
                await holds(lambda phone=phone, fresh=fresh: phone.list() == lines(fresh))  # type: ignore[misc]  # bound here
            except TimeoutError:
                assert phone.list() == lines(fresh), f"{phone.person.handle or 'passer-by'} {phone.watched}"

    def teardown(self) -> None:
        async def end() -> None:
            try:
                await self._compare()
            finally:
                for nth in list(self._on):
                    await self._turn_off(nth)
                await self._stack.aclose()

        try:
            self._runner.run(end())
        finally:
            self._runner.close()
            self.databases.drop(self._database)


@pytest.mark.slow
def test_page_and_events_are_a_fresh_page_after_any_actions(
    databases: Databases, valkey: EmbeddedValkey
) -> None:
    print(f"LIVE_SEED={SEED}")

    class Machine(Timelines):
        pass

    Machine.databases, Machine.valkey = databases, valkey.url
    run_state_machine_as_test(
        seed(SEED)(Machine),
        settings=settings(
            max_examples=2,  # the first one is the simplest there is: nothing but looking
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
        _min_steps=STEPS,
    )
    assert Machine.steps >= STEPS
