"""I1 to I4: what reaches timelines and streams, how often, in which order, and what it adds up to."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.certain import Certain, Post
from tests.chaos.history import HOME, PUBLIC, Connection, Entry, Event, Operation, Record, Screen
from tests.chaos.violation import Violation

Segment = list[Event]


def nothing_is_lost(known: Certain) -> Iterator[Violation]:
    """I1: every post that is there is in each follower's timeline, and came by their stream or with its page."""
    final = known.history.final
    there = [post for post in final.posts if not post.deleted and not post.is_reply and post.token]
    followers = defaultdict(set)
    for follower, followee in final.follows:
        followers[followee].add(follower)
    streams = known.history.streams()
    seen = {key: _entries_seen(records) for key, records in streams.items()}
    for (who, timeline), fresh in final.fresh.items():
        shown = {entry.token for entry in fresh.entries.values() if entry.by is None}
        told = seen.get((who, timeline), set())
        begun = _begun(streams.get((who, timeline), []))
        for post in there:
            if timeline == HOME and who != post.author and who not in followers[post.author]:
                continue
            if {(who, post.author), (post.author, who)} & final.blocks:
                continue
            what = f"client {who}'s {timeline} timeline"
            if post.sort_key >= fresh.floor and post.token not in shown:
                yield Violation("I1", f"{what} lacks {post.token}", who, known.history.ended, post.token)
                continue
            wrote = known.posts.get(post.token)
            if wrote is None or begun is None or wrote.begun < begun or post.token in told:
                continue
            if wrote.answered is None or _begun_anew(streams[who, timeline], wrote):
                continue
            if _had_to_be_told(known, who, timeline, wrote):
                yield Violation(
                    "I1", f"{what} was never told of {post.token}", who, wrote.answered, post.token
                )


def _had_to_be_told(known: Certain, who: int, timeline: str, post: Post) -> bool:
    if timeline == PUBLIC:
        return not known.tie_moved(who, post.author, post.begun, float("inf"))
    return who == post.author or known.followed_throughout(who, post.author, post.begun)


def _entries_seen(records: list[Record]) -> set[str]:
    seen = set()
    for record in records:
        if isinstance(record, Event) and record.kind == "added" and record.entry is not None:
            seen.add(record.entry.token)
        elif isinstance(record, Operation):
            seen.update(entry.token for entry in record.entries)
    return seen


def _begun_anew(records: list[Record], post: Post) -> bool:
    """Whether the list began anew with a page that ends above the post and was, or may have been, read after it."""
    return any(
        isinstance(record, Operation)
        and post.answered is not None
        and (record.end >= post.begun if post.doubtful else record.at >= post.answered)
        and record.more
        and post.sort_key < min((entry.sort_key for entry in record.entries), default="")
        for record in records
    )


def _begun(records: list[Record]) -> float | None:
    """When the client had its list and its stream for the first time."""
    fetched = False
    for record in records:
        fetched = fetched or isinstance(record, Operation)
        if fetched and isinstance(record, Connection) and record.up:
            return record.at
    return None


def nothing_comes_twice(known: Certain) -> Iterator[Violation]:
    """I2: no entry twice in a page, across pages, or in a stream unless it was removed in between."""
    pages: dict[tuple[int, int], dict[str, Operation]] = defaultdict(dict)
    for page in known.history.operations("home", "public"):
        ids = [entry.id for entry in page.entries]
        for id in {id for id in ids if ids.count(id) > 1} if len(set(ids)) < len(ids) else ():
            yield Violation("I2", f"entry {id} is twice in a page", page.who, page.end)
        earlier = pages[page.who, page.follows_page] if page.follows_page else {}
        for id in ids:
            if id in earlier:
                yield Violation("I2", f"entry {id} is in two pages of a row", page.who, page.end)
        if page.follows_page:
            earlier.update(dict.fromkeys(ids, page))
    for (who, timeline), segments in _segments(known).items():
        for segment in segments:
            yield from _twice(who, timeline, segment)


def _twice(who: int, timeline: str, segment: Segment) -> Iterator[Violation]:
    added: dict[str, Event] = {}
    # Posts of which some entry left: the repost that it covered comes back as it was.
    moved: set[str] = set()
    for event in segment:
        if event.kind == "removed":
            gone = added.pop(event.entry_id, None)
            if gone is not None and gone.entry is not None:
                moved.add(gone.entry.post)
            if event.post:
                added = {id: one for id, one in added.items() if one.entry and one.entry.post != event.post}
        elif event.kind == "added" and event.entry is not None:
            entry, before = event.entry, added.get(event.entry.id)
            # Uncovered reposts are told by each event that uncovers them; a post itself comes once.
            if before is not None and entry.by is None:
                what = f"{entry.token} came twice in client {who}'s {timeline} stream"
                yield Violation(
                    "I2", f"{what}, first by stream {before.connection}", who, event.at, entry.token
                )
            added[entry.id] = event


