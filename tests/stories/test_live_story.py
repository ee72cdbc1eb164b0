"""Page + events == a fresh page: four people do everything at once while phones keep their timelines."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.conftest import Server, serving
from tests.live import HOME_EVENTS, PUBLIC_EVENTS, Phone, lines, quiet
from tests.people import Person

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

NAMES = ("alice", "bob", "carol", "dora")
CHAPTERS = 4
# Actions of each person in each chapter.
ACTIONS = 10


@dataclass
class Square:
    """The people, what they wrote, and the phones that watch."""

    seed: int
    servers: list[Server]
    people: list[Person] = field(default_factory=list)
    phones: list[Phone] = field(default_factory=list)
    posts: list[tuple[Person, str]] = field(default_factory=list)
    written: int = 0

    async def writes(self, chance: random.Random, person: Person) -> None:
        await self._post(person, None)

    async def replies(self, chance: random.Random, person: Person) -> None:
        await self._post(person, chance.choice(self.posts[-12:])[1])

    async def _post(self, person: Person, to: str | None) -> None:
        self.written += 1
        outcome = await person.tries_to_post(f"{person.handle} {self.written}", to=to)
        if outcome.refused is None:
            self.posts.append((person, outcome["post"]["id"]))

    async def reposts(self, chance: random.Random, person: Person) -> None:
        await person.reposts(chance.choice(self.posts[-12:])[1])

    async def undoes(self, chance: random.Random, person: Person) -> None:
        await person.undoes_repost(chance.choice(self.posts[-12:])[1])

    async def likes(self, chance: random.Random, person: Person) -> None:
        await person.likes(chance.choice(self.posts[-12:])[1])

    async def unlikes(self, chance: random.Random, person: Person) -> None:
        await person.unlikes(chance.choice(self.posts[-12:])[1])

    async def deletes(self, chance: random.Random, person: Person) -> None:
        own = [post for author, post in self.posts[-12:] if author is person]
        if own:
            await person.deletes(chance.choice(own))

    def other(self, chance: random.Random, person: Person) -> Person:
        return chance.choice([other for other in self.people if other is not person])

    async def follows(self, chance: random.Random, person: Person) -> None:
        await person.follows(self.other(chance, person))

    async def unfollows(self, chance: random.Random, person: Person) -> None:
        await person.unfollows(self.other(chance, person))

    async def blocks(self, chance: random.Random, person: Person) -> None:
        await person.blocks(self.other(chance, person))

    async def unblocks(self, chance: random.Random, person: Person) -> None:
        await person.unblocks(self.other(chance, person))

    def actions(self) -> dict[Callable[[random.Random, Person], Awaitable[None]], int]:
        """What people do, and how often."""
        return {
            self.writes: 6,
            self.replies: 4,
            self.reposts: 7,
            self.undoes: 4,
            self.likes: 4,
            self.unlikes: 2,
            self.deletes: 2,
            self.follows: 3,
            self.unfollows: 1,
            self.blocks: 1,
            self.unblocks: 3,
        }

    async def acts(self, person: Person, chapter: int) -> None:
        """One person's part of a chapter."""
        chance = random.Random(f"{self.seed} {person.handle} {chapter}")
        actions = self.actions()
        for _ in range(ACTIONS):
            (action,) = chance.choices(list(actions), list(actions.values()))
            await action(chance, person)

    async def watches(self, phone: Phone, over: asyncio.Event, chapter: int) -> None:
        """Keep a phone on during a chapter; its network breaks again and again, and it moves between servers."""
        chance = random.Random(f"{self.seed} {phone.person.handle} {phone.watched} {chapter}")
        while not over.is_set():
            phone.person.url = chance.choice(self.servers).url
            async with phone.on():
                ends = over.wait()
                try:
                    await asyncio.wait_for(ends, chance.uniform(0.05, 1.5))
                except TimeoutError:
                    continue

    async def quiet_point(self) -> None:
        """Everything is over and told; each phone then shows what a fresh page shows."""
        await quiet(*self.servers)
        async with AsyncExitStack() as stack:
            for phone in self.phones:
                await stack.enter_async_context(phone.on())
            for phone in self.phones:
                writer = phone.person if phone.person.token else self.people[0]
                self.written += 1
                mark = f"mark {self.written}"
                self.posts.append((writer, await writer.posts(mark)))
                # Told in the order of the log: whoever shows the mark was told all that came before.
                await phone.shows(mark)
                _, fresh = await phone.pages()
                assert phone.list() == lines(fresh), (
                    f"seed {self.seed}: {phone.person.handle} {phone.watched}"
                )


@asynccontextmanager
async def square(database: str, valkey: str, seed: int) -> AsyncIterator[Square]:
    """Four people at two servers, who know each other a little."""
    # Idle connections are kept: httpcore may close one that it has just given to another request.
    limits = httpx.Limits(keepalive_expiry=None)
    async with (
        serving(database, valkey) as one,
        serving(database, valkey) as other,
        httpx.AsyncClient(timeout=30, limits=limits) as http,
    ):
        one.http = http
        found = Square(seed, [one, other])
        for name in NAMES:
            person = await one.sign_up(name)
            found.people.append(person)
            found.phones.append(Phone(replaced(person), HOME_EVENTS))
            found.phones.append(Phone(replaced(person), PUBLIC_EVENTS))
        found.phones.append(Phone(one.passer_by(), PUBLIC_EVENTS))
        for person in found.people:
            found.posts.append((person, await person.posts(f"{person.handle} is here")))
        alice, bob, carol, dora = found.people
        for follower, followed in ((alice, bob), (alice, carol), (bob, alice), (carol, bob), (dora, carol)):
            await follower.follows(followed)
        yield found


def replaced(person: Person) -> Person:
    """The same account on a device of its own, which may talk to another server."""
    return Person(person.url, person.http, person.handle, person.id, person.token)


SEED = int(os.environ.get("LIVE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


@pytest.fixture
def some_valkey(request: pytest.FixtureRequest) -> str:
    """The seed says on which: once on one Valkey, once on a cluster would take twice as long."""
    url: str = request.getfixturevalue("valkey_cluster" if SEED % 2 else "valkey").url
    return url


@pytest.mark.slow
async def test_page_and_events_are_a_fresh_page(database: str, some_valkey: str) -> None:
    print(f"LIVE_SEED={SEED}")
    async with square(database, some_valkey, SEED) as story:
        for chapter in range(CHAPTERS):
            over = asyncio.Event()
            async with asyncio.TaskGroup() as watching:
                for phone in story.phones:
                    watching.create_task(story.watches(phone, over, chapter))
                async with asyncio.TaskGroup() as acting:
                    for person in story.people:
                        acting.create_task(story.acts(person, chapter))
                over.set()
            await story.quiet_point()
