"""The home timeline's rules: which replies come in, and which reposts are left out."""

from datetime import timedelta

import pytest

from dataloaders.rows import EntryRow, RepostRow, id_span
from resolvers.context import Viewer
from resolvers.home import Home, post_qualifies, reply_comes_in, repost_is_covered, rests

# Alice looks; she follows Bob and Carol. Nobody here follows Mallory or Trudy.
ALICE, BOB, CAROL, MALLORY, TRUDY = 1, 2, 3, 4, 5
HOME = Home(Viewer(ALICE, 100), [ALICE, BOB, CAROL], frozenset({ALICE, BOB, CAROL}))

NOON = id_span(timedelta(days=400))
HOUR = id_span(timedelta(hours=1))
DAY = id_span(timedelta(hours=24))
MICROSECOND = id_span(timedelta(microseconds=1))


def repost(actor: int, at: int, author: int, posted: int = NOON, reply_to: int | None = None) -> EntryRow:
    """Somebody's repost of a post."""
    return EntryRow(actor, at, author, posted, reply_to)


def by(actor: int, at: int, author: int, posted: int = NOON) -> RepostRow:
    """The same as the list of a post's reposts has it."""
    return RepostRow(author, posted, actor, at)


@pytest.mark.parametrize(
    ("author", "answered", "comes_in"),
    [
        (BOB, None, True),  # no reply at all
        (BOB, BOB, True),  # a thread of one's own
        (BOB, ALICE, True),  # to the viewer
        (BOB, CAROL, True),  # to somebody the viewer follows too
        (BOB, MALLORY, False),
        (ALICE, MALLORY, True),  # the viewer's own replies always
        (ALICE, ALICE, True),
        (CAROL, TRUDY, False),
    ],
)
def test_which_replies_come_in(author: int, answered: int | None, comes_in: bool) -> None:
    assert reply_comes_in(author, answered, HOME) is comes_in


@pytest.mark.parametrize(
    ("author", "answered", "qualifies"),
    [
        (BOB, None, True),
        (ALICE, None, True),
        (MALLORY, None, False),
        (MALLORY, MALLORY, False),  # a thread of somebody who is not followed
        (MALLORY, BOB, False),  # an answer to somebody followed, by somebody who is not
        (BOB, MALLORY, False),
        (BOB, CAROL, True),
        (ALICE, MALLORY, True),
    ],
)
def test_which_posts_come_in_by_themselves(author: int, answered: int | None, qualifies: bool) -> None:
    assert post_qualifies(repost(CAROL, NOON + HOUR, author, reply_to=answered), HOME) is qualifies


@pytest.mark.parametrize(
    ("apart", "covered"),
    [
        (1, True),  # the same microsecond, the next number
        (MICROSECOND, True),
        (DAY - MICROSECOND, True),
        (DAY, True),  # at most 24 hours
        (DAY + MICROSECOND - 1, True),  # still the same microsecond: times have no more digits
        (DAY + MICROSECOND, False),
        (30 * DAY, False),
        (-MICROSECOND, False),  # later is not earlier
    ],
)
def test_what_rests_for_24_hours(apart: int, covered: bool) -> None:
    assert rests(NOON, NOON + apart) is covered
    # It is the same for a post that comes in by itself and for a repost of one that does not.
    assert repost_is_covered(repost(CAROL, NOON + apart, BOB), HOME, []) is covered
    first = by(BOB, NOON, MALLORY, posted=NOON - DAY)
    later = repost(CAROL, NOON + apart, MALLORY, posted=NOON - DAY)
    assert repost_is_covered(later, HOME, [first, by(CAROL, later.id, MALLORY, NOON - DAY)]) is covered


def test_numbers_within_a_microsecond_do_not_count_as_time() -> None:
    assert rests(NOON + 2047, NOON + DAY + 2047)
    assert rests(NOON, NOON + DAY + 2047)
    assert not rests(NOON + 2047, NOON + DAY + 2048)


def test_a_repost_alone_comes_in() -> None:
    only = repost(BOB, NOON + HOUR, MALLORY)
    assert not repost_is_covered(only, HOME, [])
    assert not repost_is_covered(only, HOME, [by(BOB, only.id, MALLORY)])


