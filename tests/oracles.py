"""What the lists of a network must be, in the plainest words, and pages compared with it.

Nothing here knows how the application does it: every list is computed whole, from a `Network`'s data, as the rules
are written, and a page is cut from it.
"""

import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tests.networks import At, Network, Post, Repost

DAY = timedelta(hours=24)


class Truth(NamedTuple):
    """An item of a list: its place (lists run from small places to large ones) and how a client sees it."""

    place: tuple[int, int]
    shown: tuple[str | None, ...]


def _newest_first(network: Network, at: At, handle: str, *shown: str | None) -> Truth:
    return Truth((-at.id, -network.ids[handle]), shown)


def _sees(network: Network, viewer: str | None, post: Post) -> bool:
    return post not in network.deleted and not network.hides(viewer, post.author)


def home(network: Network, viewer: str) -> list[Truth]:
    """The home timeline, whole."""
    followed = {other for one, other in network.follows if one == viewer}
    come_in = followed | {viewer}

    def comes_in_by_itself(post: Post) -> bool:
        if post.author not in come_in:
            return False
        if post.answers is None or post.author == viewer:
            return True
        return post.answers.author in {post.author, viewer} | followed

    def just_before(earlier: tuple[At, str], later: tuple[At, str]) -> bool:
        (one, one_by), (other, other_by) = earlier, later
        before = (one.id, network.ids[one_by]) < (other.id, network.ids[other_by])
        return before and other.time - one.time <= DAY

    def left_out(repost: Repost) -> bool:
        post, moment = repost.post, (repost.at, repost.actor)
        if comes_in_by_itself(post) and just_before((post.at, post.author), moment):
            return True
        return any(
            other.post is post and other.actor in come_in and just_before((other.at, other.actor), moment)
            for other in network.reposts
        )

    truths = [
        _newest_first(network, post.at, post.author, post.text, None, post.at.printed)
        for post in network.posts
        if _sees(network, viewer, post) and comes_in_by_itself(post)
    ]
    truths += [
        _newest_first(network, repost.at, repost.actor, repost.post.text, repost.actor, repost.at.printed)
        for repost in network.reposts
        if repost.actor in come_in and _sees(network, viewer, repost.post) and not left_out(repost)
    ]
    return sorted(truths)


def public(network: Network, viewer: str | None) -> list[Truth]:
    """The public timeline, whole."""
    return sorted(
        _newest_first(network, post.at, post.author, post.text, None, post.at.printed)
        for post in network.posts
        if post.answers is None and _sees(network, viewer, post)
    )


def posts_of(network: Network, viewer: str | None, author: str) -> list[Truth]:
    """An account's own posts, whole."""
    return sorted(
        _newest_first(network, post.at, author, post.text)
        for post in network.posts
        if post.author == author and post.answers is None and _sees(network, viewer, post)
    )


def replies_to(network: Network, viewer: str | None, parent: Post) -> list[Truth]:
    """The direct replies to a post, whole: oldest first."""
    return sorted(
        Truth((reply.at.id, network.ids[reply.author]), (reply.text,))
        for reply in network.posts
        if reply.answers is parent and _sees(network, viewer, reply)
    )


def followers_of(network: Network, viewer: str | None, account: str) -> list[Truth]:
    """Who follows an account, whole: whoever blocks the viewer is not there."""
    return sorted(
        _newest_first(network, at, one, one)
        for (one, other), at in network.follows.items()
        if other == account and (one, viewer) not in network.blocks
    )


def followed_by(network: Network, viewer: str | None, account: str) -> list[Truth]:
    """Whom an account follows, whole."""
    return sorted(
        _newest_first(network, at, other, other)
        for (one, other), at in network.follows.items()
        if one == account and (other, viewer) not in network.blocks
    )


class Edge(NamedTuple):
    """An edge of a page, as far as lists of all kinds have it."""

    cursor: str
    sort_key: str | None
    shown: tuple[str | None, ...]


