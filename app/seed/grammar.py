"""Templates with slots, and the dice that fill them: fast, since there are hundreds of thousands of texts."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

Option = TypeVar("Option")
Dice = Callable[[], float]
# What stays as it is, and between it the alternatives of a slot.
Template = tuple[str | tuple[str, ...], ...]

# At the beginning of a text or after the end of a sentence.
_SENTENCE_BEGINS = re.compile(r"(?:^|[.?!][\"]? |[.?!]\n)\Z")
_SLOT = re.compile(r"\{([a-z]+)([12]?)\}")


def compiled(templates: Iterable[str], slots: Mapping[str, Sequence[str]]) -> tuple[Template, ...]:
    """Templates ready to be filled. Slots are written {dish}; {dish1} and {dish2} never get the same filling.

    Raises KeyError when there is no such slot.
    """
    return tuple(_compiled(template, slots) for template in templates)


def _compiled(template: str, slots: Mapping[str, Sequence[str]]) -> Template:
    parts: list[str | tuple[str, ...]] = []
    end = 0
    for slot in _SLOT.finditer(template):
        if slot.start() > end:
            parts.append(template[end : slot.start()])
        fillings = _half(slots[slot[1]], slot[2])
        begins = _SENTENCE_BEGINS.search(template, 0, slot.start())
        parts.append(tuple(word[0].upper() + word[1:] for word in fillings) if begins else fillings)
        end = slot.end()
    if end < len(template):
        parts.append(template[end:])
    return tuple(parts)


def _half(fillings: Sequence[str], half: str) -> tuple[str, ...]:
    """Every second filling for {slot1} and the others for {slot2}, so that the two differ."""
    return tuple(fillings[int(half) - 1 :: 2]) if half else tuple(fillings)


def pick(options: Sequence[Option], dice: Dice) -> Option:
    """One of the options; several times as fast as random.choice."""
    return options[int(dice() * len(options))]


def filled(template: Template, dice: Dice) -> str:
    """The template's text with each slot filled by chance."""
    return "".join([part if type(part) is str else part[int(dice() * len(part))] for part in template])
