"""The loaders of one operation, made anew for each operation and each live event."""

from collections.abc import Mapping, Sequence

from dataloaders import entries, posts, ties, users
from dataloaders.database import Session, Statements
from dataloaders.loader import Loader
from dataloaders.rows import (
    EntryKey,
    EntryRow,
    Pair,
    PostRow,
    SlicedPostRow,
    SlicedUserRow,
    TieRow,
    UserRow,
)
from dataloaders.slices import Slice

# Ids that no account has: what an anonymous viewer's loaders are bound to.
NOBODY = 0


class Loaders:
    """One loader per batch function. Values are as stored: the gate stands in resolvers/visibility.py."""

    def __init__(self, session: Session, viewer_id: int | None) -> None:
        viewer = NOBODY if viewer_id is None else viewer_id
        self._session = session
        self.users: Loader[int, UserRow | None] = Loader(session, users.users_by_ids)
        self.user_ids: Loader[str, int | None] = Loader(session, users.user_ids_by_handles)
        # Of accounts by id and of posts by key: one statement for both.
        self.viewer_side: Loader[int | Pair, TieRow] = Loader(
            session, lambda db, keys: ties.viewer_side(db, viewer, keys)
        )
        self.followed_by: Loader[int, list[int]] = Loader(session, ties.followed_by, gathers=False)
        self.followers: Loader[Slice, list[SlicedUserRow]] = Loader(session, ties.followers)
        self.following: Loader[Slice, list[SlicedUserRow]] = Loader(session, ties.following)
        know_users = self.users.prime
        self.posts: Loader[Pair, PostRow | None] = Loader(
            session, lambda db, keys: posts.posts_by_keys(db, keys, know_users)
        )
        self.replies: Loader[Slice, list[SlicedPostRow]] = Loader(session, posts.replies)
        self.entries: Loader[EntryKey, EntryRow | None] = Loader(session, entries.entries_by_keys)
        self.own_posts: Loader[Slice, list[SlicedPostRow]] = Loader(session, entries.own_posts)

    def shared(self, viewer_id: int | None, ties: Mapping[int | Pair, TieRow]) -> "Loaders":
        """Loaders that know the posts and accounts known here, and of the viewer these ties and no others."""
        made = Loaders(self._session, viewer_id)
        made.posts.learn(self.posts)
        made.users.learn(self.users)
        made.viewer_side = Loader(self._session, _unshared)
        made.viewer_side.prime(ties)
        return made


async def _unshared(_: Statements, keys: Sequence[int | Pair]) -> list[TieRow]:
    # Reading them for one viewer would tell all the others of it.
    raise LookupError(f"what is shared asked for ties that it does not have: {keys}")
