"""Whether a client has what would be sent (RFC 9110, 13.1.2)."""

from collections.abc import Sequence


def is_known(tag: str, if_none_match: Sequence[str]) -> bool:
    """Whether the tag is among those of If-None-Match, compared weakly."""
    if not if_none_match:
        return False
    opaque = tag.removeprefix("W/")
    named = [part.strip() for header in if_none_match for part in header.split(",")]
    return "*" in named or any(part.removeprefix("W/") == opaque for part in named)
