"""From what is wrong with a text to the sentence about it."""

from resolvers.errors import Refusal, UserErrorCode
from resolvers.messages import Message
from resolvers.text import TextError, TextProblem

_SENTENCES = {
    TextProblem.BLANK: Message.TEXT_BLANK,
    TextProblem.TOO_LONG: Message.TEXT_TOO_LONG,
    TextProblem.CONTROL: Message.TEXT_CHARACTERS,
    TextProblem.BIDI: Message.TEXT_BIDI,
    TextProblem.SURROGATE: Message.TEXT_CHARACTERS,
}


def text_refusal(error: TextError, field: str) -> Refusal:
    """The refusal that tells the writer what to change."""
    message = _SENTENCES.get(error.problem, Message.TEXT_INVALID)
    return Refusal(UserErrorCode.INVALID, message, field, limit=error.limit or 0)