class Page(NamedTuple):
    """A page as a client sees it."""

    edges: list[Edge]
    info: dict[str, Any]

    @property
    def shown(self) -> list[tuple[str | None, ...]]:
        return [edge.shown for edge in self.edges]


class Cut(NamedTuple):
    """What a page must be."""

    truths: list[Truth]
    has_next: bool
    has_previous: bool


def cut(truths: list[Truth], size: int, *, forward: bool = True, place: tuple[int, int] | None = None) -> Cut:
    """The page of a list at a place: `forward` what comes after it, otherwise what stands right before it."""
    if forward:
        rest = [truth for truth in truths if place is None or truth.place > place]
        return Cut(rest[:size], len(rest) > size, len(rest) < len(truths))
    rest = [truth for truth in truths if place is None or truth.place < place]
    return Cut(rest[len(rest) - min(size, len(rest)) :], len(rest) < len(truths), len(rest) > size)


Ask = Callable[..., Awaitable[Page]]


class Walker:
    """Asks for pages of one list and compares each with the list that the oracle says."""

    def __init__(self, ask: Ask, truths: list[Truth], chance: random.Random) -> None:
        self._ask = ask
        self._truths = truths
        self._chance = chance
        # Where each cursor met so far stands; also what an earlier state of the list showed may be added.
        self.cursors: dict[tuple[int, int], str] = {}
        self.sort_keys: dict[tuple[int, int], str] = {}

    def _size(self) -> int:
        return self._chance.choice([1, 3, 7, 12, 20, 45])

    async def page(
        self, size: int | None, *, forward: bool = True, place: tuple[int, int] | None = None
    ) -> Page:
        """One page, compared."""
        names = ("first", "after") if forward else ("last", "before")
        asked = {} if size is None else {names[0]: size}
        if place is not None:
            asked[names[1]] = self.cursors[place]  # type: ignore[assignment]  # the names say which type
        page = await self._ask(**asked)
        wanted = cut(self._truths, 20 if size is None else size, forward=forward, place=place)
        assert page.shown == [truth.shown for truth in wanted.truths], asked
        assert page.info == {
            "hasNextPage": wanted.has_next,
            "hasPreviousPage": wanted.has_previous,
            "startCursor": page.edges[0].cursor if page.edges else None,
            "endCursor": page.edges[-1].cursor if page.edges else None,
        }, asked
        for truth, edge in zip(wanted.truths, page.edges, strict=True):
            assert self.cursors.setdefault(truth.place, edge.cursor) == edge.cursor
            if edge.sort_key is not None:
                assert self.sort_keys.setdefault(truth.place, edge.sort_key) == edge.sort_key
        return page

    async def down(self) -> None:
        """All pages from the top on."""
        seen: list[tuple[str | None, ...]] = []
        place = None
        while True:
            page = await self.page(self._size(), place=place)
            seen += page.shown
            if not page.info["hasNextPage"]:
                break
            place = self._truths[len(seen) - 1].place
        assert seen == [truth.shown for truth in self._truths]

    async def up(self) -> None:
        """All pages from the bottom on, with `last` alone and then `before`."""
        seen: list[tuple[str | None, ...]] = []
        place = None
        while True:
            page = await self.page(self._size(), forward=False, place=place)
            seen = page.shown + seen
            if not page.info["hasPreviousPage"]:
                break
            place = self._truths[len(self._truths) - len(seen)].place
        assert seen == [truth.shown for truth in self._truths]

    async def probe(self, places: Iterable[tuple[int, int]], *, backward: bool) -> None:
        """Pages at places of all kinds, those of items that are not there any more included."""
        for place in places:
            size = self._chance.choice([0, 1, 4, 30, None])
            await self.page(size, forward=not backward or self._chance.random() < 0.5, place=place)

    def check_sort_keys(self) -> None:
        """Sort keys sort as the list does, strictly, newest first, compared as ASCII."""
        keys = [key.encode("ascii") for _, key in sorted(self.sort_keys.items())]
        assert all(above > below for above, below in pairwise(keys))
