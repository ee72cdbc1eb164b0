"""Global IDs: opaque to clients, unique across types. A post's and an entry's ID hold both parts of its key."""

import base64
import binascii
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, NamedTuple

from dataloaders.rows import ID_EPOCH, ID_SHIFT, EntryKey, Pair, PostKey, time_of

__all__ = [
    "ID_EPOCH",
    "ID_SHIFT",
    "GlobalId",
    "decode",
    "entry_gid",
    "entry_gids",
    "post_gid",
    "post_gids",
    "post_key_of",
    "time_of",
    "url_safe",
    "url_safe_each",
    "user_gid",
    "user_gids",
    "user_id_of",
]

Kind = Literal["u", "p", "e"]
_ONE, _TWO = struct.Struct(">q"), struct.Struct(">qq")
_LAYOUT = {"u": _ONE, "p": _TWO, "e": _TWO}


class GlobalId(NamedTuple):
    """A decoded ID: what kind of thing, and its key."""

    kind: Kind
    key: tuple[int, ...]


def user_gids(ids: Sequence[int]) -> list[str]:
    """The global IDs of accounts."""
    return url_safe_each("u", "qx", 11, ids)


def post_gids(keys: Sequence[Pair]) -> list[str]:
    """The global IDs of posts."""
    return url_safe_each("p", "qqxx", 22, list(chain.from_iterable(keys)))


def entry_gids(keys: Sequence[Pair]) -> list[str]:
    """The global IDs of timeline entries."""
    return url_safe_each("e", "qqxx", 22, list(chain.from_iterable(keys)))


def user_gid(id: int) -> str:
    """The global ID of an account."""
    return f"u{url_safe(_ONE.pack(id))}"


def post_gid(key: PostKey) -> str:
    """The global ID of a post."""
    return f"p{url_safe(_TWO.pack(*key))}"


def entry_gid(key: EntryKey) -> str:
    """The global ID of a timeline entry."""
    return f"e{url_safe(_TWO.pack(*key))}"


def decode(text: str) -> GlobalId | None:
    """What the ID names, or None when it is no ID. Only the very string that was given out counts."""
    kind = text[:1]
    layout = _LAYOUT.get(kind)
    if layout is None or len(text) > 32:
        return None
    try:
        data = base64.urlsafe_b64decode(text[1:] + "=" * (-(len(text) - 1) % 4))
        key = layout.unpack(data)
    except (ValueError, binascii.Error, struct.error):
        return None
    found = GlobalId(kind, key)  # type: ignore[arg-type]  # a key of _LAYOUT is a Kind
    return found if kind + url_safe(layout.pack(*key)) == text and min(key) > 0 else None


def user_id_of(text: str) -> int | None:
    """The account's id, or None when this is no account's ID."""
    found = decode(text)
    return found.key[0] if found is not None and found.kind == "u" else None


def post_key_of(text: str) -> PostKey | None:
    """The post's key, or None when this is no post's ID."""
    found = decode(text)
    return PostKey(*found.key) if found is not None and found.kind == "p" else None


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def url_safe(data: bytes) -> str:
    """URL-safe base64 without padding (RFC 4648, 5), in one pass less than the standard library's."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode()


def url_safe_each(prefix: str, layout: str, length: int, values: Sequence[Any]) -> list[str]:
    """Many packed things as url_safe would write each, in one go: a page has eighty.

    `layout` packs one of them (struct's letters) and fills it up to a multiple of three bytes with `x`, so that the
    text of all is the texts of each; `length` is how much of its text is not filling.
    """
    count = len(values) // (len(layout) - layout.count("x"))
    whole = _repeated(layout, count)
    text = binascii.b2a_base64(whole.pack(*values), newline=False).translate(_URL_SAFE).decode()
    step = struct.calcsize(f">{layout}") // 3 * 4
    return [prefix + text[start : start + length] for start in range(0, step * count, step)]


@lru_cache(maxsize=1_000)
def _repeated(layout: str, count: int) -> struct.Struct:
    return struct.Struct(f">{layout * count}")
