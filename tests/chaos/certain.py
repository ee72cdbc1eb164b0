"""What is certain about posts and ties, though answers were lost: only that may be held against the servers.

An attempt without an answer may have been done at any time up to ZOMBIE seconds after it began, also after later
attempts: its bytes may have waited in a network that somebody held up.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.history import OK, REFUSED, UNKNOWN, History, Operation, StoredPost

# Seconds: an operation's own limit is 10, and no fault holds up bytes for longer than 15.
ZOMBIE = 25.0
OPPOSITES = {
    "follow": "unfollow",
    "unfollow": "follow",
    "block": "unblock",
    "unblock": "block",
    "like": "unlike",
    "unlike": "like",
    "repost": "undo",
    "undo": "repost",
}


@dataclass(slots=True)
class Post:
    """A post that an author tried to write: from the first attempt to the answer that it was done."""

    token: str
    author: int
    begun: float
    id: str = ""
    sort_key: str = ""
    # When it was answered; None when it never was.
    answered: float | None = None
    is_reply: bool = False
    # Whether some attempt had no answer: it may have been written by that one, long before it was answered.
    doubtful: bool = False
    # When deleting it was tried first, and when that was answered first.
    delete_begun: float | None = None
    deleted: float | None = None


class Certain:
    """What follows from a history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.posts: dict[str, Post] = {}
        self._by_author: dict[int, list[Post]] = defaultdict(list)
        self.stored: dict[str, StoredPost] = {post.key: post for post in history.final.posts if post.key}
        # Attempts by (what, who, whom or token), by their begin.
        self._attempts: dict[tuple[str, int, object], list[Operation]] = defaultdict(list)
        for operation in history.operations():
            self._take(operation)

    def _take(self, operation: Operation) -> None:
        if operation.what in ("post", "reply"):
            post = self.posts.get(operation.token)
            if post is None:
                post = self.posts[operation.token] = Post(operation.token, operation.who, operation.at)
                self._by_author[operation.who].append(post)
            post.is_reply = operation.what == "reply"
            post.begun = min(post.begun, operation.at)
            post.doubtful |= operation.outcome == UNKNOWN
            if operation.outcome == OK:
                post.id, post.sort_key = operation.post, operation.sort_key or post.sort_key
                post.answered = min(operation.end, post.answered or operation.end)
        elif operation.what == "delete" and operation.token in self.posts:
            post = self.posts[operation.token]
            post.delete_begun = min(operation.at, post.delete_begun or operation.at)
            if operation.outcome == OK:
                post.deleted = min(operation.end, post.deleted or operation.end)
        if operation.what in OPPOSITES:
            key = (operation.what, operation.who, operation.whom if operation.whom >= 0 else operation.token)
            insort(self._attempts[key], operation, key=lambda one: one.at)

    def since(self, what: str, who: int, whom: int | str, at: float) -> float | None:
        """Since when this has certainly held up to a moment; None if it is not certain.

        It holds from the answer of what brought it about.
        """
        begun = [one for one in self._attempts[what, who, whom] if one.outcome == OK and one.end <= at]
        if not begun:
            return None
        done = max(begun, key=lambda one: one.end)
        barrier = 0.0
        for undone in self._attempts[OPPOSITES[what], who, whom]:
            if undone.outcome == REFUSED or undone.at > at:
                continue
            over = undone.end if undone.outcome == OK else undone.at + ZOMBIE
            if over > done.at:
                return None
            barrier = max(barrier, over)
        return min(one.end for one in begun if one.at >= barrier)

    def tried(self, what: str, who: int, whom: int | str, begin: float, end: float) -> bool:
        """Whether this may have happened in a time, also by an attempt from before it that had no answer."""
        return any(
            one.outcome != REFUSED
            and one.at <= end
            and (one.at + ZOMBIE if one.outcome == UNKNOWN else one.end) >= begin
            for one in self._attempts[what, who, whom]
        )

    def own_posts(self, who: int) -> list[Post]:
        """What somebody wrote."""
        return self._by_author[who]

    def last_changes(self) -> Iterator[Operation]:
        """Of each like, repost, follow and block the attempt that was answered last."""
        for (what, who, about), attempts in list(self._attempts.items()):
            if what not in ("like", "repost", "follow", "block"):
                continue
            both = [*attempts, *self._attempts[OPPOSITES[what], who, about]]
            done = [one for one in both if one.outcome == OK]
            if done:
                yield max(done, key=lambda one: one.end)

    def blocked_since(self, one: int, other: int, at: float) -> float | None:
        """Since when a block in either direction has certainly held."""
        found = [self.since("block", *pair, at) for pair in ((one, other), (other, one))]
        certain = [since for since in found if since is not None]
        return min(certain) if certain else None

    def tie_moved(self, one: int, other: int, begin: float, end: float) -> bool:
        """Whether anything between two accounts may have changed in a time."""
        return any(
            self.tried(what, *pair, begin, end)
            for what in ("follow", "unfollow", "block", "unblock")
            for pair in ((one, other), (other, one))
        )

    def followed_throughout(self, follower: int, followee: int, begin: float) -> bool:
        """Whether somebody has certainly followed another from a moment to the end."""
        if (follower, followee) not in self.history.final.follows:
            return False
        return not self.tie_moved(follower, followee, begin, float("inf"))
