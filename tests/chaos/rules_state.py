"""I8 to I12: counters, keys, what is left behind, what survives, and how soon all is well again."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.certain import Certain
from tests.chaos.history import OK, Connection, Event, History, Operation, percentile
from tests.chaos.violation import Violation

# Seconds after the last fault in which latency must be back at what it was: not more than so many times, and
# not worth a word below CALM seconds, since two cores are busy with the clients themselves.
RECOVERY = 10.0
SLOWER, CALM = 5.0, 2.0
# Fewer samples than this say nothing.
ENOUGH = 20


def counters_are_true(known: Certain) -> Iterator[Violation]:
    """I8: counters equal what is counted from the rows."""
    for miscount in known.history.final.miscounts:
        what = f"{miscount.what} is {miscount.stored} and should be {miscount.recomputed}"
        yield Violation("I8", what, at=known.history.ended)


def keys_make_one_post(known: Certain) -> Iterator[Violation]:
    """I9: one post for each idempotency key, whatever became of the answers."""
    history = known.history
    keys = Counter((post.author, post.key) for post in history.final.posts if post.key)
    texts = Counter(post.token for post in history.final.posts if post.token)
    for token in sorted(
        {key for (_, key), many in keys.items() if many > 1} | {t for t in texts if texts[t] > 1}
    ):
        post = known.posts.get(token)
        who, at = (post.author, post.begun) if post is not None else (-1, 0.0)
        yield Violation("I9", f"{token} was written more than once", who, at, token)
    answers: dict[str, str] = {}
    for made in history.operations("post", "reply"):
        if made.outcome == OK and answers.setdefault(made.token, made.post) != made.post:
            what = f"{made.token} was answered with two posts"
            yield Violation("I9", what, made.who, made.end, made.token)


def nothing_stays_behind(known: Certain) -> Iterator[Violation]:
    """I10: once all clients have left, what they took is given back."""
    for name, (value, most) in known.history.final.gauges.items():
        if value > most:
            yield Violation("I10", f"{name} is {value:g}, at most {most:g} is right", at=known.history.ended)


def answered_is_kept(known: Certain) -> Iterator[Violation]:
    """I11: what was answered is there in the end."""
    final = known.history.final
    end = float("inf")
    for post in known.posts.values():
        if post.answered is None:
            continue
        stored = known.stored.get(post.token)
        if stored is None:
            what = f"{post.token} was answered and is not there"
            yield Violation("I11", what, post.author, post.answered, post.token)
        elif post.deleted is not None and not stored.deleted:
            yield Violation(
                "I11", f"{post.token} was deleted and is there", post.author, post.deleted, post.token
            )
        elif post.delete_begun is None and stored.deleted:
            yield Violation("I11", f"nobody deleted {post.token}", post.author, post.answered, post.token)
    for made in _last_of_each(known):
        there: bool
        if made.what in ("like", "unlike", "repost", "undo"):
            post_ = known.posts.get(made.token)
            if post_ is None or post_.delete_begun is not None:
                continue
            table = final.likes if made.what in ("like", "unlike") else final.reposts
            there = (made.who, made.token) in table
        elif made.what in ("follow", "unfollow"):
            if any(known.tried("block", *pair, made.at, end) for pair in _both(made.who, made.whom)):
                continue
            there = (made.who, made.whom) in final.follows
        else:
            there = (made.who, made.whom) in final.blocks
        if there != (made.what in ("like", "repost", "follow", "block")):
            about = made.token or f"client {made.whom}"
            what = f"client {made.who}'s {made.what} of {about} was answered and did not last"
            yield Violation("I11", what, made.who, made.end, made.token)


def _both(one: int, other: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (one, other), (other, one)


def _last_of_each(known: Certain) -> Iterator[Operation]:
    """Of each tie, like and repost what was done to it last, where that is certain."""
    for last in known.last_changes():
        about = last.whom if last.whom >= 0 else last.token
        if known.since(last.what, last.who, about, float("inf")) is not None:
            yield last


def recovery_is_quick(known: Certain) -> Iterator[Violation]:
    """I12: ten seconds after the last fault, events arrive as fast as before the first."""
    spans = calm_spans(known.history)
    if spans is None:
        return
    first, last = spans
    found = latencies(known)
    before = [seconds for at, _, seconds in found if at < first]
    after = [seconds for at, _, seconds in found if at > last]
    if len(before) < ENOUGH or len(after) < ENOUGH:
        return
    was, is_now = percentile(before, 0.9), percentile(after, 0.9)
    if is_now > max(was * SLOWER, CALM) * busier(known.history):
        what = (
            f"events took {is_now:.2f} s {RECOVERY:.0f} s after the last fault, {was:.2f} s before the first"
        )
        yield Violation("I12", what, at=last)


def calm_spans(history: History) -> tuple[float, float] | None:
    """Until when it was calm before the first fault, and from when on after the last; None without faults."""
    if not history.faults:
        return None
    first = min(fault.begin for fault in history.faults)
    return first - 1.0, max(fault.end for fault in history.faults) + RECOVERY


def busier(history: History) -> float:
    """How many times as busy with other things, at least 1, the machine was after the last fault as before the first.

    It is told from how late we came ourselves; a hundredth of a second is nothing.
    """
    spans = calm_spans(history)
    if spans is None:
        return 1.0
    before = percentile((lag for at, lag in history.lags if at < spans[0]), 0.9) + 0.01
    after = percentile((lag for at, lag in history.lags if at > spans[1]), 0.9) + 0.01
    return max(after / before, 1.0)


def latencies(known: Certain) -> list[tuple[float, int, float]]:
    """(when a post was answered, who heard of it, seconds from its answer to its event), for streams that were up."""
    answered = {post.token: post for post in known.posts.values() if post.answered is not None}
    up: dict[tuple[int, str], float | None] = defaultdict(lambda: None)
    found = []
    for record in known.history.records:
        if isinstance(record, Connection):
            up[record.who, record.timeline] = None
        elif isinstance(record, Event):
            key = (record.who, record.timeline)
            if record.kind == "caught up" and up[key] is None:
                up[key] = record.at
            elif record.kind == "added" and record.entry and record.entry.by is None:
                post, since = answered.get(record.entry.token), up[key]
                if post is None or post.answered is None or since is None or since > post.begun:
                    continue
                if not known.history.impaired(record.who, None, post.begun, record.at):
                    found.append((post.answered, record.who, max(record.at - post.answered, 0.0)))
    return found
