"""I5 to I7: no ghosts, nothing that is hidden, and everybody's own writes."""

from collections.abc import Iterable, Iterator, Mapping

from tests.chaos.certain import Certain, Post
from tests.chaos.history import HOME, OK, Event, Operation, author_of
from tests.chaos.rules_state import RECOVERY, busier
from tests.chaos.violation import Violation

# Seconds after an answer in which the old may still be shown.
GRACE = 1.0
# The promise is a second as well; a machine that is busy with 200 clients gets more before it is called a fault.
PROMPT = 3.0
# An event that came so long (seconds) after the way to the client was clear again did not wait under way.
SETTLED = 2.0


def no_ghosts(known: Certain) -> Iterator[Violation]:
    """I5: one second after a delete, block or unfollow was answered nothing shows the post; nothing revives it."""
    history = known.history
    for record in history.records:
        if not isinstance(record, (Operation, Event)) or not record.tokens:
            continue
        ghosts = list(_ghosts(known, record, record.at))
        if ghosts and (isinstance(record, Operation) or not _waited(known, record)):
            yield from ghosts
    for (who, timeline), records in history.streams().items():
        gone: dict[str, Event] = {}
        for one in records:
            if isinstance(one, Operation) or (isinstance(one, Event) and one.kind == "reset"):
                gone.clear()
            elif isinstance(one, Event) and one.kind == "removed" and one.post:
                gone[one.post] = one
            elif isinstance(one, Event) and one.kind == "added" and one.entry and one.entry.post in gone:
                token = one.entry.token
                post = known.posts.get(token)
                if post is not None and post.delete_begun is not None:
                    what = f"{token} was removed from client {who}'s {timeline} stream and came back"
                    yield Violation("I5", what, who, one.at, token)


def removals_are_told(known: Certain) -> Iterator[Violation]:
    """I5 as well: in calm times whoever holds a post is soon told that it was deleted."""
    deleted = {post.id: post for post in known.posts.values() if post.deleted is not None}
    for (_, timeline), records in known.history.streams().items():
        # By entry: its post, and since when this connection's list has had it.
        held: dict[str, tuple[str, float]] = {}
        for record in records:
            if isinstance(record, Event):
                if record.kind == "added" and record.entry:
                    held[record.entry.id] = record.entry.post, record.at
                elif record.kind == "removed":
                    gone = {
                        id for id, (post, _) in held.items() if id == record.entry_id or post == record.post
                    }
                    yield from _too_late(known, timeline, [held.pop(id) for id in gone], deleted, record)
                elif record.kind == "reset":
                    yield from _too_late(known, timeline, held.values(), deleted, record)
                    held.clear()
            elif isinstance(record, Operation):
                held = {entry.id: (entry.post, record.end) for entry in record.entries}
            else:
                # What a connection that ended did not tell is told by the next.
                held.clear()


def _too_late(
    known: Certain,
    timeline: str,
    held: Iterable[tuple[str, float]],
    deleted: Mapping[str, Post],
    event: Event,
) -> Iterator[Violation]:
    who = event.who
    for id, since in held:
        post = deleted.get(id)
        if post is None or post.deleted is None or since > post.deleted:
            continue
        late = event.at - post.deleted
        calm = not any(
            fault.begin <= event.at and post.deleted - RECOVERY <= fault.end for fault in known.history.faults
        )
        if late <= PROMPT * busier(known.history) or not calm:
            continue
        if not known.history.impaired(who, event.worker, post.deleted, event.at):
            what = f"client {who}'s {timeline} stream told {late:.2f} s late that {post.token} was deleted"
            yield Violation("I5", what, who, event.at, post.token)


def _waited(known: Certain, event: Event) -> bool:
    """Whether the event may have been sent long before it arrived."""
    return known.history.impaired(event.who, event.worker, event.at - SETTLED, event.at)


