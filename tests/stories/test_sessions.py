"""Sessions: refreshed again and again, ended by signing out or by a stolen token, refused everywhere when over."""

import asyncio
import base64
import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from graphql import get_named_type, is_list_type, is_non_null_type
from websockets.exceptions import ConnectionClosed

from app.embedded import EmbeddedValkey
from app.live import hub, sequencer
from app.refresh import RefreshTokens
from schema.build import executable
from tests.conftest import Oracle, Serve, Server, serving
from tests.live import holds
from tests.people import PASSWORD, Answer, Outcome, Person, Socket

WHO = "{ viewer { handle } }"
TOKENS = "accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt"
SIGN_OUT = "mutation { signOut { userErrors { code } } }"


async def refreshes(server: Server, token: str) -> Outcome:
    return await server.passer_by().does(
        "refreshSession", f"viewer {{ handle }} tokens {{ {TOKENS} }}", refreshToken=token
    )


async def is_over(server: Server, token: str) -> None:
    """The refresh token is refused, and said to be over."""
    refused = await refreshes(server, token)
    [error] = refused.payload["userErrors"]
    assert (error["code"], error["field"]) == ("BAD_CREDENTIALS", ["input", "refreshToken"])
    assert refused.payload["viewer"] is refused.payload["tokens"] is None


async def time_passes(stored: Oracle, seconds: float) -> None:
    """Since the last refresh of every session."""
    await stored.rows("UPDATE sessions SET rotated_at = rotated_at - make_interval(secs => $1)", seconds)


def holder(server: Server, access_token: str) -> Person:
    """Somebody with this token."""
    return Person(server.url, server.http, token=access_token)


def is_refused(answer: Answer) -> bool:
    """Whether the token was refused as the contract says, which is never a half answer."""
    if answer.status == 200:
        return False
    assert (answer.status, answer.error_codes) == (401, ["UNAUTHENTICATED"])
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "data" not in answer.body
    return True


async def test_refreshing_gives_new_tokens_and_keeps_the_session(
    server: Server, alice: Person, stored: Oracle
) -> None:
    token, seen = alice.refresh_token, {alice.refresh_token}
    for _ in range(3):
        await time_passes(stored, 900)
        await stored.rows("UPDATE sessions SET expires_at = expires_at - interval '10 days'")
        done = await refreshes(server, token)
        assert done["viewer"] == {"handle": "alice"}
        token = done["tokens"]["refreshToken"]
        assert token not in seen
        seen.add(token)
        assert (await holder(server, done["tokens"]["accessToken"]).asks(WHO)).data == {
            "viewer": {"handle": "alice"}
        }
        ends = datetime.fromisoformat(done["tokens"]["refreshTokenExpiresAt"])
        assert timedelta(days=29.9) < ends - datetime.now(UTC) <= timedelta(days=30)
        ends = datetime.fromisoformat(done["tokens"]["accessTokenExpiresAt"])
        assert timedelta(minutes=14) < ends - datetime.now(UTC) <= timedelta(minutes=15)
    # What was issued before holds until its own end.
    assert (await alice.asks(WHO)).data == {"viewer": {"handle": "alice"}}
    (session,) = await stored.rows("SELECT * FROM sessions")
    assert all(token not in str(value) for value in session for token in seen)


async def test_a_repeated_refresh_gets_the_same_successor(
    server: Server, alice: Person, stored: Oracle
) -> None:
    first = await refreshes(server, alice.refresh_token)
    await time_passes(stored, 5)
    again = await refreshes(server, alice.refresh_token)
    for name in ("refreshToken", "refreshTokenExpiresAt"):
        assert again["tokens"][name] == first["tokens"][name]
    # The successor is spent only once as well.
    await refreshes(server, first["tokens"]["refreshToken"])
    assert await stored.count("sessions", "revoked_at IS NULL") == 1


