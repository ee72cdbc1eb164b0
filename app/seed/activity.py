"""Who wrote when, who answered whom, and who liked and reposted it: all but the texts."""

from dataclasses import dataclass
from itertools import accumulate
from math import cos, log, pi
from random import Random

from app.seed.people import DAY, HOUR, MINUTE, NEVER, POSTS_SPAN, SECOND, Person
from app.seed.ties import Ties
from dataloaders.rows import ID_SHIFT

NO_PARENT = -1
# Of all posts: so many are replies; so many were written in the last hours, so many on an eventful evening.
REPLIES, LATELY, EVENTFUL = 0.28, 0.04, 0.06
LATELY_SPAN, EVENINGS, EVENING_SPAN = 16 * HOUR, 10, 20 * MINUTE
# How much busier the busiest hour is than the middle one; now always is the busiest.
RHYTHM = 0.75
# An author often comes back within so many posts; a reply answers one of so many posts before it.
BURSTS, BURST_REACH, REPLY_REACH = 0.2, 40, 400
# Likes and reposts grow with the number of followers, but slower.
LIKES, LIKES_POWER, REPOSTS, REPOSTS_POWER = 0.42, 0.4, 0.22, 0.25
WIDELY_SEEN, WIDELY = 0.004, 12.0
SELF_REPOSTS = 0.004


@dataclass(frozen=True)
class Activity:
    """Posts in the order of time, as columns; people and posts are named by their places."""

    ids: list[int]
    authors: list[int]
    parents: list[int]
    replies: list[int]
    likes: list[int]
    reposts: list[int]
    # (entry id, who, post), in the order of time.
    repost_entries: list[tuple[int, int, int]]
    # For each person the posts they like.
    liked: list[list[int]]


def make_activity(people: list[Person], ties: Ties, count: int, now: int, random: Random) -> Activity:
    """So many posts (replies among them) of the last 90 days, and what became of them."""
    times = _times(count, now, random)
    authors, parents = _Square(people, ties, times, random).talk()
    dice = random.random
    # Even below the time for posts and odd for reposts, so that no repost has the id of a post.
    ids = [moment << ID_SHIFT | int(dice() * 1024) << 1 for moment in times]
    replies = [0] * count
    for parent in parents:
        if parent != NO_PARENT:
            replies[parent] += 1
    liked, likes = _likes(authors, ties, random)
    repost_entries = _reposts(people, ties, times, authors, now, random)
    reposts = [0] * count
    for _, _, post in repost_entries:
        reposts[post] += 1
    return Activity(ids, authors, parents, replies, likes, reposts, repost_entries, liked)


def _times(count: int, now: int, random: Random) -> list[int]:
    """Ascending, all different, all in the past."""
    dice = random.random
    evenings = [int(dice() * POSTS_SPAN) for _ in range(EVENINGS)]
    ages = []
    for _ in range(count):
        kind = dice()
        if kind < LATELY:
            age = int(LATELY_SPAN * dice() ** 1.8)
        elif kind < LATELY + EVENTFUL:
            age = abs(evenings[int(dice() * EVENINGS)] + int(random.gauss(0, 1) * EVENING_SPAN))
        else:
            age = int(POSTS_SPAN * dice() ** 1.25)
            while dice() * (1 + RHYTHM) > 1 + RHYTHM * cos(2 * pi * age / DAY):
                age = int(POSTS_SPAN * dice() ** 1.25)
        ages.append(5 * SECOND + min(age, POSTS_SPAN))
    ages.sort()
    # Backwards from now, so that each stays older than the one after it.
    times = []
    next_age = 0
    for age in ages:
        next_age = max(age, next_age + 1)
        times.append(now - next_age)
    times.reverse()
    return times


