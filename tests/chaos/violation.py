"""What a checker says when an invariant did not hold."""

from typing import NamedTuple


class Violation(NamedTuple):
    """An invariant that did not hold: whom it concerns, when it showed, and the post's token if it is about one."""

    invariant: str
    what: str
    who: int = -1
    at: float = 0.0
    token: str = ""