async def test_refreshes_at_once_get_the_same_successor(serve: Serve, stored: Oracle) -> None:
    servers = [await serve(), await serve()]
    alice = await servers[0].sign_up("alice")
    done = await asyncio.gather(*(refreshes(servers[nth % 2], alice.refresh_token) for nth in range(10)))
    successors = {outcome["tokens"]["refreshToken"] for outcome in done}
    assert len(successors) == 1
    (session,) = await stored.rows("SELECT generation, revoked_at FROM sessions")
    assert tuple(session) == (1, None)
    assert (await refreshes(servers[1], successors.pop()))["viewer"] == {"handle": "alice"}


async def test_a_spent_token_ends_the_session_after_ten_seconds(
    server: Server, alice: Person, stored: Oracle
) -> None:
    other = await server.passer_by().does(
        "signIn", f"tokens {{ {TOKENS} }}", login="alice", password=PASSWORD
    )
    stolen = alice.refresh_token
    tokens = (await refreshes(server, stolen))["tokens"]
    async with holder(server, tokens["accessToken"]).socket() as socket:
        await time_passes(stored, 10.5)
        await is_over(server, stolen)
        assert await closed(socket) == 4403
    # Thief and owner are out, with all that they had of this session.
    for token in (stolen, tokens["refreshToken"]):
        await is_over(server, token)
    for access in (alice.token, tokens["accessToken"]):
        assert is_refused(await holder(server, access or "").asks(WHO))
    assert await stored.count("sessions", "revoked_at IS NOT NULL") == 1
    # Her other session goes on.
    assert (await holder(server, other["tokens"]["accessToken"]).asks(WHO)).data["viewer"]
    assert (await refreshes(server, other["tokens"]["refreshToken"]))["viewer"]


async def test_a_token_spent_long_ago_ends_the_session(server: Server, alice: Person, stored: Oracle) -> None:
    token = alice.refresh_token
    for _ in range(3):
        await time_passes(stored, 900)
        token = (await refreshes(server, token))["tokens"]["refreshToken"]
    await time_passes(stored, 900)
    await is_over(server, alice.refresh_token)
    await is_over(server, token)
    assert is_refused(await alice.asks(WHO))


async def test_a_token_that_is_not_ours_ends_nothing(server: Server, alice: Person, stored: Oracle) -> None:
    token = alice.refresh_token
    octets = bytearray(base64.urlsafe_b64decode(token + "=="))
    forged = []
    for place in (0, 5, 12, 20, 30, 60):
        changed = bytearray(octets)
        changed[place] ^= 1
        forged.append(base64.urlsafe_b64encode(changed).decode().rstrip("="))
    (session,) = await stored.rows("SELECT user_id, id FROM sessions")
    stranger = RefreshTokens(b"x" * 32).first(session["user_id"], session["id"])
    forged += [stranger, RefreshTokens(b"x" * 32).successor(stranger)]
    forged += ["", " ", token + "=", token[:-1], f" {token}", token.swapcase(), "\0", "\ud83d", "x" * 100_000]
    assert alice.token is not None
    for text in (*forged, alice.token):
        await is_over(server, text)
    assert await stored.count("sessions", "revoked_at IS NULL AND generation = 0") == 1
    assert (await alice.asks(WHO)).data["viewer"]
    assert (await refreshes(server, token))["viewer"] == {"handle": "alice"}


async def test_a_session_ends_after_thirty_days_without_a_refresh(
    server: Server, alice: Person, stored: Oracle
) -> None:
    await stored.rows("UPDATE sessions SET expires_at = now()")
    await is_over(server, alice.refresh_token)
    assert await stored.count("sessions", "generation = 0") == 1


async def closed(socket: Socket) -> int | None:
    """The code that a socket is closed with; what comes before is read."""
    with suppress(ConnectionClosed):
        while True:
            await socket.receive()
    return socket.connection.close_code


