"""The hub hands each event to whom it concerns, bounded, and forgets nobody and nothing."""

import asyncio
import random
from contextlib import ExitStack
from typing import NamedTuple, cast

import pytest

from app.live import LiveHub
from app.live import listeners as module
from app.live.listeners import FEW, Waiting
from app.live.recent import RecentEvents
from dataloaders.database import Database
from dataloaders.rows import LogRow
from resolvers.context import Viewer
from resolvers.errors import TooSlow
from resolvers.events import TIES_CHANGED
from resolvers.home import Home, Members
from resolvers.timelines import HOME, PUBLIC

ALICE, BOB, CAROL = 1, 2, 3


class Reads(NamedTuple):
    """Somebody who watches a timeline."""

    kind: str
    viewer_id: int | None
    home: Home | None = None


@pytest.fixture
def hub() -> LiveHub:
    """A hub that reads no database: the tests hand events out themselves."""
    return LiveHub(cast(Database, None), token_seconds=60)


def row(
    number: int, owner: int, *, public: bool = False, kind: str = "post_changed", post: int = 1
) -> LogRow:
    return LogRow(number, owner, kind, public, {"post": [owner, post]})


def home(viewer: int, *others: int) -> Home:
    members = Members(sorted({viewer, *others}))
    return Home(Viewer(viewer, 1), members, members)


async def woken(listener: Waiting) -> int:
    """How many events it missed since it waited last; 0 when none came."""
    missed = listener.missed
    return missed if await listener.wait(0) else 0


async def test_a_listener_hears_its_homes_accounts_and_nobody_else(hub: LiveHub) -> None:
    with hub.listen(Reads(HOME, BOB)) as listener:
        listener.hear(home(BOB, ALICE))
        hub._hand_out([row(1, ALICE), row(2, CAROL, public=True), row(3, BOB)])
        assert await woken(listener) == 2
        listener.hear(home(BOB, CAROL))
        hub._hand_out([row(4, ALICE), row(5, CAROL), row(6, BOB)])
        assert await woken(listener) == 2
        hub._hand_out([row(7, ALICE)])
        assert await woken(listener) == 0


async def test_a_public_listener_hears_what_is_public_and_its_own_once(hub: LiveHub) -> None:
    with hub.listen(Reads(PUBLIC, ALICE)) as alices, hub.listen(Reads(PUBLIC, None)) as anonymous:
        for listener in (alices, anonymous):
            listener.hear(None)
        hub._hand_out([row(1, ALICE, public=True), row(2, ALICE), row(3, BOB), row(4, BOB, public=True)])
        assert await woken(alices) == 3
        assert await woken(anonymous) == 2


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 3 * FEW])
async def test_who_left_leaves_nothing_behind(hub: LiveHub, count: int) -> None:
    with ExitStack() as stack:
        for nth in range(count):
            stack.enter_context(hub.listen(Reads(HOME, 10 + nth))).hear(home(10 + nth, BOB, CAROL))
        assert hub.listener_count == count == len(hub.listeners.hearing(row(1, BOB)))
        assert set(hub.listeners.owners()) == {BOB, CAROL, *range(10, 10 + count)}
    assert hub.listener_count == len(list(hub.listeners.owners())) == len(hub.listeners.public) == 0


async def test_a_listener_that_does_not_keep_up_is_told(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE", 3)
    with hub.listen(Reads(HOME, BOB)) as slow, hub.listen(Reads(HOME, CAROL)) as quick:
        slow.hear(home(BOB, ALICE))
        quick.hear(home(CAROL, ALICE))
        hub._hand_out([row(number, ALICE) for number in range(1, 4)])
        slow.check()
        assert await woken(quick) == 3
        hub._hand_out([row(4, ALICE)])
        quick.check()
        with pytest.raises(TooSlow):
            slow.check()


async def test_what_comes_in_the_moment_when_patience_ends_is_not_passed_over(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub.listen(Reads(HOME, ALICE)) as listener:
        listener.hear(home(ALICE))
        wait = listener._wake.wait

        async def waits_and_hears_at_the_last_moment() -> bool:
            try:
                return await wait()
            except asyncio.CancelledError:
                hub._hand_out([row(1, ALICE)])
                raise

        monkeypatch.setattr(listener._wake, "wait", waits_and_hears_at_the_last_moment)
        assert await listener.wait(0.01)


def test_recent_events_are_those_of_the_reader_in_order_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.recent.KEPT", 50)
    chance = random.Random(7)
    rows = [
        row(
            2 * number,
            chance.choice((ALICE, BOB, CAROL)),
            public=chance.random() < 0.5,
            kind=chance.choice(("post_changed", TIES_CHANGED)),
            post=chance.randrange(20),
        )
        for number in range(1, 200)
    ]
    recent = RecentEvents(0)
    for one in rows:
        recent.append(one)
    # Of several news of a post's counters only the newest are told.
    newest = {
        (one.owner_id, one.public, one.data["post"][1]): one for one in rows if one.kind == "post_changed"
    }
    kept = [one for one in rows[-50:] if one.kind == TIES_CHANGED or one in newest.values()]
    assert len(kept) < 50
    assert recent.floor == rows[-51].number
    assert recent.after(Reads(HOME, BOB, home(BOB)), recent.floor - 1, 400, 10) is None
    for _ in range(300):
        number, limit = chance.randrange(recent.floor, 400), chance.choice((1, 5, 100))
        up_to = chance.randrange(number, 401)
        range_ = [one for one in kept if number < one.number <= up_to]
        followed = [one for one in range_ if one.owner_id in (BOB, CAROL)][:limit]
        assert recent.after(Reads(HOME, BOB, home(BOB, CAROL)), number, up_to, limit) == followed
        for viewer in (None, BOB):
            everybodys = [
                one for one in range_ if one.public or (one.kind == TIES_CHANGED and one.owner_id == viewer)
            ][:limit]
            assert recent.after(Reads(PUBLIC, viewer), number, up_to, limit) == everybodys


async def test_a_revoked_session_is_refused_and_its_sockets_are_closed(hub: LiveHub) -> None:
    closed: list[int] = []
    with hub.when_revoked(closed.append):
        hub._hand_out([LogRow(1, ALICE, "session_revoked", False, {"session": 5})])
        assert closed == [5]
    assert hub.is_revoked(5)
    assert not hub.is_revoked(6)
    assert not hub._on_revoked
