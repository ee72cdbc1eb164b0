"""The checker finds each fault that is planted in a history, and nothing in a healthy one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checker import check, told
from tests.chaos.history import (
    HOME,
    OK,
    PUBLIC,
    REFUSED,
    UNKNOWN,
    Connection,
    Entry,
    Event,
    Fault,
    History,
    Impairment,
    Miscount,
    Operation,
    Screen,
    StoredPost,
    token_of,
    tokens_in,
)

# Who there is: one who writes, one who follows her, a stranger who reads the public timeline.
AMAL, BADR, CHEN = range(3)
LAST_FAULT = 30.0


class Story:
    """Writes a history by what happens in it; everything that should follow, does."""

    def __init__(self) -> None:
        self.history = History(clients=3, follows={(BADR, AMAL)}, began=0.0, ended=100.0)
        self.history.faults = [Fault("worker killed", 20.0, 22.0), Fault("valkey killed", 25.0, LAST_FAULT)]
        self.now = 1.0
        self.held: dict[tuple[int, str], dict[str, Entry]] = {(BADR, HOME): {}, (CHEN, PUBLIC): {}}
        self.posts: dict[str, StoredPost] = {}
        self.calls = 0
        self.blocked: set[int] = set()
        for who, timeline in self.held:
            self.does(who, timeline, fetched=timeline)
            self.connects(who, timeline)

    def does(
        self, who: int, what: str, *, outcome: str = OK, lasts: float = 0.01, **more: object
    ) -> Operation:
        """An operation that begins now."""
        self.calls += 1
        done = Operation(self.now, self.now + lasts, who, what, self.calls, outcome)
        done = replace(done, **more)  # type: ignore[arg-type]  # fields of an operation
        self.history.add(done)
        self.now += lasts
        return done

    def connects(self, who: int, timeline: str) -> None:
        """A stream's connection comes up, and has caught up."""
        self.history.add(Connection(self.now, who, timeline, 1, up=True))
        self.history.add(Event(self.now, who, timeline, 1, "caught up", "c"))

    def hears(self, who: int, timeline: str, kind: str, **more: object) -> Event:
        """An event arrives now."""
        event = replace(Event(self.now, who, timeline, 1, kind, "c"), **more)  # type: ignore[arg-type]  # fields
        if event.entry is not None:
            event.tokens = frozenset([event.entry.token])
        self.history.add(event)
        return event

    def posts_one(self, nth: int, *, told: bool = True) -> Entry:
        """Amal writes a post, and whoever may hear of it does."""
        token = token_of(AMAL, nth)
        entry = Entry(f"e{nth}", f"{nth:08}", f"p{nth}", token)
        self.does(AMAL, "post", token=token, post=entry.post, sort_key=entry.sort_key)
        self.posts[token] = StoredPost(AMAL, entry.post, token, token, entry.sort_key, False, False)
        self.now += 0.05
        for (who, timeline), held in self.held.items():
            if told and who not in self.blocked:
                self.hears(who, timeline, "added", entry=entry)
                held[entry.id] = entry
        self.now += 0.45
        return entry

    def deletes(self, entry: Entry) -> None:
        """Amal deletes a post, and everybody is told."""
        self.does(AMAL, "delete", token=entry.token)
        self.posts[entry.token] = self.posts[entry.token]._replace(deleted=True, token="")
        for (who, timeline), held in self.held.items():
            self.hears(who, timeline, "removed", entry_id=entry.id, post=entry.post)
            held.pop(entry.id, None)

    def blocks(self, whom: int) -> None:
        """Amal blocks somebody, whose list begins anew without her."""
        self.does(AMAL, "block", whom=whom)
        self.blocked.add(whom)
        for (who, timeline), held in self.held.items():
            if who == whom:
                self.hears(who, timeline, "reset")
                held.clear()
                self.does(who, timeline, fetched=timeline)

    def ends(self) -> History:
        """The history, with what is left in the end."""
        final = self.history.final
        final.posts = list(self.posts.values())
        final.follows = {(BADR, AMAL)} if BADR not in self.blocked else set()
        final.blocks = {(AMAL, whom) for whom in self.blocked}
        for key, held in self.held.items():
            final.held[key] = Screen("", dict(held))
            final.fresh[key] = Screen("", dict(held))
        final.gauges = {"open sockets": (0, 0)}
        return self.history


