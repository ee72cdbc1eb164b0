"""Refresh tokens: opaque to clients, recognised by us without keeping the spent ones.

A token is base64url without padding of: version (1 octet), user id (8), session id (8), generation (4),
secret (24), tag (16); numbers are big-endian. The tag is an HMAC-SHA-256 over the rest, so an old token is
known to be authentic although only the digest of the newest one is stored. The successor's secret is an HMAC
over the spent token, so a client that repeats a refresh gets the same one, and nobody without the server's
key can compute it.
"""

import base64
import hmac
import re
import secrets
import struct
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = 1
_BODY = struct.Struct(">BqqI24s")
_SECRET_SIZE = 24
_TAG_SIZE = 16
# 61 octets.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{82}")
_SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """Whose token it is, and its place in the session's row: the first is 0."""

    user_id: int
    session_id: int
    generation: int


class RefreshTokens:
    """Makes and reads refresh tokens. Whether one is spent, over or revoked is for the caller to know."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: at least 32 octets. Changing it ends all sessions. Raises ValueError when shorter."""
        if len(secret) < _SHORTEST_KEY:
            raise ValueError(f"The secret of refresh tokens needs at least {_SHORTEST_KEY} octets.")
        self._tag_key = _derived(secret, b"maydan refresh token: tag, version 1")
        self._successor_key = _derived(secret, b"maydan refresh token: successor, version 1")

    def first(self, user_id: int, session_id: int) -> str:
        """The token that opens a session."""
        return self._token(user_id, session_id, 0, secrets.token_bytes(_SECRET_SIZE))

    def successor(self, token: str) -> str:
        """What follows the token, always the same. Raises ValueError when the token is not authentic."""
        claims = self.parse(token)
        if claims is None:
            raise ValueError("not an authentic refresh token")
        secret = hmac.digest(self._successor_key, token.encode("ascii"), "sha256")[:_SECRET_SIZE]
        return self._token(claims.user_id, claims.session_id, claims.generation + 1, secret)

    def parse(self, token: str) -> RefreshClaims | None:
        """What an authentic token says, spent or not; None for anything else."""
        if not _TOKEN.fullmatch(token):
            return None
        octets = base64.urlsafe_b64decode(token + "==")
        # The last character has four spare bits. Only zeros there, or one token would have 16 digests.
        if _base64url(octets) != token:
            return None
        body, tag = octets[: _BODY.size], octets[_BODY.size :]
        if not hmac.compare_digest(tag, self._tag(body)):
            return None
        version, user_id, session_id, generation, _ = _BODY.unpack(body)
        return RefreshClaims(user_id, session_id, generation) if version == _VERSION else None

    def digest(self, token: str) -> bytes:
        """What is stored of a token: SHA-256, 32 octets. It needs no salt, since the secret is random."""
        return sha256(token.encode(errors="surrogatepass")).digest()

    def _token(self, user_id: int, session_id: int, generation: int, secret: bytes) -> str:
        body = _BODY.pack(_VERSION, user_id, session_id, generation, secret)
        return _base64url(body + self._tag(body))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._tag_key, body, "sha256")[:_TAG_SIZE]


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose alone: HKDF-SHA-256 (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
