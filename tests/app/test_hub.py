"""The hub hands each event to whom it concerns, bounded, and forgets nobody and nothing."""

import asyncio
from typing import cast

import pytest

from app.live import hub as module
from app.live.hub import HubListener, LiveHub
from dataloaders.database import Database
from dataloaders.rows import LogRow
from resolvers.context import Batch
from resolvers.errors import TooSlow

ALICE, BOB, CAROL = 1, 2, 3


@pytest.fixture
def hub() -> LiveHub:
    """A hub that reads no database: the tests hand events out themselves."""
    return LiveHub(cast(Database, None), token_seconds=60)


def row(number: int, owner: int, *, public: bool = False) -> LogRow:
    return LogRow(number, owner, "post_changed", public, {"post": [owner, 1]})


async def heard(listener: HubListener) -> Batch:
    """The next batch."""
    async with asyncio.timeout(10):
        return await anext(listener.events())


async def test_a_listener_hears_its_owners_and_nobody_else(hub: LiveHub) -> None:
    async with hub.listen(owners=[BOB], public=False) as listener:
        listener.widen([ALICE])
        hub._hand_out([row(1, ALICE), row(2, CAROL, public=True), row(3, BOB)])
        batch = await heard(listener)
        assert [found.number for found in batch.rows] == [1, 3]
        assert batch.seen == 3
        # Whom it follows no longer it does not hear; the one it was made for it always does.
        listener.widen([CAROL])
        hub._hand_out([row(4, ALICE), row(5, CAROL), row(6, BOB)])
        assert [found.number for found in (await heard(listener)).rows] == [5, 6]


async def test_a_public_listener_hears_what_is_public_and_its_own_once(hub: LiveHub) -> None:
    async with (
        hub.listen(owners=[ALICE], public=True) as alices,
        hub.listen(owners=[], public=True) as anonymous,
    ):
        hub._hand_out([row(1, ALICE, public=True), row(2, ALICE), row(3, BOB), row(4, BOB, public=True)])
        assert [found.number for found in (await heard(alices)).rows] == [1, 2, 4]
        assert [found.number for found in (await heard(anonymous)).rows] == [1, 4]


async def test_who_left_leaves_nothing_behind(hub: LiveHub) -> None:
    async with hub.listen(owners=[ALICE], public=True) as listener:
        listener.widen([BOB, CAROL])
        assert hub.listener_count == 1
        async with hub.listen(owners=[BOB], public=False):
            assert hub.listener_count == 2
        assert set(hub._by_owner) == {ALICE, BOB, CAROL}
    assert hub.listener_count == len(hub._by_owner) == len(hub._public) == 0


async def test_a_listener_that_does_not_keep_up_is_told(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE", 3)
    async with (
        hub.listen(owners=[ALICE], public=False) as slow,
        hub.listen(owners=[ALICE], public=False) as quick,
    ):
        hub._hand_out([row(number, ALICE) for number in range(1, 4)])
        assert len((await heard(quick)).rows) == 3
        hub._hand_out([row(4, ALICE)])
        assert [found.number for found in (await heard(quick)).rows] == [4]
        with pytest.raises(TooSlow):
            await heard(slow)


async def test_a_log_that_does_not_go_on_is_told_and_what_it_said_is_forgotten(hub: LiveHub) -> None:
    async with hub.listen(owners=[ALICE], public=False) as listener:
        hub._hand_out([row(1, ALICE)])
        listener.lose()
        batch = await heard(listener)
        assert batch.lost
        assert batch.rows == []
        hub._hand_out([row(2, ALICE)])
        batch = await heard(listener)
        assert not batch.lost
        assert len(batch.rows) == 1


async def test_a_quiet_listener_is_told_where_the_log_is(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.01)
    async with hub.listen(owners=[ALICE], public=False) as listener:
        hub._hand_out([row(7, BOB)])
        assert await heard(listener) == Batch([], 7, quiet=True)


async def test_what_comes_in_the_moment_when_patience_ends_is_not_passed_over(
    hub: LiveHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.01)
    async with hub.listen(owners=[ALICE], public=False) as listener:
        wait = listener._wake.wait

        async def waits_and_hears_at_the_last_moment() -> bool:
            try:
                return await wait()
            except asyncio.CancelledError:
                hub._hand_out([row(1, ALICE)])
                raise

        monkeypatch.setattr(listener._wake, "wait", waits_and_hears_at_the_last_moment)
        batch = await heard(listener)
        assert not batch.quiet
        assert [found.number for found in batch.rows] == [1]


async def test_a_revoked_session_is_refused_and_its_sockets_are_closed(hub: LiveHub) -> None:
    closed: list[int] = []
    with hub.when_revoked(closed.append):
        hub._hand_out([LogRow(1, ALICE, "session_revoked", False, {"session": 5})])
        assert closed == [5]
    assert hub.is_revoked(5)
    assert not hub.is_revoked(6)
    assert not hub._on_revoked
