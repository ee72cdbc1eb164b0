"""Signing up: what is asked of each field, who is there already, how often, and in which language one is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx
import pytest

from app import worker
from schema.build import executable
from tests.conftest import Oracle, Serve, Server
from tests.people import PASSWORD, Outcome, Person

GOOD = {
    "handle": "zaynab",
    "displayName": "Zaynab",
    "email": "zaynab@example.org",
    "password": PASSWORD,
}
SIGNED_UP = "viewer { id handle displayName } tokens { accessToken refreshToken }"
TABLES = ("users", "handles", "emails", "credentials", "sessions")


async def signs_up(person: Person, **changes: str) -> Outcome:
    return await person.does("signUp", SIGNED_UP, **(GOOD | changes))


def only_error(outcome: Outcome) -> dict[str, Any]:
    """The one thing that is wrong; nothing else is answered."""
    assert outcome.payload["viewer"] is outcome.payload["tokens"] is None
    [error] = outcome.payload["userErrors"]
    assert error["message"]
    found: dict[str, Any] = error
    return found


async def test_signing_up_makes_an_account_and_signs_in(server: Server, stored: Oracle) -> None:
    document = (
        "mutation ($input: SignUpInput!) { signUp(input: $input) { userErrors { code } "
        "viewer { id handle displayName bio avatarUrl createdAt followerCount followingCount postCount "
        "viewerIsFollowing isFollowingViewer viewerIsBlocking posts { edges { node { id } } } } "
        "tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt } } }"
    )
    person = server.passer_by()
    done = (await person.asks(document, input=GOOD)).data["signUp"]
    viewer, tokens = done["viewer"], done["tokens"]
    assert done["userErrors"] == []
    assert (viewer["handle"], viewer["displayName"], viewer["bio"]) == ("zaynab", "Zaynab", None)
    assert {viewer[name] for name in ("followerCount", "followingCount", "postCount")} == {0}
    assert viewer["posts"] == {"edges": []}
    assert viewer["createdAt"] < tokens["accessTokenExpiresAt"] < tokens["refreshTokenExpiresAt"]
    person.token = tokens["accessToken"]
    assert (await person.asks("{ viewer { id } }")).data == {"viewer": {"id": viewer["id"]}}
    for table in TABLES:
        assert await stored.count(table) == 1
    # Neither the password nor the refresh token is kept.
    (row,) = await stored.rows("SELECT c.password_hash, s.refresh_digest FROM credentials c, sessions s")
    assert row["password_hash"].startswith("$argon2id$")
    assert tokens["refreshToken"].encode() not in row["refresh_digest"]


REFUSED = [
    *(
        ("handle", text)
        for text in ("", "ab", "x" * 31, "two words", "زينب", "zaynab!", "@zaynab", "za\0nab")
    ),
    *(("handle", text) for text in (" zaynab", "zaynab\n", "\u212aelvin", "\ud83dxx", "za-nab")),
    *(
        ("displayName", text)
        for text in ("", " ", "\u200b", "x" * 51, "👨\u200d👩\u200d👧" * 51, "a\0", "a\nb")
    ),
    *(("displayName", text) for text in ("\ud83d", "\u202eabc", "a\u2069")),
    *(
        ("email", text)
        for text in ("", "x", "@example.org", "x@", "x@localhost", "x y@example.org", "x@@a.org")
    ),
    *(("email", text) for text in ("x\0@example.org", "\ud83d@example.org", "x@\ud83d.org", "x@a..org")),
    *(
        ("email", text)
        for text in ("x" * 65 + "@example.org", "x@" + "a" * 64 + ".org", "x@" + "a." * 130 + "org")
    ),
    *(
        ("password", text)
        for text in ("", "123456789", "x" * 129, "nul\0nul\0nul", "tab\ttab\ttab", "\ud83d" * 12)
    ),
]


@pytest.mark.parametrize(("field", "text"), REFUSED, ids=[f"{name} {text[:20]!a}" for name, text in REFUSED])
async def test_what_is_outside_the_rules_is_refused_by_its_field(
    server: Server, stored: Oracle, field: str, text: str
) -> None:
    error = only_error(await signs_up(server.passer_by(), **{field: text}))
    assert (error["code"], error["field"]) == ("INVALID", ["input", field])
    for table in TABLES:
        assert await stored.count(table) == 0


async def test_what_is_at_the_edge_is_let_in(server: Server) -> None:
    family = "👨\u200d👩\u200d👧"
    for nth, changes in enumerate(
        (
            {"handle": "abc"},
            {"handle": "_0123456789_0123456789_0123456"},
            {"displayName": family * 50},
            {"displayName": "زينب"},
            {"password": "x" * 10},
            {"password": "ق" * 128},
            {"email": "x" * 64 + "@example.org"},
            {"email": "زينب@مثال.إختبار"},
        )
    ):
        given = {"handle": f"guest_{nth}", "email": f"guest{nth}@example.org"} | changes
        made = await signs_up(server.passer_by(), **given)
        assert made["viewer"]["handle"] == given["handle"]
        if "displayName" in changes:
            assert made["viewer"]["displayName"] == changes["displayName"]


async def test_handles_are_folded_and_found_in_any_case(server: Server) -> None:
    made = await signs_up(server.passer_by(), handle="ZayNab_99")
    assert made["viewer"]["handle"] == "zaynab_99"
    for handle in ("zaynab_99", "ZAYNAB_99", "ZayNab_99"):
        found = await server.passer_by().asks("query ($h: String!) { user(handle: $h) { id } }", h=handle)
        assert found.data == {"user": {"id": made["viewer"]["id"]}}


async def test_names_are_kept_in_their_one_form(server: Server) -> None:
    made = await signs_up(server.passer_by(), displayName="  Zoe\u0308 \u3000")
    assert made["viewer"]["displayName"] == "Zo\u00eb"


@pytest.mark.parametrize("handle", ["zaynab", "ZAYNAB", "ZayNab"])
async def test_a_handle_that_is_taken_is_a_conflict(server: Server, stored: Oracle, handle: str) -> None:
    await server.sign_up("zaynab")
    error = only_error(await signs_up(server.passer_by(), handle=handle, email="other@example.org"))
    assert (error["code"], error["field"]) == ("CONFLICT", ["input", "handle"])
    for table in TABLES:
        assert await stored.count(table) == 1


@pytest.mark.parametrize(
    "email",
    [
        "zoe\u0308@straße.example",
        "zo\u00eb@STRASSE.example".replace("SS", "ß"),
        "ZO\u00cb@xn--strae-oqa.example",
        "\tzo\u00eb@Straße.Example \n",
    ],
)
async def test_an_address_that_is_taken_is_a_conflict_however_it_is_written(
    server: Server, stored: Oracle, email: str
) -> None:
    await server.sign_up("zaynab", email="zo\u00eb@straße.example")
    error = only_error(await signs_up(server.passer_by(), handle="other", email=email))
    assert (error["code"], error["field"]) == ("CONFLICT", ["input", "email"])
    for table in TABLES:
        assert await stored.count(table) == 1
    # The handle that was asked for in vain is free.
    assert (await signs_up(server.passer_by(), handle="other"))["viewer"]["handle"] == "other"


async def test_another_domain_is_another_address(server: Server) -> None:
    await server.sign_up("zaynab", email="zaynab@straße.example")
    assert (await signs_up(server.passer_by(), handle="other", email="zaynab@strasse.example"))["viewer"]


async def test_addresses_are_never_shown(server: Server) -> None:
    outputs = [kind for kind in executable.type_map.values() if hasattr(kind, "fields")]
    shown = {kind.name for kind in outputs for name in kind.fields if "mail" in name.lower()}
    assert shown == {"SignUpInput"}
    zaynab = await server.sign_up("zaynab", email="secret-name@example.org")
    other = await signs_up(server.passer_by(), handle="other", email="Secret-Name@example.org")
    signed_in = await zaynab.does("signIn", SIGNED_UP, login="secret-name@example.org", password=PASSWORD)
    for answer in (other.payload, signed_in.payload):
        assert "secret-name" not in str(answer).lower()


async def test_sign_ups_from_one_address_are_limited(serve: Serve, stored: Oracle) -> None:
    server = await serve(sign_up_per_address="3/3600")
    for nth in range(2):
        await server.sign_up(f"guest_{nth}")
    # A failed one counts as well, or the limit would say nothing about guessing what is taken.
    assert (await signs_up(server.passer_by(), handle="guest_0")).refused == "CONFLICT"
    for _ in range(2):
        error = only_error(await signs_up(server.passer_by()))
        assert (error["code"], error["field"]) == ("RATE_LIMITED", None)
        assert any(word.isdigit() and 0 < int(word) <= 1200 for word in error["message"].split())
    assert await stored.count("users") == 2
    await stored.rows("UPDATE throttles SET drips_at = drips_at - interval '21 minutes'")
    assert (await signs_up(server.passer_by()))["viewer"]
    assert (await signs_up(server.passer_by())).refused == "RATE_LIMITED"


def _asgi(server: Server) -> Any:
    """The application itself, without what the tests' HTTP server puts before it."""
    return server.uvicorn.config.app


