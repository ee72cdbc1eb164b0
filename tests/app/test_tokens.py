"""Access tokens: what is issued is verified, and nothing else is."""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from app import tokens
from app.tokens import LEEWAY, AccessTokens, BadKey, InvalidToken, TokenKeys, thumbprint

# The key of RFC 8037, appendix A.
SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
KID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
ISSUER = "https://maydan.example"
NOW = datetime.now(UTC).replace(microsecond=0)
KEYS = TokenKeys.from_settings(SEED)


def issuer(keys: TokenKeys = KEYS, **settings: Any) -> AccessTokens:
    return AccessTokens(keys, **{"issuer": ISSUER, **settings})


def forged(
    claims: Mapping[str, Any] | None = None, headers: Mapping[str, Any] | None = None, **how: Any
) -> str:
    """A token signed with the right key, unless said otherwise, that differs from ours in what is given."""
    good: dict[str, Any] = {"iss": ISSUER, "aud": "maydan", "sub": "7", "sid": "9"}
    good |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600}
    payload = {name: value for name, value in {**good, **(claims or {})}.items() if value is not ...}
    all_headers = {"typ": "at+jwt", "kid": KID, **(headers or {})}
    return jwt.encode(payload, how.get("key", KEYS.signing), how.get("algorithm", "EdDSA"), all_headers)


def raw(header: bytes, payload: bytes, key: Ed25519PrivateKey = KEYS.signing) -> str:
    """Signed octets, JSON or not."""
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)]
    signed = b".".join(parts)
    return (signed + b"." + base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=")).decode()


def pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Any) -> str:
    octets: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return octets.decode()


def test_what_is_issued_is_verified() -> None:
    access = issuer()
    token, expires_at = access.issue(7, 2**63 - 1, NOW)
    assert expires_at == NOW + timedelta(minutes=15)
    for _ in range(2):
        claims = access.verify(token)
        assert (claims.user_id, claims.session_id) == (7, 2**63 - 1)
        assert (claims.issued_at, claims.expires_at) == (NOW, expires_at)
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": KID}
    assert len(token) < tokens.LONGEST


def test_a_lifetime_may_be_given() -> None:
    token, expires_at = issuer().issue(7, 9, NOW, timedelta(hours=24))
    assert expires_at == NOW + timedelta(hours=24)
    assert issuer().verify(token).expires_at == expires_at


def test_an_expired_token_is_refused() -> None:
    token, _ = issuer().issue(7, 9, NOW - timedelta(minutes=15) - LEEWAY)
    with pytest.raises(InvalidToken):
        issuer().verify(token)
    almost, _ = issuer().issue(7, 9, datetime.now(UTC) - timedelta(minutes=15))
    assert issuer().verify(almost)


def test_a_remembered_token_expires_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    access = issuer()
    token, expires_at = access.issue(7, 9, NOW)
    access.verify(token)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return expires_at + LEEWAY

    monkeypatch.setattr(tokens, "datetime", Later)
    with pytest.raises(InvalidToken):
        access.verify(token)
    assert not access._verified


def test_only_so_many_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "CACHE_SIZE", 2)
    access = issuer()
    first, second, third = (access.issue(user, 1, NOW)[0] for user in (1, 2, 3))
    for token in (first, second, first, third):
        access.verify(token)
    assert list(access._verified) == [first, third]
    with pytest.raises(InvalidToken):
        access.verify(first[:-86] + "A" * 86)
    assert len(access._verified) == 2


OTHER_KEY = Ed25519PrivateKey.generate()
NO_IDS: list[object] = [7, "0", "-7", "07", "7 ", "\u0667", "", "x", str(2**63), True, [], {}]
NO_ENDS: list[object] = [0, -1, 10**30, 10**300, "9999999999", 1e15, 1e300, True, [], {}]
NO_BEGINNINGS: list[object] = [int(NOW.timestamp()) + 36_000, -(10**30), "0", 1.5, [], True]
WRONG_CLAIMS: list[dict[str, Any]] = [
    *({name: ...} for name in ("iss", "aud", "sub", "sid", "iat", "exp")),
    *({name: None} for name in ("iss", "aud", "sub", "sid", "iat", "exp")),
    {"iss": "https://evil.example"},
    {"iss": [ISSUER]},
    {"aud": "other"},
    {"aud": ["maydan"]},
    *({name: value} for name in ("sub", "sid") for value in NO_IDS),
    *({"exp": value} for value in NO_ENDS),
    *({"iat": value} for value in NO_BEGINNINGS),
    {"nbf": int(NOW.timestamp()) + 36_000},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=range(len(WRONG_CLAIMS)))