async def test_signing_out_is_felt_at_once(
    server: Server, alice: Person, bob: Person, stored: Oracle
) -> None:
    async with alice.socket() as socket, bob.socket() as bobs:
        assert (await alice.asks(SIGN_OUT)).data == {"signOut": {"userErrors": []}}
        assert is_refused(await alice.asks(WHO))
        assert await closed(socket) == 4403
        await bobs.send({"id": "a", "type": "subscribe", "payload": {"query": WHO}})
        assert (await bobs.receive())["payload"] == {"data": {"viewer": {"handle": "bob"}}}
    await is_over(server, alice.refresh_token)
    # Also for signing out again, for what needs no viewer, and on a new socket.
    for document in (SIGN_OUT, "{ publicTimeline { liveCursor } }"):
        assert is_refused(await alice.asks(document))
    with pytest.raises(ConnectionClosed) as ended:
        await alice.socket().__aenter__()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4403
    assert await stored.count("sessions", "revoked_at IS NOT NULL") == 1


async def test_signing_out_over_a_socket_is_answered_before_it_closes(alice: Person) -> None:
    async with alice.socket() as socket:
        await socket.send({"id": "a", "type": "subscribe", "payload": {"query": SIGN_OUT}})
        answer = await socket.receive()
        assert (answer["type"], answer["payload"]) == ("next", {"data": {"signOut": {"userErrors": []}}})
        assert await closed(socket) == 4403


@pytest.mark.parametrize("with_valkey", [True, False])
async def test_signing_out_is_felt_on_every_server_within_a_second(
    database: str, valkey: EmbeddedValkey, tmp_path: Path, with_valkey: bool
) -> None:
    # Even when nobody is woken, looking takes less than that.
    assert sequencer.SWEEP + hub.LOOK_EVERY < 0.5
    url = valkey.url if with_valkey else f"unix://{tmp_path}/nobody.sock"
    async with (
        serving(database, url) as one,
        serving(database, url) as other,
        serving(database, url) as third,
    ):
        people = [await server.sign_up(f"guest_{nth}") for nth, server in enumerate((one, other, third))]
        for person, there in zip(people, (other, third, one), strict=True):
            elsewhere = holder(there, person.token or "")
            async with elsewhere.socket() as socket:
                began = time.monotonic()
                assert (await person.asks(SIGN_OUT)).data

                async def refused(elsewhere: Person = elsewhere) -> bool:
                    return is_refused(await elsewhere.asks(WHO))

                await holds(refused)
                # The promise, with some room for a machine that does much else.
                assert time.monotonic() - began < 3
                assert await closed(socket) == 4403
    # Who starts later knows it as well.
    async with serving(database, url) as late:
        for person in people:
            assert is_refused(await holder(late, person.token or "").asks(WHO))


def session_of(token: str | None) -> tuple[int, int]:
    """Account and session of an access token."""
    claims = jwt.decode(token or "", options={"verify_signature": False})
    return int(claims["sub"]), int(claims["sid"])


async def test_an_access_token_is_over_after_its_time(server: Server, alice: Person, stored: Oracle) -> None:
    tokens = server.application.parts.door.tokens
    for age, over in (
        (timedelta(minutes=14), False),
        (timedelta(minutes=16), True),
        (timedelta(days=400), True),
    ):
        alice.token = tokens.issue(*session_of(alice.token), datetime.now(UTC) - age)[0]
        assert is_refused(await alice.asks(WHO)) is over
        assert is_refused(await alice.asks("{ publicTimeline { liveCursor } }")) is over
    assert is_refused(await alice.asks('mutation { createPost(input: {text: "x"}) { userErrors { code } } }'))
    assert await stored.count("posts") == 0
    # The refresh token is what it is for.
    done = await refreshes(server, alice.refresh_token)
    assert (await holder(server, done["tokens"]["accessToken"]).asks(WHO)).data == {
        "viewer": {"handle": "alice"}
    }


def key() -> tuple[str, str]:
    """A private key as a setting, and its public one as PEM."""
    seed = os.urandom(32)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return base64.b64encode(seed).decode(), pem