@asynccontextmanager
async def calling_from(server: Server, peer: str, forwarded_for: str | None) -> AsyncIterator[Person]:
    """Somebody whose connection comes from an address that this machine does not have."""
    transport = httpx.ASGITransport(_asgi(server), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport) as http:
        headers = {} if forwarded_for is None else {"x-forwarded-for": forwarded_for}
        yield Person(server.url, http, headers=headers)


class Arrivals:
    """People who sign up, each once, from here and there."""

    def __init__(self, server: Server) -> None:
        self._server, self._numbers = server, count()

    async def refused(self, peer: str, forwarded_for: str | None = None) -> str | None:
        name = f"guest_{next(self._numbers)}"
        async with calling_from(self._server, peer, forwarded_for) as person:
            return (await signs_up(person, handle=name, email=f"{name}@example.org")).refused


async def test_whose_forwarded_addresses_count_is_a_setting(serve: Serve) -> None:
    arrivals = Arrivals(await serve(sign_up_per_address="1/3600", trusted_proxies="192.0.2.1, 10.0.0.0/8"))
    assert await arrivals.refused("192.0.2.1", "203.0.113.7") is None
    assert await arrivals.refused("192.0.2.1", "203.0.113.8, 10.1.2.3") is None
    # What a client writes itself stands further left than what the proxies append.
    assert await arrivals.refused("192.0.2.1", "198.51.100.1, 203.0.113.7") == "RATE_LIMITED"
    assert await arrivals.refused("10.1.1.1", "198.51.100.2, 203.0.113.8, 10.9.9.9") == "RATE_LIMITED"
    assert await arrivals.refused("203.0.113.8") == "RATE_LIMITED"
    # Who is no proxy speaks for themselves alone.
    assert await arrivals.refused("192.0.2.2", "203.0.113.99") is None
    assert await arrivals.refused("192.0.2.2", "203.0.113.100") == "RATE_LIMITED"
    # One IPv6 network is one address.
    assert await arrivals.refused("192.0.2.1", "2001:db8:1:2::1") is None
    assert await arrivals.refused("192.0.2.1", "2001:db8:1:2:ffff::9") == "RATE_LIMITED"
    assert await arrivals.refused("192.0.2.1", "2001:db8:1:3::1") is None


