"""Tags of answers, and whether a client has what would be sent (RFC 9110, 8.8.3 and 13.1.2)."""

from collections.abc import Sequence
from hashlib import sha256


def weak_tag(body: bytes) -> str:
    """The tag of a body. Weak: it may be compressed on its way."""
    return f'W/"{sha256(body).hexdigest()[:32]}"'


def is_known(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether the tag is among those of If-None-Match, compared weakly."""
    if not if_none_match:
        return False
    opaque = tag.removeprefix("W/")
    named = [part.strip() for header in if_none_match for part in header.split(",")]
    return "*" in named or any(part.removeprefix("W/") == opaque for part in named)
