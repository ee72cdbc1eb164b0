"""Global IDs: opaque to clients, unique across types. A post's and an entry's ID hold both parts of its key."""

import base64
import binascii
import struct
from typing import Literal, NamedTuple

from dataloaders.rows import EntryKey, PostKey, time_of

__all__ = [
    "GlobalId",
    "decode",
    "entry_gid",
    "post_gid",
    "post_key_of",
    "time_of",
    "user_gid",
    "user_id_of",
]

Kind = Literal["u", "p", "e"]
_LAYOUT = {"u": ">q", "p": ">qq", "e": ">qq"}


class GlobalId(NamedTuple):
    """A decoded ID: what kind of thing, and its key."""

    kind: Kind
    key: tuple[int, ...]


def user_gid(id: int) -> str:
    """The global ID of an account."""
    return _encode("u", id)


def post_gid(key: PostKey) -> str:
    """The global ID of a post."""
    return _encode("p", *key)


def entry_gid(key: EntryKey) -> str:
    """The global ID of a timeline entry."""
    return _encode("e", *key)


def decode(text: str) -> GlobalId | None:
    """What the ID names, or None when it is no ID. Only the very string that was given out counts."""
    kind = text[:1]
    layout = _LAYOUT.get(kind)
    if layout is None or len(text) > 32:
        return None
    try:
        data = base64.urlsafe_b64decode(text[1:] + "=" * (-(len(text) - 1) % 4))
        key = struct.unpack(layout, data)
    except (ValueError, binascii.Error, struct.error):
        return None
    found = GlobalId(kind, key)  # type: ignore[arg-type]  # a key of _LAYOUT is a Kind
    return found if _encode(found.kind, *key) == text and min(key) > 0 else None


def user_id_of(text: str) -> int | None:
    """The account's id, or None when this is no account's ID."""
    found = decode(text)
    return found.key[0] if found is not None and found.kind == "u" else None


def post_key_of(text: str) -> PostKey | None:
    """The post's key, or None when this is no post's ID."""
    found = decode(text)
    return PostKey(*found.key) if found is not None and found.kind == "p" else None


def _encode(kind: Kind, *key: int) -> str:
    data = struct.pack(_LAYOUT[kind], *key)
    return kind + base64.urlsafe_b64encode(data).rstrip(b"=").decode()