async def test_without_trusted_proxies_forwarded_addresses_say_nothing(serve: Serve) -> None:
    server = await serve(sign_up_per_address="1/3600")
    arrivals = Arrivals(server)
    assert await arrivals.refused("127.0.0.1", "203.0.113.1") is None
    assert await arrivals.refused("127.0.0.1", "203.0.113.2") == "RATE_LIMITED"
    assert await arrivals.refused("203.0.113.2") is None
    # Nor does the HTTP server of a worker look at them.
    assert worker.config(server.settings).proxy_headers is False


@pytest.mark.parametrize(
    ("accept", "arabic"),
    [
        (None, False),
        ("ar", True),
        ("ar-EG", True),
        ("AR-eg;q=0.9, en;q=0.3", True),
        ("fr, de;q=0.9, ar;q=0.1", True),
        ("en-GB, ar;q=0.8", False),
        ("ar;q=0, en", False),
        ("fr", False),
        ("*", False),
        (";;q=,,ar;q=x", False),
    ],
)
async def test_refusals_speak_the_clients_language(server: Server, accept: str | None, arabic: bool) -> None:
    person = server.passer_by()
    if accept is not None:
        person.headers = {"accept-language": accept}
    error = only_error(await signs_up(person, handle="no spaces please"))
    assert any("\u0600" <= letter <= "\u06ff" for letter in error["message"]) is arabic
    assert ("handle" in error["message"]) is not arabic
