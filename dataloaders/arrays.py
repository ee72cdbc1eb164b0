"""bigint[] in PostgreSQL's binary format (array_send and array_recv in its source), for lists of keys.

asyncpg's own codec asks of each element whether it is a list again, which takes most of the time of a short statement
with long lists: some 50 us for the 320 keys of a home page, of which 15 to 20 are left. One dimension, no nulls in what
is sent.
"""

from collections.abc import Collection
from functools import lru_cache
from struct import Struct

# OIDs of bigint and bigint[], which no version of PostgreSQL changes (pg_type.dat in its source).
BIGINT = 20
BIGINTS = 1016
# Dimensions, flags (whether there are nulls), type of the elements; then length and lower bound of each dimension.
_HEAD = Struct(">iiiii")
_BEGIN = Struct(">ii")
_SIZE = Struct(">i")
_ELEMENT = Struct(">iq")
_WIDTH = 8
# Elements that are written in one go; the formats for so many and fewer are kept, some 40 bytes for each element.
_BLOCK = 128


@lru_cache(maxsize=_BLOCK)
def _format(count: int) -> tuple[Struct, list[int]]:
    """So many elements, and their lengths with places for them."""
    return Struct(f">{'iq' * count}"), [_WIDTH] * (2 * count)


def _elements(values: Collection[int]) -> bytes:
    format, blank = _format(len(values))
    elements = blank.copy()
    elements[1::2] = values
    return format.pack(*elements)


def encode(values: Collection[int]) -> bytes:
    """The array. Raises struct.error for what is no number, or no bigint."""
    count = len(values)
    head = _HEAD.pack(1, 0, BIGINT, count, 1)
    if count <= _BLOCK:
        return head + _elements(values)
    ordered = list(values)
    blocks = [_elements(ordered[start : start + _BLOCK]) for start in range(0, count, _BLOCK)]
    return head + b"".join(blocks)


def decode(data: bytes) -> list[int | None]:
    """The values. Raises ValueError for an array of several dimensions, which no statement here makes."""
    dimensions, has_nulls = _BEGIN.unpack_from(data)
    if dimensions == 0:
        return []
    if dimensions > 1:
        raise ValueError(f"an array of {dimensions} dimensions")
    if not has_nulls:
        elements = data[_HEAD.size :]
        count = len(elements) // _ELEMENT.size
        if count <= _BLOCK:
            return list(_format(count)[0].unpack(elements)[1::2])
        return [value for _, value in _ELEMENT.iter_unpack(elements)]
    values: list[int | None] = []
    at = _HEAD.size
    while at < len(data):
        (size,) = _SIZE.unpack_from(data, at)
        values.append(None if size < 0 else _ELEMENT.unpack_from(data, at)[1])
        at += _SIZE.size + max(size, 0)
    return values
