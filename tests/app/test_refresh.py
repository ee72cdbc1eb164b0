"""Refresh tokens: authentic ones are recognised, old ones too, and a repeat leads to the same successor."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.refresh import RefreshClaims, RefreshTokens

SECRET = bytes(range(32))
MAKER = RefreshTokens(SECRET)
ids = st.integers(min_value=1, max_value=2**63 - 1)


@given(ids, ids)
def test_tokens_say_whose_they_are(user_id: int, session_id: int) -> None:
    token = MAKER.first(user_id, session_id)
    assert MAKER.parse(token) == RefreshClaims(user_id, session_id, 0)
    assert MAKER.parse(MAKER.successor(token)) == RefreshClaims(user_id, session_id, 1)
    assert len(token) == 82


def test_a_chain_is_the_same_each_time_it_is_walked() -> None:
    first = MAKER.first(7, 9)
    chain, again = [first], [first]
    for _ in range(5):
        chain.append(MAKER.successor(chain[-1]))
        again.append(RefreshTokens(SECRET).successor(again[-1]))
    assert chain == again
    assert len(set(chain)) == 6
    assert [claims.generation for token in chain if (claims := MAKER.parse(token))] == [0, 1, 2, 3, 4, 5]


def test_sessions_begin_at_random() -> None:
    first, other = MAKER.first(7, 9), MAKER.first(7, 9)
    assert first != other
    assert MAKER.successor(first) != MAKER.successor(other)


def test_another_secret_recognises_nothing() -> None:
    stranger = RefreshTokens(bytes(32))
    token = MAKER.first(7, 9)
    assert stranger.parse(token) is None
    with pytest.raises(ValueError, match="authentic"):
        stranger.successor(token)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 octets"):
        RefreshTokens(bytes(31))


def test_every_bit_counts() -> None:
    token = MAKER.first(7, 9)
    octets = bytearray(base64.urlsafe_b64decode(token + "=="))
    for bit in range(len(octets) * 8):
        changed = bytearray(octets)
        changed[bit // 8] ^= 1 << bit % 8
        assert MAKER.parse(base64.urlsafe_b64encode(changed).decode().rstrip("=")) is None


def test_a_token_has_one_form() -> None:
    """The last character has spare bits: with others set it decodes to the same octets, yet is not ours."""
    token = MAKER.first(7, 9)
    same = [
        token[:-1] + last
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if base64.urlsafe_b64decode(token[:-1] + last + "==") == base64.urlsafe_b64decode(token + "==")
    ]
    assert len(same) == 16
    assert [form for form in same if MAKER.parse(form)] == [token]


@given(st.one_of(st.text(), st.text(st.characters(codec=None, categories=None), min_size=82, max_size=82)))
def test_anything_else_is_no_token(text: str) -> None:
    assert MAKER.parse(text) is None
    assert len(MAKER.digest(text)) == 32


def test_forms_of_a_token_that_are_not_it() -> None:
    token = MAKER.first(7, 9)
    longer = [token + more for more in ("=", "==", "\n", "A", "AA==")]
    for text in (*longer, " " + token, token[:-1], token[:40] + "\n" + token[40:]):
        assert MAKER.parse(text) is None


def test_digests_differ_from_the_tokens() -> None:
    token = MAKER.first(7, 9)
    assert MAKER.digest(token) == MAKER.digest(token)
    assert MAKER.digest(token) != MAKER.digest(MAKER.successor(token))
