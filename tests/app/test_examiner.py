"""New documents are examined beside the process that serves, in turn, and whatever happens there it goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from graphql import GraphQLError, parse, print_ast

from app.documents import examiner as examiners
from app.documents import helper
from app.documents.examine import Examined, Invalid, Task, examine, pack, unpack
from app.documents.examiner import Busy, Examiner
from app.documents.fork_server import PATIENCE, ForkServer
from bench.documents import HOME, pages
from tests.conftest import fork_server

FINE = Task("{ viewer { handle } }", introspection=True)


@pytest.fixture
async def examiner() -> AsyncIterator[Examiner]:
    async with Examiner.running(fork_server()) as running:
        yield running


def test_a_packed_document_is_the_document_with_the_places_that_errors_need() -> None:
    for text in (HOME, pages(3), "{ viewer { ...F @skip(if: true) } } fragment F on User { id }"):
        parsed = parse(text)
        unpacked = unpack(pack(parsed), text)
        assert unpacked.to_dict() == parsed.to_dict()
        assert print_ast(unpacked) == print_ast(parsed)
        field = unpacked.definitions[0].selection_set.selections[0]  # type: ignore[attr-defined]  # an operation
        original = parsed.definitions[0].selection_set.selections[0]  # type: ignore[attr-defined]  # an operation
        assert GraphQLError("", [field]).locations == GraphQLError("", [original]).locations


def test_introspection_and_suggestions_are_for_those_who_may_read_the_schema() -> None:
    for text in ("{ __schema { types { name } } }", '{ __type(name: "User") { name } }'):
        assert isinstance(examine(Task(text, introspection=True)), Examined)
        assert isinstance(examine(Task(text, introspection=False)), Invalid)
    open_, closed = (examine(Task("{ viever { id } }", introspection=each)) for each in (True, False))
    assert isinstance(open_, Invalid)
    assert isinstance(closed, Invalid)
    assert "viewer" in open_.errors[0]["message"]
    assert "viewer" not in closed.errors[0]["message"]
    assert isinstance(examine(Task("{ viewer { __typename } }", introspection=False)), Examined)


async def test_documents_are_examined_one_after_the_other(examiner: Examiner) -> None:
    texts = [f"{{ viewer {{ a{n}: handle }} }}" for n in range(50)]
    found = await asyncio.gather(*(examiner.examine(Task(text, True), "") for text in texts))
    assert [print_ast(unpack(each.packed, "")) for each in found if isinstance(each, Examined)] == [
        print_ast(parse(text)) for text in texts
    ]


async def test_who_sends_many_waits_longest(examiner: Examiner) -> None:
    finished: list[str] = []

    async def send(who: str, number: int) -> None:
        await examiner.examine(Task(f"{{ viewer {{ {who}{number}: handle }} }}", True), who)
        finished.append(who)

    await asyncio.gather(*(send("mallory", n) for n in range(30)), *(send("alice", n) for n in range(3)))
    assert max(place for place, who in enumerate(finished) if who == "alice") <= 7


async def test_a_full_queue_turns_away_at_once(examiner: Examiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examiners, "LONGEST_QUEUE", 5)
    many = [asyncio.create_task(examiner.examine(FINE, "")) for _ in range(20)]
    found = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(each, Busy) for each in found) == 15
    assert sum(isinstance(each, Examined) for each in found) == 5
    assert isinstance(await examiner.examine(FINE, ""), Examined)


async def test_a_queue_that_one_fills_has_room_for_others(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiners, "LONGEST_QUEUE", 10)
    flood = [asyncio.create_task(examiner.examine(FINE, "mallory")) for _ in range(50)]
    others = [asyncio.create_task(examiner.examine(FINE, who)) for who in ("alice", "bob", "carol", "alice")]
    assert all(isinstance(each, Examined) for each in await asyncio.gather(*others))
    found = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(each, Examined) for each in found) == 6
    assert sum(isinstance(each, Busy) for each in found) == 44


async def test_a_helper_that_was_stopped_is_replaced() -> None:
    with ForkServer() as own:
        own.fork(idle=False).kill()
        assert own._process is not None
        first = own._process.pid
        assert own._line is not None
        assert own._line.gettimeout() == PATIENCE
        own._line.settimeout(0.05)
        os.kill(first, signal.SIGSTOP)
        forked = await asyncio.wait_for(asyncio.to_thread(own.fork, idle=False), 60)
        assert own._process.pid != first
        forked.kill()


async def test_an_examiner_that_dies_is_replaced(examiner: Examiner) -> None:
    await examiner.examine(FINE, "")
    assert examiner._forked is not None
    first = examiner._forked.pid
    os.kill(first, signal.SIGKILL)
    # The one under way is lost with it, or was not yet begun.
    with suppress(Busy):
        await examiner.examine(FINE, "")
    assert isinstance(await examiner.examine(FINE, ""), Examined)
    assert examiner._forked.pid != first


async def test_one_that_does_not_answer_is_replaced(
    examiner: Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await examiner.examine(FINE, "")
    assert examiner._forked is not None
    os.kill(examiner._forked.pid, signal.SIGSTOP)
    monkeypatch.setattr(examiners, "PATIENCE", 0.05)
    with pytest.raises(Busy):
        await examiner.examine(FINE, "")
    monkeypatch.undo()
    assert isinstance(await examiner.examine(FINE, ""), Examined)


# The clock may strike in a destructor, where Python reports the exception and goes on; then it strikes again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_document_that_computes_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not scanned before, as it would be: fields each compared with each."""
    text = "{ viewer { " + "posts { edges { node { id } } } " * 300 + "} }"
    before = signal.signal(signal.SIGPROF, helper._time_is_up)
    monkeypatch.setattr(helper, "CPU_SECONDS", 0.02)
    try:
        found = helper._examined(Task(text, True))
    finally:
        signal.signal(signal.SIGPROF, before)
    assert found == helper.TOOK_TOO_LONG
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_clock_that_strikes_in_a_destructor_strikes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = 0

    def strike(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard > 1:  # the first is lost
            raise helper._TimeIsUp

    before = signal.signal(signal.SIGPROF, strike)
    monkeypatch.setattr(helper, "CPU_SECONDS", 0.02)
    try:
        found = helper._examined(Task("{ viewer { " + "posts { edges { node { id } } } " * 300 + "} }", True))
    finally:
        signal.signal(signal.SIGPROF, before)
    assert found == helper.TOOK_TOO_LONG
    assert heard >= 2  # more when another one is lost in earnest


async def test_nobody_is_served_who_went_away(examiner: Examiner) -> None:
    gone = asyncio.create_task(examiner.examine(FINE, ""))
    await asyncio.sleep(0)
    gone.cancel()
    assert isinstance(await examiner.examine(FINE, ""), Examined)
    assert gone.cancelled()
