"""What a campaign records: what each client did and was told, when, and what was left in the end.

Clients are numbers; times are seconds of one monotonic clock. Every post has a token, a word that occurs nowhere else:
it stands in the text, is the idempotency key, and is looked for in every byte that a client gets.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

TOKEN = re.compile(r"zq[0-9]{4}x[0-9]{6}")
HOME, PUBLIC = "home", "public"
# What became of an attempt. `UNKNOWN`: no answer, or one that says nothing about whether it was done.
OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"


def token_of(author: int, nth: int) -> str:
    """The word for an author's nth post."""
    return f"zq{author:04}x{nth:06}"


def author_of(token: str) -> int:
    """Who wrote the post with this token."""
    return int(token[2:6])


class Entry(NamedTuple):
    """A timeline's entry as a client was told of it. `by`: who reposted it."""

    id: str
    sort_key: str
    post: str
    token: str
    by: int | None = None
    likes: int = 0
    reposts: int = 0
    replies: int = 0
    # The viewer's own like; None when it was not asked for.
    liked: bool | None = None


@dataclass(slots=True)
class Operation:
    """One attempt at a query or mutation. Repeats of one have the same `call`."""

    at: float
    end: float
    who: int
    what: str
    call: int
    outcome: str
    worker: int = 0
    # The post that it is about; for ties the account.
    token: str = ""
    whom: int = -1
    post: str = ""
    sort_key: str = ""
    # What a page had, and whether this client's list was begun anew with it.
    entries: tuple[Entry, ...] = ()
    fetched: str = ""
    more: bool = False
    follows_page: int = 0
    # What a look at a post or account found; None when it was not there.
    found: dict[str, bool] | None = None
    note: str = ""
    tokens: frozenset[str] = frozenset()

    def told(self) -> str:
        """In a line."""
        about = self.token or (f"client {self.whom}" if self.whom >= 0 else "")
        rest = f" {len(self.entries)} entries" if self.entries else ""
        anew = f" (list of {self.fetched} begun anew)" if self.fetched else ""
        found = f" found {self.found}" if self.what.startswith("look") else ""
        return (
            f"{self.what} {about}{rest}{anew}{found} -> {self.outcome} {self.note} "
            f"after {self.end - self.at:.3f} s at worker {self.worker}"
        )


@dataclass(slots=True)
class Event:
    """A live event as it arrived. `kind`: added, removed, updated, reset, caught up."""

    at: float
    who: int
    timeline: str
    connection: int
    kind: str
    cursor: str
    worker: int = 0
    entry: Entry | None = None
    # For a removal: the entry, and the post when that is gone; for an update: the post.
    entry_id: str = ""
    post: str = ""
    tokens: frozenset[str] = frozenset()

    def told(self) -> str:
        """In a line."""
        words = [f"{self.timeline} stream {self.connection} of worker {self.worker}: {self.kind}"]
        if self.entry is not None:
            words.append(self.entry.token + (f" by {self.entry.by}" if self.entry.by is not None else ""))
        words += [f"entry {self.entry_id}"] if self.entry_id else []
        words += [f"post {self.post}"] if self.post else []
        words += sorted(self.tokens) if self.entry is None else []
        return " ".join([*words, f"cursor {self.cursor}"])


@dataclass(slots=True)
class Connection:
    """A stream's connection came up or went away."""

    at: float
    who: int
    timeline: str
    connection: int
    up: bool
    worker: int = 0
    after: str = ""
    note: str = ""

    def told(self) -> str:
        """In a line."""
        what = f"subscribed after {self.after or 'nothing'}" if self.up else "gone"
        return f"{self.timeline} stream {self.connection} of worker {self.worker} {what} {self.note}"


Record = Operation | Event | Connection


class Fault(NamedTuple):
    """What was done to the servers, from when until when."""

    name: str
    begin: float
    end: float


class Impairment(NamedTuple):
    """A time in which what was sent to clients may have waited under way: all, those of a worker, or one."""

    begin: float
    end: float
    worker: int | None = None
    client: int | None = None


class StoredPost(NamedTuple):
    """A row of posts in the end; `key` is its idempotency key."""

    author: int
    id: str
    key: str
    token: str
    sort_key: str
    is_reply: bool
    deleted: bool


