"""Who follows whom (a few are followed by thousands, many by few) and who blocks whom."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from app.seed.people import MINUTE, SECOND, Person

# Lists of followed accounts: the middle one, how far they spread, and the largest share of everybody.
USUAL, SPREAD, LARGEST = 22.0, 1.0, 6
# The demo accounts follow enough for a lively home timeline, in a small network a third of it.
DEMO_FOLLOWS = (60, 50)
# How often somebody who is followed follows back.
FOLLOWING_BACK = 0.12
# How much rather people follow those who speak their language.
OTHER_LANGUAGE = 0.25
# Accounts that follow exactly so many, in a network of at least so many; True: quiet accounts only.
SPECIAL_FROM = 10_000
SPECIAL = ((5000, False), (5000, False), (500, False), (500, True), (10, False), (10, True))
# Blocks for each hundred accounts.
BLOCKS = 3


@dataclass(frozen=True)
class Ties:
    """Ties between people, who are named by their place in the list of people; since is a time."""

    # For each person, in ascending order: whom they follow since when, and who follows them since when.
    following: list[list[tuple[int, int]]]
    followers: list[list[tuple[int, int]]]
    # (blocker, blocked, since), ascending.
    blocks: list[tuple[int, int, int]]
    # Whom somebody blocks or is blocked by.
    apart: dict[int, set[int]]

    @property
    def follow_count(self) -> int:
        return sum(map(len, self.following))


def make_ties(people: list[Person], now: int, random: Random) -> Ties:
    """Follows and blocks among these people. Nobody follows across a block, or themselves."""
    pairs = _blocks(len(people), random)
    apart: dict[int, set[int]] = {}
    for blocker, blocked in pairs:
        apart.setdefault(blocker, set()).add(blocked)
        apart.setdefault(blocked, set()).add(blocker)
    chosen = _Choice(people, apart, now, random).everybody()

    dice = random.random

    def since(one: int, other: int) -> int:
        """Some time after both were there."""
        both = max(people[one].joined, people[other].joined) + MINUTE
        return both + int(dice() * (now - SECOND - both))

    following = [
        [(other, since(one, other)) for other in sorted(others)] for one, others in enumerate(chosen)
    ]
    followers: list[list[tuple[int, int]]] = [[] for _ in people]
    for one, others in enumerate(following):
        for other, moment in others:
            followers[other].append((one, moment))
    blocks = [(blocker, blocked, since(blocker, blocked)) for blocker, blocked in sorted(pairs)]
    return Ties(following, followers, blocks, apart)


def _blocks(count: int, random: Random) -> set[tuple[int, int]]:
    """Pairs of blocker and blocked, a tenth of them mutual. One demo account blocks, the other is blocked."""
    pairs: set[tuple[int, int]] = set()
    if count < 20:
        return pairs
    pairs |= {(0, random.randrange(2, count)), (random.randrange(2, count), 1)}
    for _ in range(count * BLOCKS // 100):
        one, other = random.sample(range(2, count), 2)
        pairs.add((one, other))
        if random.random() < 0.1:
            pairs.add((other, one))
    return pairs


class _Choice:
    """Whom everybody follows, chosen by fame and language."""

    def __init__(self, people: list[Person], apart: dict[int, set[int]], now: int, random: Random) -> None:
        self._people = people
        self._apart = apart
        self._now = now
        self._random = random
        self._everybody = range(len(people))
        self._weights = {
            arabic: [p.fame * (1.0 if p.arabic == arabic else OTHER_LANGUAGE) for p in people]
            for arabic in (True, False)
        }
        self._sums = {arabic: list(accumulate(weights)) for arabic, weights in self._weights.items()}

    def everybody(self) -> list[set[int]]:
        """For each person whom they follow."""
        count = len(self._people)
        lists = [
            self._some(one, min(count // LARGEST, int(self._random.lognormvariate(0, SPREAD) * USUAL)))
            for one in self._everybody
        ]
        fixed = self._special(lists)
        self._demo(lists)
        fixed |= {0, 1}
        back = [(other, one) for one, others in enumerate(lists) for other in sorted(others)]
        for one, other in back:
            if self._random.random() < FOLLOWING_BACK and one not in fixed:
                lists[one].add(other)
        return lists

    def _some(self, one: int, count: int) -> set[int]:
        """About so many, the famous rather than others."""
        shunned = self._apart.get(one, set()) | {one}
        arabic = self._people[one].arabic
        drawn = self._random.choices(self._everybody, cum_weights=self._sums[arabic], k=count)
        return set(drawn) - shunned

    def _exactly(self, one: int, count: int, candidates: list[tuple[int, float]]) -> set[int]:
        """So many of the candidates by weight, without replacement (Efraimidis and Spirakis, 2006)."""
        shunned = self._apart.get(one, set()) | {one}
        dice = self._random.random
        keyed = [(dice() ** (1 / weight), other) for other, weight in candidates if other not in shunned]
        return {other for _, other in sorted(keyed, reverse=True)[:count]}

    def _special(self, lists: list[set[int]]) -> set[int]:
        """Gives a few accounts lists of exact lengths, for measurements."""
        if len(lists) < SPECIAL_FROM:
            return set()
        ones = self._random.sample(range(2, len(lists)), len(SPECIAL))
        for one, (count, quiet_only) in zip(ones, SPECIAL, strict=True):
            weights = self._weights[self._people[one].arabic]
            candidates = [
                (other, weights[other])
                for other, person in enumerate(self._people)
                if not quiet_only or person.until < self._now
            ]
            lists[one] = self._exactly(one, count, candidates)
        return set(ones)

    def _demo(self, lists: list[set[int]]) -> None:
        """The demo accounts follow each other and accounts that post a lot today."""
        busy = [
            (other, person.diligence * (1.0 if person.arabic_share < 0.9 else (1.5, 0.5)[one]))
            for one in (0, 1)
            for other, person in enumerate(self._people)
            if other > 1 and person.until == self._now
        ]
        half = len(busy) // 2
        for one, candidates in enumerate((busy[:half], busy[half:])):
            count = min(DEMO_FOLLOWS[one], len(lists) // 3)
            lists[one] = self._exactly(one, count - 1, candidates) | {1 - one}