def nothing_is_out_of_order(known: Certain) -> Iterator[Violation]:
    """I3: within an author, no stream skips or reorders unless it says Reset."""
    for (who, timeline), segments in _segments(known).items():
        for segment in segments:
            yield from _order(known, who, timeline, segment)
    for record in known.history.records:
        if isinstance(record, Connection) and "INVALID_CURSOR" in record.note:
            what = f"client {record.who}'s {record.timeline} cursor {record.after} was refused"
            yield Violation("I3", what, record.who, record.at)


def _order(known: Certain, who: int, timeline: str, segment: Segment) -> Iterator[Violation]:
    came = {event.entry.token for event in segment if event.kind == "added" and event.entry}
    # Of each author the post that was begun last of those that came, and its event.
    newest: dict[int, tuple[Post, Event]] = {}
    stream = f"client {who}'s {timeline} stream"
    for event in segment:
        entry = event.entry
        post = known.posts.get(entry.token) if event.kind == "added" and entry and entry.by is None else None
        if post is None or post.answered is None or post.is_reply:
            continue
        if post.author not in newest:
            newest[post.author] = post, event
            continue
        before, its_event = newest[post.author]
        # Somebody may write two at once: only what was answered before the other began has an order.
        if before.token != post.token and post.answered <= before.begun:
            yield Violation(
                "I3", f"{post.token} came after {before.token} in {stream}", who, event.at, post.token
            )
        for skipped in known.own_posts(post.author):
            if skipped.answered is None or skipped.is_reply or skipped.token in came:
                continue
            if before.answered is None or before.answered > skipped.begun or skipped.answered > post.begun:
                continue
            if not _may_be_missing(known, who, skipped, its_event, event):
                what = f"{stream} skips {skipped.token} between {before.token} and {post.token}"
                yield Violation("I3", what, who, event.at, skipped.token)
        if post.begun > before.begun:
            newest[post.author] = post, event


def _may_be_missing(known: Certain, who: int, post: Post, before: Event, after: Event) -> bool:
    """Whether a stream may tell nothing of a post: it was deleted, or hidden for a while."""
    if post.delete_begun is not None and post.delete_begun < after.at:
        return True
    return known.tie_moved(who, post.author, before.at, after.at)


def _segments(known: Certain) -> dict[tuple[int, str], list[Segment]]:
    """The events of each stream, divided by Resets and by pages with which the list began anew."""
    found: dict[tuple[int, str], list[Segment]] = {}
    for key, records in known.history.streams().items():
        segments: list[Segment] = [[]]
        for record in records:
            if isinstance(record, Operation) or (isinstance(record, Event) and record.kind == "reset"):
                segments.append([])
            elif isinstance(record, Event):
                segments[-1].append(record)
        found[key] = segments
    return found


def lists_add_up(known: Certain) -> Iterator[Violation]:
    """I4: in the end what a client holds is what fresh pages have."""
    final = known.history.final
    for (who, timeline), held in final.held.items():
        fresh = final.fresh.get((who, timeline))
        if fresh is None:
            continue
        floor = max(held.floor, fresh.floor)
        mine, theirs = _above(held, floor), _above(fresh, floor)
        if mine == theirs:
            continue
        for id in sorted(mine.keys() | theirs.keys()):
            if mine.get(id) != theirs.get(id):
                there = f"held {mine.get(id)}, on the page {theirs.get(id)}"
                token = (mine.get(id) or theirs[id]).token
                at = _last_about(known, who, token)
                yield Violation("I4", f"client {who}'s {timeline} list, entry {id}: {there}", who, at, token)


def _above(screen: Screen, floor: str) -> dict[str, Entry]:
    return {id: entry for id, entry in screen.entries.items() if entry.sort_key >= floor}


def _last_about(known: Certain, who: int, token: str) -> float:
    """When the client last heard of a post by its stream; the end when never."""
    times = [
        record.at
        for record in known.history.records
        if isinstance(record, Event) and record.who == who and token in record.tokens
    ]
    return max(times, default=known.history.ended)
