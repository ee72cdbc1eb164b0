"""What happened, as keys: announced in the transaction that makes it happen, delivered from the log."""

from typing import NamedTuple

from dataloaders.database import Statements
from dataloaders.log import LOG
from dataloaders.rows import EntryRow, LogRow, PostKey, PostRow

ENTRY_ADDED = "entry_added"
ENTRY_REMOVED = "entry_removed"
POST_REMOVED = "post_removed"
POST_CHANGED = "post_changed"
TIES_CHANGED = "ties_changed"
SESSION_REVOKED = "session_revoked"


class EntryEvent(NamedTuple):
    """An entry came or went: everything about it, so that it need not be there any more."""

    entry: EntryRow


class PostEvent(NamedTuple):
    """A post went or changed; the entry is the one of the owner under whom this was logged.

    `change` is another one for each change of a post that was reposted: several owners' logs carry the same one.
    """

    post: PostKey
    entry: tuple[int, int] | None
    change: int = 0


def entry_event(row: LogRow) -> EntryEvent:
    """Read an entry_added or entry_removed event."""
    return EntryEvent(EntryRow(*row.data["entry"]))


def post_event(row: LogRow) -> PostEvent:
    """Read a post_removed or post_changed event."""
    entry = row.data.get("entry")
    return PostEvent(PostKey(*row.data["post"]), tuple(entry) if entry else None, row.data.get("change") or 0)


async def announce_entry(tx: Statements, kind: str, entry: EntryRow) -> None:
    """An entry came into, or left, the timelines of its actor's audience."""
    public = not entry.is_repost and entry.reply_to_author_id is None
    await tx.run(LOG["announce"], entry.actor_id, kind, public, {"entry": list(entry)})


async def announce_removed_post(tx: Statements, post: PostRow) -> None:
    """A post was deleted: its author's audience is told, and a job tells the audiences of its reposters."""
    data = {"post": list(post.key), "entry": list(post.key)}
    await tx.run(LOG["announce"], post.author_id, POST_REMOVED, post.reply_to_id is None, data)
    if post.repost_count:
        await tx.run(LOG["insert_fanout"], post.author_id, post.id, POST_REMOVED)


async def announce_changed_post(tx: Statements, key: PostKey) -> None:
    """A post's counters moved; told at most once a second."""
    await tx.run(LOG["announce_change"], *key)


async def announce_ties(tx: Statements, *user_ids: int, block: bool) -> None:
    """What comes into these accounts' timelines changed; with a block, into the public one too."""
    for user_id in sorted(user_ids):
        await tx.run(LOG["announce"], user_id, TIES_CHANGED, False, {"block": block})


async def announce_revoked_session(tx: Statements, user_id: int, session_id: int) -> None:
    """A session is over: all workers refuse its access tokens."""
    await tx.run(LOG["announce"], user_id, SESSION_REVOKED, False, {"session": session_id})