class Miscount(NamedTuple):
    """A counter that is not what the rows say."""

    what: str
    stored: int
    recomputed: int


class Screen(NamedTuple):
    """A list as a client holds it, or as fresh pages have it, down to the sort key `floor`."""

    floor: str
    entries: dict[str, Entry]


@dataclass
class Final:
    """What was there when all was quiet."""

    posts: list[StoredPost] = field(default_factory=list)
    miscounts: list[Miscount] = field(default_factory=list)
    follows: set[tuple[int, int]] = field(default_factory=set)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    likes: set[tuple[int, str]] = field(default_factory=set)
    reposts: set[tuple[int, str]] = field(default_factory=set)
    held: dict[tuple[int, str], Screen] = field(default_factory=dict)
    fresh: dict[tuple[int, str], Screen] = field(default_factory=dict)
    # What should be small again once all clients have left: (value, the most that is right).
    gauges: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class History:
    """Everything recorded in one campaign."""

    clients: int
    records: list[Record] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    impairments: list[Impairment] = field(default_factory=list)
    follows: set[tuple[int, int]] = field(default_factory=set)
    final: Final = field(default_factory=Final)
    # Clients had come by `began`, and stopped doing things at `ended`.
    began: float = 0.0
    ended: float = 0.0
    # How late (seconds) this process itself came to do something, and when: it says how busy the machine was.
    lags: list[tuple[float, float]] = field(default_factory=list)
    # Impairments by worker and client, as long as there are so many.
    _spans: dict[tuple[int | None, int | None], list[tuple[float, float]]] = field(default_factory=dict)
    _spans_of: int = 0

    def add(self, record: Record) -> None:
        """Record something."""
        self.records.append(record)

    def operations(self, *whats: str) -> Iterator[Operation]:
        """Attempts at these, or at anything, in the order in which they ended."""
        for record in self.records:
            if isinstance(record, Operation) and (not whats or record.what in whats):
                yield record

    def streams(self) -> dict[tuple[int, str], list[Record]]:
        """By client and timeline: the stream's connections, its events and the pages that began the list anew."""
        found: dict[tuple[int, str], list[Record]] = {}
        for record in self.records:
            if isinstance(record, Operation):
                if record.fetched and record.outcome == OK:
                    found.setdefault((record.who, record.fetched), []).append(record)
            else:
                found.setdefault((record.who, record.timeline), []).append(record)
        return found

    def impaired(self, who: int, worker: int | None, begin: float, end: float) -> bool:
        """Whether something sent to the client from this worker may have waited under way; None: by their own doing."""
        if self._spans_of != len(self.impairments):
            self._spans_of, self._spans = len(self.impairments), defaultdict(list)
            for one in sorted(self.impairments, key=lambda one: one.begin):
                spans = self._spans[one.worker, one.client]
                # Joined where they overlap, so that only one has to be looked at.
                if spans and one.begin <= spans[-1][1]:
                    spans[-1] = spans[-1][0], max(spans[-1][1], one.end)
                else:
                    spans.append((one.begin, one.end))
        for key in {(None, None), (worker, None), (None, who)}:
            spans = self._spans.get(key, [])
            last = bisect_right(spans, (end, float("inf"))) - 1
            if last >= 0 and spans[last][1] >= begin:
                return True
        return False

    def around(self, who: int, at: float, many: int = 10) -> list[str]:
        """A client's history about a moment, as lines: so many records before and after."""
        mine = sorted((record for record in self.records if record.who == who), key=_moment)
        before = [record for record in mine if _moment(record) < at][-many:]
        then = [record for record in mine if _moment(record) == at]
        after = [record for record in mine if _moment(record) > at][:many]
        return [f"{_moment(one) - self.began:9.3f}  {one.told()}" for one in (*before, *then, *after)]

    def faults_at(self, at: float) -> list[str]:
        """What was being done to the servers at a moment."""
        return [fault.name for fault in self.faults if fault.begin <= at <= fault.end]


def _moment(record: Record) -> float:
    return record.end if isinstance(record, Operation) else record.at


def tokens_in(text: str) -> frozenset[str]:
    """All tokens in what a client received."""
    return frozenset(TOKEN.findall(text))


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which that share lies; 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
