"""Compresses what is large, as far as the client accepts it."""

import asyncio
import zlib

import brotli  # type: ignore[import-untyped]  # it has no types
import zstandard

from app.negotiation import encoding

# Bytes. What is smaller goes into two packets anyway, and compressing it costs more than sending it.
SMALLEST = 2_048
# Bytes that are compressed where they are, in some 0.3 ms; more of them in a thread, as all three let others run.
INLINE = 32_768
# The levels at which a home page takes 0.1 ms or less, at a fifth of its size; higher ones save little.
ZSTD_LEVEL, BROTLI_QUALITY, GZIP_LEVEL = 3, 3, 4
_GZIP_WINDOW = 31  # zlib's number for gzip's format with its largest window


async def compressed(body: bytes, accept_encoding: str | None) -> tuple[bytes, str | None]:
    """The body as it is sent, and the content encoding; None when it is sent as it is."""
    if len(body) < SMALLEST:
        return body, None
    name = encoding(accept_encoding)
    if name is None:
        return body, None
    if len(body) <= INLINE:
        return _compress(body, name), name
    return await asyncio.to_thread(_compress, body, name), name


def _compress(body: bytes, name: str) -> bytes:
    if name == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    if name == "br":
        return bytes(brotli.compress(body, quality=BROTLI_QUALITY))
    gzip = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP_WINDOW)
    return gzip.compress(body) + gzip.flush()
