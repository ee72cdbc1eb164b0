"""Signing in: by handle or e-mail address, telling nobody who has an account, and limited for those who guess."""

import asyncio
import threading
from collections import Counter
from typing import Any

import httpx
import pytest

from app.passwords import Passwords
from tests.conftest import Oracle, Serve, Server, Statements
from tests.people import PASSWORD, Outcome, Person

SIGNED_IN = "viewer { id handle } tokens { accessToken refreshToken }"
WRONG = "wrong horse battery"


async def signs_in(server: Server, login: str, password: str = PASSWORD) -> Outcome:
    return await server.passer_by().does("signIn", SIGNED_IN, login=login, password=password)


async def test_signing_in_opens_another_session(server: Server, alice: Person, stored: Oracle) -> None:
    done = await signs_in(server, "alice")
    assert done["viewer"] == {"id": alice.id, "handle": "alice"}
    assert done["tokens"]["refreshToken"] != alice.refresh_token
    again = Person(server.url, server.http, token=done["tokens"]["accessToken"])
    for person in (alice, again):
        assert (await person.asks("{ viewer { handle } }")).data == {"viewer": {"handle": "alice"}}
    assert await stored.count("sessions") == 2


@pytest.mark.parametrize(
    "login",
    [
        *("zaynab", "ZAYNAB", "@zaynab", " Zaynab "),
        *("zo\u00eb@straße.example", "ZOE\u0308@STRA\u1e9eE.EXAMPLE", " zo\u00eb@xn--strae-oqa.example\n"),
    ],
)
async def test_handle_and_address_are_taken_however_they_are_written(server: Server, login: str) -> None:
    zaynab = await server.sign_up("zaynab", email="zo\u00eb@straße.example")
    assert (await signs_in(server, login))["viewer"]["id"] == zaynab.id


async def test_a_password_is_one_whichever_keyboard_wrote_it(server: Server) -> None:
    await server.sign_up("zoe", password="cafe\u0301 au\u00a0lait")
    assert (await signs_in(server, "zoe", "caf\u00e9 au lait"))["viewer"]["handle"] == "zoe"
    for other in ("cafe au lait", "CAF\u00c9 AU LAIT", "caf\u00e9 au lait "):
        assert (await signs_in(server, "zoe", other)).refused == "BAD_CREDENTIALS"


