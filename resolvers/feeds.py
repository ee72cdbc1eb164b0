"""What is delivered of a timeline: events that are due, and what they mean to those who watch it."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from dataloaders.rows import EntryKey, LogRow, Pair, PostKey, Relation
from resolvers import events as what
from resolvers.context import Reader
from resolvers.timelines import HOME
from resolvers.visibility import Sight, VisibleEntry, VisiblePost

__all__ = [
    "Added",
    "Asked",
    "Changes",
    "Due",
    "Happening",
    "Meaning",
    "Relation",
    "Removed",
    "Told",
    "Updated",
    "resets",
]

# Posts whose newest change is remembered with who was told, so that a change is told once; forgetting repeats it.
REMEMBERED = 500


class Added(NamedTuple):
    """An entry came in; clients add or replace it by its id."""

    cursor: str
    entry: VisibleEntry


class Updated(NamedTuple):
    """A post's counters moved."""

    cursor: str
    post: VisiblePost


class Removed(NamedTuple):
    """An entry left; `post` is set when the post itself is gone."""

    cursor: str
    entry: EntryKey
    post: PostKey | None


Happening = Added | Updated | Removed


R = TypeVar("R", bound=Reader)


class Due(NamedTuple, Generic[R]):
    """An event, and those whom it concerns."""

    row: LogRow
    readers: Sequence[R]


class Told(NamedTuple, Generic[R]):
    """What is told, to whom. `cause` is the event's number, `number` the cursor's: it passes the cause at its last.

    `change`: see PostEvent.
    """

    happening: Happening
    cause: int
    number: int
    readers: Sequence[R]
    change: int = 0

    def as_event(self, cursor: str) -> Happening:
        """The happening with its cursor."""
        return self.happening._replace(cursor=cursor)

    def about(self) -> list[int | Pair]:
        """The accounts and posts that it shows, those that its post answers included."""
        if isinstance(self.happening, Removed):
            return []
        keys: dict[int | Pair, None] = {}
        if isinstance(self.happening, Added):
            post = self.happening.entry.post
            keys[self.happening.entry.row.actor_id] = None
        else:
            post = self.happening.post
        for key in (post.key, post.reply_to):
            if key is not None:
                keys[key.author_id] = keys[key] = None
        return list(keys)


class Asked(NamedTuple):
    """What an operation's answers depend on: `relations` of the viewer, which are read for all readers at once.

    `answered`: on posts that others answer, too. `own`: on whether the post is the viewer's.
    """

    relations: Relation = Relation(0)
    answered: bool = False
    own: bool = False

    def __or__(self, other: "Asked") -> "Asked":
        return Asked(self.relations | other.relations, self.answered or other.answered, self.own or other.own)

    @property
    def marks(self) -> bool:
        """Whether more is asked than who blocks whom."""
        return bool(self.relations & ~(Relation.BLOCKED_BY_VIEWER | Relation.BLOCKS_VIEWER))


class Meaning(NamedTuple, Generic[R]):
    """What some events mean, in their order, and what was read for it."""

    told: list[Told[R]]
    sight: Sight


def resets(row: LogRow, kind: str, viewer_id: int | None) -> bool:
    """Whether the event changes more of the viewer's timeline than events can tell."""
    return (
        row.kind == what.TIES_CHANGED
        and row.owner_id == viewer_id
        and (kind == HOME or bool(row.data["block"]))
    )


class Changes(Generic[R]):
    """Who was told which change of counters: it is logged under the author and under each reposter.

    Changes are told apart and not ordered: their numbers are times of the database, whose clock may be set back.
    """

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[PostKey, int], set[R]] = OrderedDict()

    def news(self, post: PostKey, change: int, readers: Sequence[R]) -> Sequence[R]:
        """Those to whom it was not told. Changes without a number are logged once."""
        told = self._told.get((post, change)) if change else None
        return [reader for reader in readers if reader not in told] if told else readers

    def note(self, post: PostKey, change: int, readers: Iterable[R]) -> None:
        """They were told."""
        if change:
            self._told.setdefault((post, change), set()).update(readers)
            if len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
