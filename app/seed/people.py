"""Who lives in the demo network: accounts with names, languages, fame and habits."""

from collections.abc import Callable
from itertools import chain
from random import Random
from typing import NamedTuple

from app.seed import words_ar, words_en
from app.seed.grammar import Dice, compiled, filled, pick
from dataloaders.rows import ID_SHIFT

DEMO_HANDLES = ("amal", "sam")
_DEMO_NAMES = ("Amal Haddad", "Sam Rivers")
_DEMO_BIOS = (
    "Bookbinder, neighbour, reads the small print aloud. عربي / English. A demo account.",
    "Repairs bicycles and arguments. Mint tea, short rules, long walks. A demo account.",
)

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
# How far back posts go, and how far back the first accounts joined.
POSTS_SPAN = 90 * DAY
ACCOUNTS_SPAN = 200 * DAY
# Of all accounts: those that only read, and those that stopped posting long ago.
READERS, GONE_QUIET = 0.28, 0.10
NEVER = -1
# Followers fall off with the rank by this power (Zipf); the shift keeps the first from having everybody.
FAME_POWER, FAME_SHIFT = 0.95, 3
# The demo accounts are well known, but no celebrities.
DEMO_RANK, DEMO_DILIGENCE = 30, 6.0

_EN_BIOS = compiled(words_en.BIOS, words_en.SLOTS)
_AR_BIOS = compiled(words_ar.BIOS, words_ar.SLOTS)
_EN_GIVEN = [(name, name.lower()) for name in words_en.GIVEN]
_EN_FAMILY = [(name, name.lower()) for name in words_en.FAMILY]
_BADGES = tuple(chain.from_iterable(words_en.EMOJI.values()))


class Person(NamedTuple):
    """One account. Times are microseconds since the epoch of ids."""

    id: int
    handle: str
    name: str
    bio: str | None
    # Speaks Arabic first; and of a hundred texts so many are Arabic.
    arabic: bool
    arabic_share: float
    joined: int
    # The end of its posting: now, a time long ago, or NEVER.
    until: int
    # How much it is followed and how much it posts, in comparison with others.
    fame: float
    diligence: float


def make_people(count: int, now: int, random: Random) -> list[Person]:
    """So many accounts, oldest first, which begin with the demo accounts. Ids ascend."""
    dice = random.random
    ages = sorted((HOUR + int((ACCOUNTS_SPAN - DAY) * dice() ** 0.6) for _ in range(count - 2)), reverse=True)
    ranks = [rank for rank in range(count) if rank not in (DEMO_RANK, DEMO_RANK + 1)]
    random.shuffle(ranks)
    people = [_demo_account(index, now, dice) for index in range(2)]
    handles = set(DEMO_HANDLES)
    for age, rank in zip(ages, ranks, strict=False):
        joined = max(now - age, people[-1].joined + 1)
        people.append(_somebody(joined, rank, now, handles, random))
    return people


def _demo_account(index: int, now: int, dice: Dice) -> Person:
    joined = now - ACCOUNTS_SPAN + index * HOUR
    return Person(
        id=_id(joined, dice),
        handle=DEMO_HANDLES[index],
        name=_DEMO_NAMES[index],
        bio=_DEMO_BIOS[index],
        arabic=index == 0,
        arabic_share=(0.5, 0.0)[index],
        joined=joined,
        until=now,
        fame=_fame(DEMO_RANK),
        diligence=DEMO_DILIGENCE,
    )


def _somebody(joined: int, rank: int, now: int, handles: set[str], random: Random) -> Person:
    dice = random.random
    arabic = dice() < 0.42
    name, handle = _name(arabic, handles.__contains__, dice)
    handles.add(handle)
    habit = dice()
    fame = _fame(rank)
    if habit < READERS:
        until, fame = NEVER, fame * 0.3
    elif habit < READERS + GONE_QUIET:
        until = now - 30 * DAY - int(dice() * 55 * DAY)
    else:
        until = now
    bilingual = dice() < 0.12
    return Person(
        id=_id(joined, dice),
        handle=handle,
        name=name,
        bio=filled(pick(_AR_BIOS if arabic else _EN_BIOS, dice), dice) if dice() < 0.85 else None,
        arabic=arabic,
        arabic_share=0.5 if bilingual else 0.96 if arabic else 0.0,
        joined=joined,
        until=until,
        fame=fame,
        diligence=random.lognormvariate(0, 1.1) * (1 + 3 * fame / _fame(0)),
    )


def _id(moment: int, dice: Dice) -> int:
    return moment << ID_SHIFT | int(dice() * (1 << ID_SHIFT))


def _fame(rank: int) -> float:
    return float((rank + FAME_SHIFT) ** -FAME_POWER)


def _name(arabic: bool, taken: Callable[[str], bool], dice: Dice) -> tuple[str, str]:
    """A display name and a handle that nobody has yet."""
    given, latin_given = pick(words_ar.GIVEN if arabic else _EN_GIVEN, dice)
    family, latin_family = pick(words_ar.FAMILY if arabic else _EN_FAMILY, dice)
    if arabic and dice() < 0.25:
        given, family = latin_given.capitalize(), latin_family.capitalize()
    name = given if dice() < 0.08 else f"{given} {family}"
    if dice() < 0.06:
        name = f"{name} {pick(_BADGES, dice)}"
    year = 60 + int(dice() * 40)
    wish = pick(
        (
            f"{latin_given}_{latin_family}",
            f"{latin_given}{latin_family}",
            f"{latin_given}{latin_family[0]}{year}",
            f"{latin_family}_{latin_given}",
            f"the_{latin_given}_{latin_family}",
            f"{latin_given}_{year}",
        ),
        dice,
    )
    handle, digits = wish, 100
    while taken(handle):
        handle, digits = f"{wish}{int(dice() * digits)}", digits * 2
    return name, handle