def healthy() -> Story:
    """Posts before, while and after servers die; some deleted; an answer lost; somebody blocked."""
    story = Story()
    entries = [story.posts_one(nth) for nth in range(150)]
    story.deletes(entries[3])
    story.now += 5
    lost = token_of(AMAL, 200)
    story.does(AMAL, "post", token=lost, outcome=UNKNOWN, lasts=3.0)
    story.posts_one(200)
    story.does(BADR, "like", token=entries[5].token)
    story.history.final.likes.add((BADR, entries[5].token))
    story.does(BADR, "look", token=entries[5].token, found={"liked": True, "reposted": False})
    story.does(BADR, "follow", whom=CHEN, outcome=REFUSED)
    page = tuple(story.held[BADR, HOME].values())
    story.does(BADR, HOME, entries=page, tokens=frozenset(entry.token for entry in page))
    story.blocks(CHEN)
    story.now += 2
    story.posts_one(201)
    return story


def found_in(history: History) -> set[str]:
    return {violation.invariant for violation in check(history)}


def test_a_healthy_history_has_no_violation() -> None:
    assert check(healthy().ends()) == []


def drop_event(story: Story, who: int, token: str) -> None:
    records = story.history.records
    records[:] = [
        one
        for one in records
        if not (
            isinstance(one, Event) and one.who == who and one.entry is not None and one.entry.token == token
        )
    ]


def lost_post(story: Story) -> None:
    drop_event(story, BADR, token_of(AMAL, 40))


def lost_from_the_timeline(story: Story) -> None:
    entry = story.held[BADR, HOME].pop("e40")
    drop_event(story, BADR, entry.token)


def doubled_post(story: Story) -> None:
    story.hears(BADR, HOME, "added", entry=story.held[BADR, HOME]["e41"])


def doubled_by_another_connection(story: Story) -> None:
    story.history.add(Connection(story.now, BADR, HOME, 1, up=False))
    story.history.add(Connection(story.now, BADR, HOME, 2, up=True))
    story.hears(BADR, HOME, "added", entry=story.held[BADR, HOME]["e201"], connection=2)


def doubled_on_a_page(story: Story) -> None:
    entry = story.held[BADR, HOME]["e201"]
    story.does(BADR, PUBLIC, entries=(entry, entry))


def reordered_posts(story: Story) -> None:
    records = story.history.records
    one, other = (
        next(
            at
            for at, one in enumerate(records)
            if isinstance(one, Event) and one.entry and one.entry.id == id
        )
        for id in ("e60", "e61")
    )
    records[one], records[other] = records[other], records[one]


def leaked_post(story: Story) -> None:
    token = token_of(AMAL, 10)
    text = f'{{"data":{{"post":{{"text":"{token} hello"}}}}}}'
    story.does(CHEN, "look", token=token, tokens=tokens_in(text))


def leaked_event(story: Story) -> None:
    story.now += 1.5
    entry = Entry("e201", "00000201", "p201", token_of(AMAL, 201))
    story.hears(CHEN, PUBLIC, "added", entry=entry)


def revived_post(story: Story) -> None:
    entry = Entry("e3", "00000003", "p3", token_of(AMAL, 3))
    story.hears(BADR, HOME, "added", entry=entry)


def revived_on_a_page(story: Story) -> None:
    story.does(CHEN, "public", tokens=frozenset([token_of(AMAL, 3)]))


def revived_at_once(story: Story) -> None:
    entry = story.posts_one(300)
    story.deletes(entry)
    story.hears(BADR, HOME, "added", entry=entry)


def late_removal(story: Story) -> None:
    story.now += 10
    entry = story.posts_one(300)
    story.does(AMAL, "delete", token=entry.token)
    story.now += 4
    story.hears(BADR, HOME, "removed", entry_id=entry.id, post=entry.post)


def refused_cursor(story: Story) -> None:
    refused = Connection(story.now, BADR, HOME, 1, up=False, note="Broken INVALID_CURSOR")
    story.history.add(refused)


def wrong_counter(story: Story) -> None:
    story.history.final.miscounts.append(Miscount("likes of p5", 2, 1))


def stale_list(story: Story) -> None:
    story.ends()
    held = story.history.final.held[BADR, HOME].entries
    held["e5"] = held["e5"]._replace(likes=7)


def two_posts_for_a_key(story: Story) -> None:
    token = token_of(AMAL, 200)
    story.posts["again"] = story.posts[token]._replace(id="p999", sort_key="")


def two_answers_for_a_key(story: Story) -> None:
    story.does(AMAL, "post", token=token_of(AMAL, 200), post="p999")


def unread_write(story: Story) -> None:
    story.does(BADR, "look", token=token_of(AMAL, 5), found={"liked": False, "reposted": False})


def unread_post(story: Story) -> None:
    story.does(AMAL, "look", token=token_of(AMAL, 6), found=None)


def forgotten_post(story: Story) -> None:
    token = token_of(AMAL, 7)
    del story.posts[token]
    for held in story.held.values():
        held.pop("e7", None)


def forgotten_like(story: Story) -> None:
    story.history.final.likes.clear()


def socket_left_behind(story: Story) -> None:
    story.ends()
    story.history.final.gauges["open sockets"] = (3, 0)