class _Square:
    """Who speaks at each of the times, and to whom."""

    def __init__(self, people: list[Person], ties: Ties, times: list[int], random: Random) -> None:
        self._joined = [person.joined + MINUTE for person in people]
        self._until = [person.until for person in people]
        self._followers = [[follower for follower, _ in followers] for followers in ties.followers]
        self._apart = ties.apart
        self._times = times
        self._random = random
        self._sums = list(accumulate(0.0 if p.until == NEVER else p.diligence for p in people))
        self._authors: list[int] = []
        self._parents: list[int] = []
        self._wishes: list[int] = []

    def talk(self) -> tuple[list[int], list[int]]:
        """For each post its author, and the post it answers or NO_PARENT."""
        dice = self._random.random
        count = len(self._times)
        # The demo accounts talked to each other a moment ago.
        staged = {count - 90: (0, 0), count - 70: (1, 20), count - 61: (0, 9), count - 50: (1, 0)}
        if count < 200:
            staged = {}
        for nth, moment in enumerate(self._times):
            turn = None
            if nth in staged:
                author, back = staged[nth]
                turn = author, nth - back if back else NO_PARENT
            elif nth and dice() < REPLIES:
                turn = self._reply(nth, moment)
            author, parent = turn or (self._speaker(nth, moment), NO_PARENT)
            self._authors.append(author)
            self._parents.append(parent)
        return self._authors, self._parents

    def _may_post(self, who: int, moment: int) -> bool:
        return self._joined[who] <= moment <= self._until[who]

    def _speaker(self, nth: int, moment: int) -> int:
        if nth > BURST_REACH and self._random.random() < BURSTS:
            again = self._authors[nth - 1 - int(self._random.random() * BURST_REACH)]
            if self._may_post(again, moment):
                return again
        for _ in range(20):
            if not self._wishes:
                self._wishes = self._random.choices(range(len(self._joined)), cum_weights=self._sums, k=2000)
            wish = self._wishes.pop()
            if self._may_post(wish, moment):
                return wish
        return 0  # who was there first

    def _reply(self, nth: int, moment: int) -> tuple[int, int] | None:
        """Somebody who answers a post of late, and the post; None when nobody is found."""
        dice, authors = self._random.random, self._authors
        reach = min(nth, REPLY_REACH)
        one, two = nth - 1 - int(dice() ** 2 * reach), nth - 1 - int(dice() ** 2 * reach)
        parent = max(one, two, key=lambda post: len(self._followers[authors[post]]))
        asked = authors[parent]
        listeners = self._followers[asked]
        for _ in range(4):
            chance = dice()
            if chance < 0.06:
                who = asked
            elif chance < 0.35 and self._parents[parent] != NO_PARENT:
                who = authors[self._parents[parent]]
            elif listeners:
                who = listeners[int(dice() * len(listeners))]
            else:
                return None
            if self._may_post(who, moment) and who not in self._apart.get(asked, ()):
                return who, parent
        return None


def _likes(authors: list[int], ties: Ties, random: Random) -> tuple[list[list[int]], list[int]]:
    """For each person the posts they like, in the order of time, and for each post how many like it."""
    dice = random.random
    means = [LIKES * len(followers) ** LIKES_POWER for followers in ties.followers]
    liked: list[list[int]] = [[] for _ in means]
    likes = []
    for post, author in enumerate(authors):
        number = int(-log(1 - dice()) * means[author] * (WIDELY if dice() < WIDELY_SEEN else 1))
        followers = ties.followers[author]
        likers = {followers[int(dice() * len(followers))][0] for _ in range(number)}
        for liker in likers:
            liked[liker].append(post)
        likes.append(len(likers))
    return liked, likes


def _reposts(
    people: list[Person], ties: Ties, times: list[int], authors: list[int], now: int, random: Random
) -> list[tuple[int, int, int]]:
    """Reposts by followers, mostly within hours, and a few by the authors themselves."""
    dice = random.random
    means = [REPOSTS * len(followers) ** REPOSTS_POWER for followers in ties.followers]
    found = []
    for post, author in enumerate(authors):
        number = int(-log(1 - dice()) * means[author] * (WIDELY if dice() < WIDELY_SEEN else 1))
        followers = ties.followers[author]
        actors = {followers[int(dice() * len(followers))][0] for _ in range(number)}
        if dice() < SELF_REPOSTS:
            actors.add(author)
        for actor in actors:
            delay = -log(1 - dice()) * 2 * HOUR if dice() < 0.7 else dice() * 3 * DAY
            moment = times[post] + SECOND + int(delay)
            if people[actor].joined < moment <= min(people[actor].until, now - SECOND):
                found.append((moment, actor, post))
    found.sort()
    entries: list[tuple[int, int, int]] = []
    for moment, actor, post in found:
        entry_id = moment << ID_SHIFT | int(dice() * 1024) << 1 | 1
        entries.append((max(entry_id, entries[-1][0] + 2 if entries else 0), actor, post))
    return entries