async def test_keys_are_rotated_without_signing_anybody_out(serve: Serve) -> None:
    (oldest, oldest_public), (old, old_public), (new, _) = key(), key(), key()
    people = []
    for nth, private in enumerate((oldest, old, new)):
        made = await (await serve(token_private_key=private)).sign_up(f"guest_{nth}")
        people.append(made)

    async def accepted(server: Server) -> list[bool]:
        return [not is_refused(await holder(server, person.token or "").asks(WHO)) for person in people]

    assert await accepted(await serve(token_private_key=new)) == [False, False, True]
    assert await accepted(await serve(token_private_key=new, token_public_keys=old_public)) == [
        False,
        True,
        True,
    ]
    all_keys = await serve(token_private_key=new, token_public_keys=oldest_public + old_public)
    assert await accepted(all_keys) == [True, True, True]
    # Whoever else checks tokens finds the keys where one looks for them.
    answer = await all_keys.http.get(f"{all_keys.url}/.well-known/jwks.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    assert len(keys.keys) == 3
    assert not any("d" in published for published in answer.json()["keys"])
    for person in people:
        token = person.token or ""
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token, keys[header["kid"]], algorithms=["EdDSA"], issuer="maydan", audience="maydan"
        )
        assert (header["typ"], set(claims)) == ("at+jwt", {"iss", "aud", "sub", "sid", "iat", "exp"})
        assert claims["exp"] - claims["iat"] == 900


def example(kind: Any) -> Any:
    """A value of an input type."""
    kind = kind.of_type if is_non_null_type(kind) else kind
    if is_list_type(kind):
        return []
    fields = getattr(get_named_type(kind), "fields", None)
    return "x" if fields is None else {name: example(field.type) for name, field in fields.items()}


OPEN_TO_ALL = {"signUp", "signIn", "refreshSession"}


async def test_a_passer_by_changes_nothing(
    server: Server, alice: Person, passer_by: Person, stored: Oracle
) -> None:
    await alice.posts("good morning")
    tables = ("users", "posts", "likes", "entries", "following", "blocks", "sessions")
    before = [await stored.rows(f"SELECT * FROM {table}") for table in tables]
    mutations = executable.mutation_type
    assert mutations is not None
    assert len(mutations.fields) > len(OPEN_TO_ALL)
    for name, field in mutations.fields.items():
        if name in OPEN_TO_ALL:
            continue
        # First of all, whatever the input: even what is INVALID or NOT_FOUND.
        variables = {argument: example(given.type) for argument, given in field.args.items()}
        declared = ", ".join(f"${argument}: {given.type}" for argument, given in field.args.items())
        passed = ", ".join(f"{argument}: ${argument}" for argument in field.args)
        document = f"mutation {f'({declared})' if declared else ''} {{ {name}"
        document += f"{f'({passed})' if passed else ''} {{ userErrors {{ code }} }} }}"
        answer = await passer_by.asks(document, **variables)
        assert (answer.status, answer.error_codes, answer.body["data"]) == (200, ["UNAUTHENTICATED"], None), (
            name
        )
    assert [await stored.rows(f"SELECT * FROM {table}") for table in tables] == before


async def test_a_passer_by_has_no_home_and_reads_what_is_public(alice: Person, passer_by: Person) -> None:
    await alice.posts("good morning")
    answer = await passer_by.asks(
        "{ viewer { id } homeTimeline { liveCursor } publicTimeline { edges { node { post { text } } } } }"
    )
    assert (answer.status, answer.error_codes) == (200, ["UNAUTHENTICATED"])
    [edge] = answer.body["data"].pop("publicTimeline")["edges"]
    assert edge["node"]["post"]["text"] == "good morning"
    assert answer.body["data"] == {"viewer": None, "homeTimeline": None}
    assert [error["path"] for error in answer.body["errors"]] == [["homeTimeline"]]


async def test_refreshing_is_for_passers_by(server: Server, alice: Person, stored: Oracle) -> None:
    """Sent with an access token that is over it is refused like everything else, and nothing is spent."""
    alice.token = "over"
    document = (
        "mutation ($token: String!) { refreshSession(input: {refreshToken: $token}) { userErrors { code } } }"
    )
    assert is_refused(await alice.asks(document, token=alice.refresh_token))
    assert await stored.count("sessions", "generation = 0") == 1
    assert (await refreshes(server, alice.refresh_token))["viewer"] == {"handle": "alice"}