def slow_recovery(story: Story) -> None:
    for record in story.history.records:
        if isinstance(record, Event) and record.entry is not None and record.at > LAST_FAULT + 10:
            record.at += 3.0


PLANTED: list[tuple[Callable[[Story], None], str]] = [
    (lost_post, "I1"),
    (lost_from_the_timeline, "I1"),
    (lost_post, "I3"),
    (doubled_post, "I2"),
    (doubled_by_another_connection, "I2"),
    (doubled_on_a_page, "I2"),
    (reordered_posts, "I3"),
    (stale_list, "I4"),
    (refused_cursor, "I3"),
    (late_removal, "I5"),
    (revived_post, "I5"),
    (revived_on_a_page, "I5"),
    (revived_at_once, "I5"),
    (leaked_post, "I6"),
    (leaked_event, "I6"),
    (unread_write, "I7"),
    (unread_post, "I7"),
    (wrong_counter, "I8"),
    (two_posts_for_a_key, "I9"),
    (two_answers_for_a_key, "I9"),
    (socket_left_behind, "I10"),
    (forgotten_post, "I11"),
    (forgotten_like, "I11"),
    (slow_recovery, "I12"),
]


@pytest.mark.parametrize(("plant", "invariant"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_fault_is_found(plant: Callable[[Story], None], invariant: str) -> None:
    story = healthy()
    plant(story)
    if not story.history.final.held:
        story.ends()
    history = story.history
    violations = check(history)
    assert invariant in {violation.invariant for violation in violations}
    assert all(told(history, violation) for violation in violations)


def test_a_machine_that_became_busy_is_no_slow_recovery() -> None:
    story = healthy()
    slow_recovery(story)
    story.history.lags = [(10.0, 0.01), (LAST_FAULT + 20, 0.3)]
    assert "I12" not in found_in(story.ends())


def test_what_waited_under_way_is_no_leak() -> None:
    story = healthy()
    leaked_event(story)
    story.history.impairments.append(Impairment(story.now - 1, story.now, worker=0))
    assert "I6" not in found_in(story.ends())


def test_a_tie_whose_attempt_had_no_answer_is_held_against_nobody() -> None:
    story = healthy()
    story.does(AMAL, "unblock", whom=CHEN, outcome=UNKNOWN)
    story.does(AMAL, "block", whom=CHEN)
    story.now += 5
    leaked_event(story)
    story.history.final.held.clear()
    assert "I6" not in found_in(story.ends())


@pytest.mark.parametrize("tried_before", [True, False])
def test_an_attempt_without_an_answer_may_have_written_what_a_new_list_ends_above(tried_before: bool) -> None:
    story = healthy()
    token = token_of(AMAL, 300)
    if tried_before:
        story.does(AMAL, "post", token=token, outcome=UNKNOWN, lasts=6.0)
    newer = [story.posts_one(nth) for nth in range(301, 305)]
    story.hears(BADR, HOME, "reset")
    tokens = frozenset(entry.token for entry in newer)
    story.does(BADR, HOME, entries=tuple(newer), tokens=tokens, more=True, fetched=HOME)
    story.held[BADR, HOME] = {entry.id: entry for entry in newer}
    story.does(AMAL, "post", token=token, post="p300", sort_key=f"{300:08}")
    story.posts[token] = StoredPost(AMAL, "p300", token, token, f"{300:08}", False, False)
    final = story.ends().final
    for screens in (final.held, final.fresh):
        screens[BADR, HOME] = screens[BADR, HOME]._replace(floor=newer[0].sort_key)
    # Otherwise it was written when the list had begun anew, and had to be told.
    assert found_in(story.history) == (set() if tried_before else {"I1"})


def test_a_post_that_was_being_deleted_may_be_skipped() -> None:
    story = healthy()
    entry = story.posts_one(300, told=False)
    story.does(AMAL, "delete", token=entry.token)
    story.posts[entry.token] = story.posts[entry.token]._replace(deleted=True, token="")
    story.posts_one(301)
    assert check(story.ends()) == []


def test_a_repost_that_is_uncovered_again_is_not_doubled() -> None:
    story = healthy()
    entry = Entry("r1", "00000002", "p1", token_of(AMAL, 1), by=BADR)
    story.hears(BADR, HOME, "added", entry=entry)
    story.hears(BADR, HOME, "added", entry=entry)
    story.held[BADR, HOME][entry.id] = entry
    assert check(story.ends()) == []


def test_the_violation_is_told_with_ten_records_before_and_after() -> None:
    story = healthy()
    lost_post(story)
    history = story.ends()
    first = check(history)[0]
    lines = told(history, first).splitlines()
    assert token_of(AMAL, 40) in lines[0]
    heard = [line for line in lines if "home stream" in line and "added" in line]
    assert len(heard) == 20
