"""What people write, in Arabic and English."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

from app.seed import words_ar, words_en
from app.seed.grammar import Dice, Template, compiled, filled, pick

# How often a post takes up what everybody talks about in this hour.
TALK_OF_THE_HOUR = 0.3
# How often a post ends with a sentence, an emoji, a hashtag, and names somebody.
TAILS, EMOJI, HASHTAGS, MENTIONS = 0.12, 0.22, 0.26, 0.06


class Language(NamedTuple):
    """The words of one language, ready to be used; topics in one order for all languages."""

    topics: Sequence[Sequence[Template]]
    hashtags: Sequence[Sequence[str]]
    emoji: Sequence[Sequence[str]]
    replies: Sequence[Template]
    tails: Sequence[str]


def _language(words: ModuleType) -> Language:
    slots: Mapping[str, Sequence[str]] = words.SLOTS
    return Language(
        topics=[compiled(words.TOPICS[topic], slots) for topic in words_en.TOPICS],
        hashtags=[words.HASHTAGS[topic] for topic in words_en.TOPICS],
        emoji=[words_en.EMOJI[topic] for topic in words_en.TOPICS],
        replies=compiled(words.REPLIES, slots),
        tails=slots["tail"],
    )


ENGLISH = _language(words_en)
ARABIC = _language(words_ar)


def post_text(language: Language, hour: int, mention: Callable[[], str | None], dice: Dice) -> str:
    """A post written in this hour. `mention` is asked for a handle now and then."""
    count = len(language.topics)
    topic = hour * 7 % count if dice() < TALK_OF_THE_HOUR else int(dice() * count)
    text = filled(pick(language.topics[topic], dice), dice)
    # What follows a list stands on a line of its own.
    gap = "\n" if "\n" in text else " "
    if dice() < TAILS and text[-1] == ".":
        text = f"{text}{gap}{pick(language.tails, dice)}"
    if dice() < EMOJI:
        text = f"{text} {pick(language.emoji[topic], dice)}"
    if dice() < HASHTAGS:
        text = f"{text}{gap}{pick(language.hashtags[topic], dice)}"
    if dice() < MENTIONS and (handle := mention()) is not None:
        text = f"@{handle} {text}" if dice() < 0.5 else f"{text}{gap}@{handle}"
    return text


def reply_text(language: Language, dice: Dice) -> str:
    """An answer that suits most posts."""
    text = filled(pick(language.replies, dice), dice)
    chance = dice()
    if chance < 0.1:
        return f"{text} {pick(pick(language.emoji, dice), dice)}"
    if chance < 0.35 and text[-1] != "?":
        return f"{text} {filled(pick(language.replies, dice), dice)}"
    return text