class Hashing:
    """What the password hasher is asked to compare with: what of a hash decides how long that takes."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.costs: list[str] = []
        self.threads: set[int] = set()
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()
        passwords = server.application.parts.door.services.passwords
        assert isinstance(passwords, Passwords)
        self._verify = passwords._hasher.verify
        monkeypatch.setattr(passwords._hasher, "verify", self._counted)

    def _counted(self, password: bytes, hash: str) -> bool:
        with self._lock:
            self.costs.append("$".join(hash.split("$")[1:4]))
            self.threads.add(threading.get_ident())
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            return self._verify(password, hash)
        finally:
            with self._lock:
                self._now -= 1


async def test_wrong_passwords_and_unknown_accounts_look_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, stored: Oracle
) -> None:
    server = await serve(sign_in_per_account="100/900")
    await server.sign_up("alice")
    hashing, statements = Hashing(server, monkeypatch), Statements()
    server.application.parts.database.watchers.append(statements)
    seen: list[Any] = []
    for password in (WRONG, "", "x", "x" * 10_000, "\ud83d", "nul\0"):
        for logins in (("alice", "nobody"), ("alice@example.org", "nobody@example.org")):
            for login in logins:
                refused = await signs_in(server, login, password)
                seen.append((refused.payload, hashing.costs[:], statements.take()))
                hashing.costs.clear()
            known, unknown = seen[-2:]
            assert known == unknown
            assert len(known[1]) == 1, "hashed once"
    [error] = seen[0][0]["userErrors"]
    assert (error["code"], error["field"]) == ("BAD_CREDENTIALS", None)
    assert all(payload == seen[0][0] for payload, _, _ in seen)
    assert {cost for _, costs, _ in seen for cost in costs} == {"argon2id$v=19$m=19456,t=2,p=1"}
    assert await stored.count("sessions") == 1


@pytest.mark.parametrize(
    "login", ["", " ", "@", "@@", "a@", "@a", "x" * 100_000, "a@" + "b" * 100_000, "\0", "\ud83d@x.org"]
)
async def test_what_is_no_login_is_an_unknown_account(server: Server, alice: Person, login: str) -> None:
    assert (await signs_in(server, login)).refused == "BAD_CREDENTIALS"


async def test_at_most_two_passwords_are_looked_at_at_a_time(
    server: Server, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing = Hashing(server, monkeypatch)
    many = asyncio.gather(*(signs_in(server, "alice") for _ in range(8)))
    # Everybody else is served meanwhile: the event loop does not hash.
    assert (await server.passer_by().asks("{ viewer { id } }")).data == {"viewer": None}
    assert {outcome.refused for outcome in await many} == {None}
    assert len(hashing.costs) == 8
    assert hashing.most_at_once <= 2
    assert threading.get_ident() not in hashing.threads


async def test_failures_for_one_account_are_limited(serve: Serve, stored: Oracle) -> None:
    server = await serve(sign_in_per_account="3/900")
    await server.sign_up("alice")
    await server.sign_up("bob")
    for login in ("alice", "ALICE", "alice@example.org"):
        assert (await signs_in(server, login, WRONG)).refused == "BAD_CREDENTIALS"
    for login in ("alice", "@alice", "alice@example.org"):
        for password in (WRONG, PASSWORD):
            refused = await signs_in(server, login, password)
            [error] = refused.payload["userErrors"]
            assert (error["code"], error["field"]) == ("RATE_LIMITED", None)
            assert any(word.isdigit() and 0 < int(word) <= 300 for word in error["message"].split())
    assert await stored.count("sessions") == 2
    # Nobody else is concerned, and she neither after a while.
    assert (await signs_in(server, "bob"))["viewer"]
    await stored.rows("UPDATE throttles SET drips_at = drips_at - interval '6 minutes'")
    assert (await signs_in(server, "alice"))["viewer"]


async def test_right_passwords_are_not_counted_and_excuse_nothing(serve: Serve) -> None:
    server = await serve(sign_in_per_account="3/900", sign_in_per_address="4/900")
    await server.sign_up("alice")
    for _ in range(6):
        assert (await signs_in(server, "alice"))["viewer"]
    for _ in range(3):
        assert (await signs_in(server, "alice", WRONG)).refused == "BAD_CREDENTIALS"
    assert (await signs_in(server, "alice")).refused == "RATE_LIMITED"


async def test_guesses_at_once_do_not_slip_through(serve: Serve) -> None:
    server = await serve(sign_in_per_account="5/90000")
    await server.sign_up("alice")
    outcomes = await asyncio.gather(*(signs_in(server, "alice", f"{WRONG} {nth}") for nth in range(30)))
    assert Counter(outcome.refused for outcome in outcomes) == {"BAD_CREDENTIALS": 5, "RATE_LIMITED": 25}


async def test_the_limit_does_not_tell_who_has_an_account(serve: Serve) -> None:
    server = await serve(sign_in_per_account="3/900")
    await server.sign_up("alice", email="alice@straße.example")
    for name in ("alice", "nobody"):
        address = f"{name}@straße.example"
        for logins in (
            (name, f"@{name}", f" {name.upper()}\n", name),
            (address, address.upper().replace("SS", "ß"), f"{name}@xn--strae-oqa.example", f" {address}"),
        ):
            told = [(await signs_in(server, login, WRONG)).refused for login in logins]
            if name == "alice" and logins[0] == address:
                assert told == ["RATE_LIMITED"] * 4
            else:
                assert told == ["BAD_CREDENTIALS"] * 3 + ["RATE_LIMITED"], logins


async def test_failures_from_one_address_are_limited(serve: Serve, stored: Oracle) -> None:
    server = await serve(sign_in_per_address="4/900")
    await server.sign_up("alice")
    for nth in range(4):
        # Whichever account is tried.
        assert (
            await signs_in(server, "alice" if nth % 2 else f"nobody{nth}", WRONG)
        ).refused == "BAD_CREDENTIALS"
    for login in ("alice", "nobody"):
        assert (await signs_in(server, login)).refused == "RATE_LIMITED"
    # Accounts are not used up by an address that may not try: she gets in from elsewhere.
    used = await stored.rows("SELECT level FROM throttles WHERE key LIKE 'account:%'")
    assert [row["level"] for row in used] == [pytest.approx(2, abs=0.5)]
    await stored.rows("UPDATE throttles SET drips_at = drips_at - interval '1 hour' WHERE key LIKE 'in:%'")
    assert (await signs_in(server, "alice"))["viewer"]


async def test_limits_hold_on_all_servers_together(serve: Serve) -> None:
    one, other = await serve(sign_in_per_account="3/900"), await serve(sign_in_per_account="3/900")
    await one.sign_up("alice")
    for server in (one, other, one):
        assert (await signs_in(server, "alice", WRONG)).refused == "BAD_CREDENTIALS"
    assert (await signs_in(other, "alice")).refused == "RATE_LIMITED"


async def test_who_comes_through_a_trusted_proxy_is_counted_by_their_own_address(serve: Serve) -> None:
    limits = {"sign_in_per_address": "3/900", "sign_in_per_account": "100/900"}
    behind_a_proxy = await serve(trusted_proxies="127.0.0.1", **limits)
    open_to_all = await serve(**limits)
    await behind_a_proxy.sign_up("alice")

    async def tries(server: Server, came_from: str, password: str = WRONG) -> str | None:
        # To the application itself: the tests' HTTP server would read the header before it, a worker's does not.
        transport = httpx.ASGITransport(server.uvicorn.config.app, client=("127.0.0.1", 1))  # type: ignore[arg-type]  # the application as it was given
        async with httpx.AsyncClient(transport=transport) as http:
            person = Person(server.url, http, headers={"x-forwarded-for": came_from})
            return (await person.does("signIn", SIGNED_IN, login="alice", password=password)).refused

    for came_from in ("203.0.113.1", "198.51.100.7, 203.0.113.1", "203.0.113.1:4711"):
        assert await tries(behind_a_proxy, came_from) == "BAD_CREDENTIALS"
    assert await tries(behind_a_proxy, "203.0.113.1", PASSWORD) == "RATE_LIMITED"
    assert await tries(behind_a_proxy, "203.0.113.2", PASSWORD) is None
    # Where nobody is trusted, the header buys no further attempts.
    for nth in range(3):
        assert await tries(open_to_all, f"192.0.2.{nth}") == "BAD_CREDENTIALS"
    assert await tries(open_to_all, "192.0.2.99", PASSWORD) == "RATE_LIMITED"
