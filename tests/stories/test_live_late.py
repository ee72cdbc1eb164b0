"""What was held up on the way to a stream is told as things are when it is told."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from app.embedded import EmbeddedValkey
from app.subscriptions import broadcast
from resolvers import live, meaning
from resolvers.meaning import meaning_of
from tests.conftest import Server, serving
from tests.live import before_post, essence, quiet, read_until, watching
from tests.people import Person

# Who goes in the middle of an event leaves coroutines of graphql-core behind that never began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@dataclass
class HeldUp:
    """Stands in for meaning_of: who asks for a meaning waits, before or after it is found."""

    after: bool
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, *given: Any) -> Any:
        found = await meaning_of(*given) if self.after else None
        self.reached.set()
        await self.goes_on.wait()
        return found if self.after else await meaning_of(*given)


async def test_what_a_stream_catches_up_with_is_not_told_after_an_unfollow(
    server: Server, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bob.follows(alice)
    await quiet(server)
    cursor = (await bob.home())["liveCursor"]
    await alice.posts("older")
    await quiet(server)
    held_up = HeldUp(after=True)
    monkeypatch.setattr(live, "meaning_of", held_up)
    async with bob.watches(after=cursor) as stream:
        await held_up.reached.wait()
        await bob.unfollows(alice)
        await quiet(server)
        held_up.goes_on.set()
        assert essence(await stream.next()) == ("reset",)
        await bob.posts("mark")
        assert await before_post(stream, "mark") == [("caught up",)]


async def test_a_server_that_has_not_heard_of_an_unfollow_tells_nothing_old(
    database: str, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(database, valkey.url) as one, serving(database, valkey.url) as other:
        alice, bob, carol = [
            await at.sign_up(name) for at, name in ((one, "alice"), (other, "bob"), (other, "carol"))
        ]
        await bob.follows(alice)
        await bob.follows(carol)
        original = await carol.posts("original")
        await quiet(one, other)
        held_up = HeldUp(after=False)
        async with watching(other, bob) as stream, watching(other, carol) as carols:
            monkeypatch.setattr(broadcast, "meaning_of", held_up)
            await alice.posts("of who is unfollowed")
            await alice.reposts(original)
            await carol.posts("of who is followed")
            await quiet(one, other)
            await held_up.reached.wait()
            # From now on this server reads nothing of the log, as if it were stopped.
            with monkeypatch.context() as deaf:
                deaf.setattr(other.application.parts.hub, "_look", _nothing)
                deaf.setattr(meaning, "LATE", timedelta(0))
                bob.url = one.url
                await bob.unfollows(alice)
                held_up.goes_on.set()
                assert await before_post(stream, "of who is followed") == []
                # Everybody's own posts are told.
                assert await before_post(carols, "of who is followed") == []
            await read_until(stream, lambda event: essence(event) == ("reset",))


async def _nothing(**_: bool) -> None:
    """Look at nothing."""
