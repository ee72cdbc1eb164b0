"""Access tokens: JWTs (RFC 7519) signed with Ed25519 (RFC 8037), checked without asking the database."""

import base64
import binascii
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

ALGORITHM = "EdDSA"
# RFC 9068: no other kind of JWT signed with these keys passes for an access token.
TYPE = "at+jwt"
# Several machines check what one has signed, and their clocks differ; NTP keeps them well within this.
LEEWAY = timedelta(seconds=5)
# Ours have about 400 characters; what is longer is not worth decoding.
LONGEST = 2_048
# About 10 MB when full, and the tokens of as many sessions as one worker serves at a time.
CACHE_SIZE = 10_000

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_PEM_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class InvalidToken(Exception):
    """Not an access token of ours, or over."""


class BadKey(ValueError):
    """A key in the settings that cannot be used; the message is for whoever starts the server."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says. Whether its session was ended meanwhile is for the caller to check."""

    user_id: int
    session_id: int
    issued_at: datetime
    expires_at: datetime


class TokenKeys:
    """The key that signs, and all those whose signatures count, by key id.

    To rotate: publish the next public key beside the current one, then sign with the next, and drop the old
    one when its last token is over.
    """

    def __init__(self, signing: Ed25519PrivateKey, others: Iterable[Ed25519PublicKey] = ()) -> None:
        self.signing = signing
        self.kid = thumbprint(signing.public_key())
        self._public = {thumbprint(key): key for key in (signing.public_key(), *others)}

    @classmethod
    def from_settings(cls, private: str, publics: str | None = None) -> "TokenKeys":
        """From a PEM (PKCS #8) or base64 32-byte private key, and public keys as a JWKS or as PEM after PEM.

        Raises BadKey with a sentence about what is wrong.
        """
        return cls(_private_key(private), _public_keys(publics or ""))

    def find(self, kid: object) -> Ed25519PublicKey | None:
        """The public key of a key id, None for any other value."""
        return self._public.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set (RFC 7517), the signing one first."""
        return {
            "keys": [
                {**_jwk(key), "kid": kid, "alg": ALGORITHM, "use": "sig"} for kid, key in self._public.items()
            ]
        }


class AccessTokens:
    """Issues and verifies access tokens. Verified ones are remembered: a client uses each for a while."""

    def __init__(
        self,
        keys: TokenKeys,
        issuer: str,
        audience: str = "maydan",
        lifetime: timedelta = timedelta(minutes=15),
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._verified: OrderedDict[str, AccessClaims] = OrderedDict()

    def issue(
        self, user_id: int, session_id: int, now: datetime, lifetime: timedelta | None = None
    ) -> tuple[str, datetime]:
        """A token and when it ends, in whole seconds as JWT counts. `now` is aware."""
        issued_at = int(now.timestamp())
        expires_at = issued_at + int((self._lifetime if lifetime is None else lifetime).total_seconds())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            # Strings, also the session: JSON numbers lose 64-bit precision in JavaScript.
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued_at,
            "exp": expires_at,
        }
        headers = {"typ": TYPE, "kid": self._keys.kid}
        token = jwt.encode(claims, self._keys.signing, algorithm=ALGORITHM, headers=headers)
        return token, datetime.fromtimestamp(expires_at, UTC)

    def verify(self, token: str) -> AccessClaims:
        """What an authentic token in force says. Raises InvalidToken for anything else, and nothing else."""
        known = self._verified.get(token)
        if known is not None:
            if known.expires_at + LEEWAY <= datetime.now(UTC):
                del self._verified[token]
                raise InvalidToken("expired")
            self._verified.move_to_end(token)
            return known
        # The decoder would skip characters that are none of base64url's.
        if len(token) > LONGEST or not _COMPACT.fullmatch(token):
            raise InvalidToken("malformed")
        try:
            claims = self._claims(token)
        except InvalidToken:
            raise
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, OSError, RecursionError) as error:
            # Beyond PyJWT's own: JSON nested too deep, numbers too large for a date.
            raise InvalidToken("invalid") from error
        self._verified[token] = claims
        if len(self._verified) > CACHE_SIZE:
            self._verified.popitem(last=False)
        return claims

    def _claims(self, token: str) -> AccessClaims:
        header = jwt.get_unverified_header(token)
        key = self._keys.find(header.get("kid"))
        if key is None or header.get("typ") != TYPE:
            raise InvalidToken("another key or type")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "sub", "sid", "iat", "exp"], "strict_aud": True},
        )
        return AccessClaims(
            user_id=_id(claims["sub"]),
            session_id=_id(claims["sid"]),
            issued_at=_moment(claims["iat"]),
            expires_at=_moment(claims["exp"]),
        )


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key id: the JWK thumbprint (RFC 7638; its members: RFC 8037, 2), SHA-256 in base64url."""
    canonical = json.dumps(_jwk(key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _id(value: object) -> int:
    """A positive 64-bit number in its one decimal form."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or int(value) >= 2**63:
        raise InvalidToken("malformed id")
    return int(value)


def _moment(value: object) -> datetime:
    if type(value) is not int:
        raise InvalidToken("malformed time")
    return datetime.fromtimestamp(value, UTC)


def _pem(text: str) -> str:
    """Environment files often hold a PEM on one line, with \\n spelled out."""
    return text.strip().replace("\\n", "\n")


def _decoded(text: str) -> bytes:
    """32 bytes from base64 or base64url, padded or not."""
    text = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != 32:
        raise BadKey("An Ed25519 key is 32 bytes in base64, or a PEM.")
    return data


def _private_key(text: str) -> Ed25519PrivateKey:
    text = _pem(text)
    if not text.startswith("-----BEGIN"):
        seed = _decoded(text)
        # 32 random bytes have fewer than 16 different ones less than once in 10^12.
        if len(set(seed)) < 16:
            raise BadKey("The private key does not look random: make one with 'openssl rand -base64 32'.")
        return Ed25519PrivateKey.from_private_bytes(seed)
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("The private key is no readable PEM; it must be PKCS #8 without a passphrase.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey("The private key is not an Ed25519 key.")
    return key


def _public_keys(text: str) -> Sequence[Ed25519PublicKey]:
    text = _pem(text)
    if not text:
        return []
    if text.startswith(("{", "[")):
        return _jwks_keys(text)
    if not _PEM_KEY.search(text) or _PEM_KEY.sub("", text).strip():
        raise BadKey("The public keys are neither a JWKS nor PEM after PEM.")
    keys = []
    for found in _PEM_KEY.finditer(text):
        try:
            key = load_pem_public_key(found[0].encode())
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey("A public key is no readable PEM.") from None
        if not isinstance(key, Ed25519PublicKey):
            raise BadKey("A public key is not an Ed25519 key.")
        keys.append(key)
    return keys


def _jwks_keys(text: str) -> Sequence[Ed25519PublicKey]:
    try:
        parsed = json.loads(text)
        found = parsed["keys"] if isinstance(parsed, dict) else parsed
        if any(jwk["kty"] != "OKP" or jwk["crv"] != "Ed25519" for jwk in found):
            raise BadKey("A public key in the JWKS is not an Ed25519 key.")
        return [Ed25519PublicKey.from_public_bytes(_decoded(jwk["x"])) for jwk in found]
    except BadKey:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BadKey("The public keys are no readable JWKS.") from None