def test_the_second_repost_is_left_out_and_the_first_is_not() -> None:
    reposts = [by(BOB, NOON + HOUR, MALLORY), by(CAROL, NOON + 2 * HOUR, MALLORY)]
    assert not repost_is_covered(repost(BOB, NOON + HOUR, MALLORY), HOME, reposts)
    assert repost_is_covered(repost(CAROL, NOON + 2 * HOUR, MALLORY), HOME, reposts)


def test_a_repost_that_was_left_out_covers_as_well() -> None:
    """Bob at 0 h covers Carol at 20 h; she, though not shown, covers Alice at 40 h. At 65 h the post is back."""
    reposts = [
        by(BOB, NOON, MALLORY, posted=NOON - DAY),
        by(CAROL, NOON + 20 * HOUR, MALLORY, posted=NOON - DAY),
        by(ALICE, NOON + 40 * HOUR, MALLORY, posted=NOON - DAY),
    ]
    covered = [
        repost_is_covered(repost(row.actor_id, row.entry_id, MALLORY, NOON - DAY), HOME, reposts)
        for row in reposts
    ]
    assert covered == [False, True, True]
    assert not repost_is_covered(repost(TRUDY, NOON + 65 * HOUR, MALLORY, NOON - DAY), HOME, reposts)


def test_of_two_reposts_with_one_id_the_one_below_comes_in() -> None:
    """A timeline is sorted by id, then actor: of equal ones the lower stands below, so it came first."""
    reposts = [by(BOB, NOON + HOUR, MALLORY), by(CAROL, NOON + HOUR, MALLORY)]
    assert not repost_is_covered(repost(BOB, NOON + HOUR, MALLORY), HOME, reposts)
    assert repost_is_covered(repost(CAROL, NOON + HOUR, MALLORY), HOME, reposts)


def test_an_authors_own_repost_is_left_out_for_a_day_and_then_comes_in() -> None:
    assert repost_is_covered(repost(BOB, NOON + DAY, BOB), HOME, [])
    assert not repost_is_covered(repost(BOB, NOON + DAY + MICROSECOND, BOB), HOME, [])


def test_the_viewers_repost_of_their_own_post_rests_as_well() -> None:
    assert repost_is_covered(repost(ALICE, NOON + HOUR, ALICE), HOME, [])
    assert not repost_is_covered(repost(ALICE, NOON + 2 * DAY, ALICE), HOME, [])


def test_a_repost_of_a_reply_comes_in_where_the_reply_does_not() -> None:
    reply = repost(CAROL, NOON + HOUR, BOB, reply_to=MALLORY)
    assert not repost_is_covered(reply, HOME, [])
    # The author's own repost of such a reply is how it comes in, too.
    assert not repost_is_covered(repost(BOB, NOON + HOUR, BOB, reply_to=MALLORY), HOME, [])


def test_a_repost_of_a_reply_is_left_out_where_the_reply_comes_in() -> None:
    assert repost_is_covered(repost(CAROL, NOON + HOUR, BOB, reply_to=ALICE), HOME, [])
    assert repost_is_covered(repost(CAROL, NOON + HOUR, ALICE, reply_to=MALLORY), HOME, [])


def test_following_the_author_later_covers_what_their_followers_reposted() -> None:
    """Decided on the state of now: before Alice follows Bob his post does not come in, afterwards it does."""
    before = Home(Viewer(ALICE, 100), [ALICE, CAROL], frozenset({ALICE, CAROL}))
    reposted = repost(CAROL, NOON + HOUR, BOB)
    assert not repost_is_covered(reposted, before, [by(CAROL, reposted.id, BOB)])
    assert repost_is_covered(reposted, HOME, [by(CAROL, reposted.id, BOB)])


def test_an_undone_repost_uncovers_the_next_one() -> None:
    first, second = by(BOB, NOON + HOUR, MALLORY), by(CAROL, NOON + 2 * HOUR, MALLORY)
    later = repost(CAROL, second.entry_id, MALLORY)
    assert repost_is_covered(later, HOME, [first, second])
    assert not repost_is_covered(later, HOME, [second])