def _ghosts(known: Certain, record: Operation | Event, shown: float) -> Iterator[Violation]:
    """Posts in what was sent that were gone for longer than the grace when it can have been made at the earliest."""
    where = f"{record.timeline} stream" if isinstance(record, Event) else f"answer to {record.what}"
    entries = record.entries if isinstance(record, Operation) else (record.entry,) if record.entry else ()
    for token in record.tokens:
        post = known.posts.get(token)
        # Who deletes a post may be answered with it as often as they ask.
        if post is not None and post.deleted is not None and shown - post.deleted > GRACE:
            if isinstance(record, Operation) and record.token == token and record.what in ("post", "reply"):
                continue
            late = f"{shown - post.deleted:.2f} s after it was deleted"
            yield Violation(
                "I5", f"client {record.who}'s {where} shows {token} {late}", record.who, shown, token
            )
    if not (isinstance(record, Event) and record.timeline == HOME) and getattr(record, "what", "") != HOME:
        return
    for entry in entries:
        author = author_of(entry.token)
        if entry.by is not None or author == record.who:
            continue
        since = known.since("unfollow", record.who, author, shown)
        if since is not None and shown - since > GRACE:
            late = f"{shown - since:.2f} s after its author was unfollowed"
            what = f"client {record.who}'s {where} shows {entry.token} {late}"
            yield Violation("I5", what, record.who, shown, entry.token)


def nothing_leaks(known: Certain) -> Iterator[Violation]:
    """I6: no byte sent to somebody is of a post that a block hides; a read shows it not even at once."""
    history = known.history
    for record in history.records:
        if not isinstance(record, (Operation, Event)) or not record.tokens:
            continue
        grace = GRACE if isinstance(record, Event) else 0.0
        hidden = {}
        for author in {author_of(token) for token in record.tokens} - {record.who}:
            since = known.blocked_since(record.who, author, record.at)
            if since is None or record.at - since <= grace:
                continue
            # A read that lasts may see that the block was lifted while it did.
            if isinstance(record, Operation) and known.tie_moved(record.who, author, record.at, record.end):
                continue
            hidden[author] = record.at - since
        if hidden and isinstance(record, Event) and _waited(known, record):
            continue
        for token in sorted(token for token in record.tokens if author_of(token) in hidden):
            late = f"{hidden[author_of(token)]:.2f} s after a block was answered"
            what = f"client {record.who} was sent {token} {late}"
            yield Violation("I6", what, record.who, record.at, token)


def own_writes_are_read(known: Certain) -> Iterator[Violation]:
    """I7: what somebody did, and was answered, shows in all that they read afterwards, on any worker."""
    for read in known.history.operations("look", "look at account", HOME):
        if read.outcome != OK:
            continue
        if read.what == HOME:
            yield from _own_posts_missing(known, read)
        elif read.what == "look":
            yield from _look_at_post(known, read)
        elif read.found is not None:
            follows = known.since("follow", read.who, read.whom, read.at)
            if follows is not None and any(
                known.tried("block", *pair, follows, read.end)
                for pair in ((read.who, read.whom), (read.whom, read.who))
            ):
                follows = None
            unfollowed = known.since("unfollow", read.who, read.whom, read.at) is not None
            if (follows is not None and not read.found["following"]) or (
                unfollowed and read.found["following"]
            ):
                what = f"client {read.who} followed or unfollowed {read.whom} and read {read.found}"
                yield Violation("I7", what, read.who, read.end)


def _look_at_post(known: Certain, read: Operation) -> Iterator[Violation]:
    post = known.posts.get(read.token)
    if post is None or (post.author != read.who and read.found is None):
        return
    told = f"client {read.who} read {read.token} as {read.found}"
    if post.author == read.who and post.answered is not None and post.answered <= read.at:
        if read.found is None and post.delete_begun is None:
            yield Violation("I7", f"{told}, though it was written", read.who, read.end, read.token)
        if read.found is not None and post.deleted is not None and post.deleted <= read.at:
            yield Violation("I7", f"{told}, though it was deleted", read.who, read.end, read.token)
    for flag, on, off in (("liked", "like", "unlike"), ("reposted", "repost", "undo")):
        if read.found is None:
            continue
        wrong = off if read.found[flag] else on
        if known.since(wrong, read.who, read.token, read.at) is not None:
            yield Violation("I7", f"{told} after {wrong} was answered", read.who, read.end, read.token)


def _own_posts_missing(known: Certain, page: Operation) -> Iterator[Violation]:
    if page.follows_page and page.call != page.follows_page:
        return
    lowest = min((entry.sort_key for entry in page.entries), default="") if page.more else ""
    shown = page.tokens
    for post in known.own_posts(page.who):
        if post.answered is None or post.answered > page.at or post.delete_begun is not None:
            continue
        if post.sort_key > lowest and post.token not in shown:
            what = f"client {page.who}'s home page lacks their own {post.token}"
            yield Violation("I7", what, page.who, page.end, post.token)
