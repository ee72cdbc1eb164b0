"""The loaders of one operation, made anew for each operation and each live event."""

from dataloaders import entries, posts, ties, users
from dataloaders.database import Session
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
        self.users: Loader[int, UserRow | None] = Loader(session, users.users_by_ids)
        self.user_ids: Loader[str, int | None] = Loader(session, users.user_ids_by_handles)
        # Of accounts by id and of posts by key: one statement for both.
        self.viewer_side: Loader[int | Pair, TieRow] = Loader(
            session, lambda db, keys: ties.viewer_side(db, viewer, keys)
        )
        self.followed_by: Loader[int, list[int]] = Loader(session, ties.followed_by)
        self.followers: Loader[Slice, list[SlicedUserRow]] = Loader(session, ties.followers)
        self.following: Loader[Slice, list[SlicedUserRow]] = Loader(session, ties.following)
        know_users = self.users.prime
        self.posts: Loader[Pair, PostRow | None] = Loader(
            session, lambda db, keys: posts.posts_by_keys(db, keys, know_users)
        )
        self.replies: Loader[Slice, list[SlicedPostRow]] = Loader(session, posts.replies)
        self.entries: Loader[EntryKey, EntryRow | None] = Loader(session, entries.entries_by_keys)
        self.own_posts: Loader[Slice, list[SlicedPostRow]] = Loader(session, entries.own_posts)