def test_wrong_claims_are_refused_though_signed(claims: dict[str, Any]) -> None:
    """Signed as octets, since the library would refuse to sign some of them."""
    good: dict[str, Any] = {"iss": ISSUER, "aud": "maydan", "sub": "7", "sid": "9"}
    good |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600}
    payload = {name: value for name, value in (good | claims).items() if value is not ...}
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": KID}
    assert issuer().verify(raw(json.dumps(header).encode(), json.dumps(good).encode()))
    with pytest.raises(InvalidToken):
        issuer().verify(raw(json.dumps(header).encode(), json.dumps(payload).encode()))


WRONG_HEADERS: list[dict[str, Any]] = [{"typ": "JWT"}, {"typ": None}, {"typ": ["at+jwt"]}, {"kid": "other"}]
WRONG_HEADERS += [{"kid": ""}, {"kid": None}, {"kid": [KID]}]
WRONG_HEADERS += [{"crit": ["x"], "x": 1}, {"alg": "HS256"}, {"alg": "none"}, {"alg": None}, {"b64": False}]


@pytest.mark.parametrize("headers", WRONG_HEADERS, ids=str)
def test_wrong_headers_are_refused(headers: dict[str, Any]) -> None:
    header = json.dumps({"alg": "EdDSA", "typ": "at+jwt", "kid": KID, **headers}).encode()
    payload = forged().split(".")[1]
    with pytest.raises(InvalidToken):
        issuer().verify(raw(header, base64.urlsafe_b64decode(payload + "==")))


def test_another_key_is_refused_whatever_it_calls_itself() -> None:
    assert issuer().verify(forged())
    for kid in (KID, thumbprint(OTHER_KEY.public_key())):
        with pytest.raises(InvalidToken):
            issuer().verify(forged(headers={"kid": kid}, key=OTHER_KEY))
    embedded = {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, "jku": "https://evil.example/jwks"}
    with pytest.raises(InvalidToken):
        issuer().verify(forged(headers=embedded, key=OTHER_KEY))


def test_none_and_shared_secrets_are_refused() -> None:
    payload = forged().split(".")[1]
    for algorithm, key in (
        ("none", b""),
        ("HS256", KID.encode()),
        ("HS256", base64.b64decode(PUBLIC + "=", "-_")),
    ):
        header = {"alg": algorithm, "typ": "at+jwt", "kid": KID}
        signed = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=") + "." + payload
        signature = base64.urlsafe_b64encode(hmac.digest(key or b"x", signed.encode(), sha256)).decode()
        for token in (f"{signed}.", f"{signed}.{signature.rstrip('=')}", f"{signed}.{'A' * 86}"):
            with pytest.raises(InvalidToken):
                issuer().verify(token)
    with pytest.raises(InvalidToken):
        issuer().verify(forged(key="x" * 64, algorithm="HS512"))


HOSTILE = ["", ".", "..", "a.b.c", "é.é.é", "\ud800", "A" * 1_000_000, "." * 100_000, "Bearer x", "a.b.c.d.e"]
HOSTILE += [f"{'A' * 1_000}.{'A' * 5_000}.{'A' * 86}", f"A.A.{'A' * 86}", f"!.!.{'A' * 86}"]
HOSTILE += [raw(b"[" * 1_200, b"{}"), raw(b"[]", b"{}"), raw(b"\xff", b"{}"), raw(b"null", b"1")]
HOSTILE += [raw(b'{"alg":"EdDSA","typ":"at+jwt","kid":{}}', b"{}")]
HOSTILE += [raw(b'{"alg":[],"typ":"at+jwt","kid":"%s"}' % KID.encode(), b"{}")]
HOSTILE += [
    raw(b'{"alg":"EdDSA","typ":"at+jwt","kid":"%s"}' % KID.encode(), payload)
    for payload in (b"", b"[]", b"null", b"\xff", b"[" * 1_200, b'{"exp":1e999}', b'{"exp":NaN}')
]


@pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_tokens_are_invalid_and_nothing_worse(token: str) -> None:
    with pytest.raises(InvalidToken):
        issuer().verify(token)


@given(st.text(max_size=300), st.integers(min_value=0, max_value=400))
def test_a_token_with_anything_put_in_is_invalid(junk: str, where: int) -> None:
    token = forged()
    changed = token[:where] + junk + token[where:]
    if junk:
        with pytest.raises(InvalidToken):
            issuer().verify(changed)


def test_keys_rotate() -> None:
    old, new = KEYS, TokenKeys(OTHER_KEY, [KEYS.signing.public_key()])
    token, _ = issuer(old).issue(7, 9, NOW)
    assert issuer(new).verify(token).user_id == 7
    with pytest.raises(InvalidToken):
        issuer(old).verify(issuer(new).issue(7, 9, NOW)[0])


def test_the_jwks_is_what_libraries_read() -> None:
    keys = TokenKeys(OTHER_KEY, [KEYS.signing.public_key()])
    jwks = keys.jwks()
    assert [key["kid"] for key in jwks["keys"]] == [keys.kid, KID]
    example = {"kty": "OKP", "crv": "Ed25519", "x": PUBLIC, "kid": KID, "alg": "EdDSA", "use": "sig"}
    assert jwks["keys"][1] == example
    token, _ = issuer(keys).issue(7, 9, NOW)
    key = jwt.PyJWKSet.from_dict(jwks)[keys.kid]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="maydan", issuer=ISSUER)["sub"] == "7"


def test_keys_are_read_from_any_usual_form() -> None:
    standard = SEED.replace("-", "+").replace("_", "/") + "="
    one_line = private_pem(KEYS.signing).replace("\n", "\\n")
    for private in (SEED, standard, f" {standard}\n", private_pem(KEYS.signing), one_line):
        assert TokenKeys.from_settings(private).kid == KID
    other = thumbprint(OTHER_KEY.public_key())
    both = TokenKeys(OTHER_KEY, [KEYS.signing.public_key()])
    pems = pem(OTHER_KEY.public_key()) + "\n" + pem(KEYS.signing.public_key())
    for publics in (
        json.dumps(both.jwks()),
        json.dumps(both.jwks()["keys"]),
        pems,
        pems.replace("\n", "\\n"),
    ):
        keys = TokenKeys.from_settings(SEED, publics)
        assert [key["kid"] for key in keys.jwks()["keys"]] == [KID, other]
    for nothing in (None, "", "  ", '{"keys": []}'):
        assert len(TokenKeys.from_settings(SEED, nothing).jwks()["keys"]) == 1


EC_KEY = generate_private_key(SECP256R1())
EC_PEM = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


BAD_PRIVATE = [
    "",
    "secret",
    "é",
    "\ud800",
    "A" * 43,
    SEED[:-4],
    private_pem(EC_KEY),
    pem(OTHER_KEY.public_key()),
]
BAD_PRIVATE += ["-----BEGIN PRIVATE KEY-----", "-----BEGIN \ud800"]
BAD_PUBLIC = ["x", "{", "{}", "[1]", '{"keys": [{}]}', '{"keys": 1}', "[" * 100_000, "\ud800", EC_PEM]
BAD_PUBLIC += [
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}',
    '{"keys":[{"kty":"RSA","crv":"Ed25519","x":"AA"}]}',
    pem(OTHER_KEY.public_key()) + "x",
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    "-----BEGIN PUBLIC KEY-----\n\ud800\n-----END PUBLIC KEY-----",
]


# Numbered, since keys made for this run would give the tests other names in each worker.
@pytest.mark.parametrize("private", BAD_PRIVATE, ids=range(len(BAD_PRIVATE)))
def test_private_keys_that_cannot_be_used_are_told(private: str) -> None:
    with pytest.raises(BadKey):
        TokenKeys.from_settings(private)


@pytest.mark.parametrize("publics", BAD_PUBLIC, ids=range(len(BAD_PUBLIC)))
def test_public_keys_that_cannot_be_used_are_told(publics: str) -> None:
    with pytest.raises(BadKey):
        TokenKeys.from_settings(SEED, publics)
