"""Signing up, in and out, and refreshing a session."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import NamedTuple

from dataloaders.database import Session, Statements
from dataloaders.rows import IdRow, LevelRow, PasswordRow, SessionRow, UserIdRow, UserRow, WaitRow
from dataloaders.sessions import sessions_rotated_at
from dataloaders.users import USERS
from resolvers.context import Allowance, Context, RefreshClaims, Viewer
from resolvers.errors import Refusal, UserErrorCode
from resolvers.events import announce_revoked_session
from resolvers.messages import Message
from resolvers.text import (
    TextError,
    fold_handle,
    normalize_display_name,
    normalize_email,
    normalize_handle,
    normalize_password,
)
from resolvers.text_refusals import text_refusal
from resolvers.visibility import VisibleUser, own_account
from sql import load

SESSIONS = load("sessions")

# A phone whose answer was lost repeats its refresh; so long it gets the same successor.
REPEAT_WINDOW = timedelta(seconds=10)


class Tokens(NamedTuple):
    """What a session is held by."""

    access: str
    access_expires_at: datetime
    refresh: str
    refresh_expires_at: datetime


class SignedIn(NamedTuple):
    """The account that signed in, and its session's tokens."""

    viewer: VisibleUser
    tokens: Tokens


class Registration(NamedTuple):
    """What somebody who signs up gives, as typed."""

    handle: str
    display_name: str
    email: str
    password: str


async def sign_up(ctx: Context, registration: Registration) -> SignedIn:
    """Make an account and its first session."""
    await _spend(ctx, f"up:{ctx.address}", ctx.services.limits.sign_up_per_address)
    handle = _checked(normalize_handle, registration.handle, "handle", Message.HANDLE_INVALID)
    name = _checked(normalize_display_name, registration.display_name, "displayName")
    email = _checked(normalize_email, registration.email, "email", Message.EMAIL_INVALID)
    password = _checked(normalize_password, registration.password, "password", Message.PASSWORD_INVALID)
    # Hashing takes a while, so no connection is held meanwhile.
    await ctx.db.release()
    password_hash = await ctx.services.passwords.hash(password)
    async with ctx.db.transaction() as tx:
        user_id = (await tx.one(IdRow, USERS["new_id"])).id
        if await tx.maybe(UserIdRow, USERS["claim_handle"], handle, user_id) is None:
            raise Refusal(UserErrorCode.CONFLICT, Message.HANDLE_TAKEN, "handle")
        if await tx.maybe(UserIdRow, USERS["claim_email"], email, user_id) is None:
            raise Refusal(UserErrorCode.CONFLICT, Message.EMAIL_TAKEN, "email")
        user = await tx.one(UserRow, USERS["insert_user"], user_id, handle, name)
        await tx.run(USERS["insert_credentials"], user_id, email, password_hash)
        session_id, tokens = await _open_session(ctx, tx, user_id)
    _become(ctx, user_id, session_id)
    return SignedIn(own_account(user, user_id), tokens)


async def sign_in(ctx: Context, login: str, password: str) -> SignedIn:
    """Open a session. A wrong password and an unknown account answer the same, in the same time."""
    user_id = await _account_of(ctx, login)
    # Unknown accounts have a bucket as well, or the limit would tell which accounts exist.
    buckets = [f"in:{ctx.address}", f"login:{_bucket(login)}" if user_id is None else f"account:{user_id}"]
    await _spend(ctx, buckets[0], ctx.services.limits.sign_in_per_address)
    await _spend(ctx, buckets[1], ctx.services.limits.sign_in_per_account)
    async with ctx.db.turn() as db:
        stored = await db.maybe(PasswordRow, USERS["password_hash"], user_id or 0)
    await ctx.db.release()
    right = await ctx.services.passwords.verify(password, None if stored is None else stored.password_hash)
    if not right or user_id is None:
        raise Refusal(UserErrorCode.BAD_CREDENTIALS, Message.BAD_CREDENTIALS)
    async with ctx.db.transaction() as tx:
        # Attempts are paid before the password is looked at, so that many at once cannot pass; a right one is free.
        for bucket in buckets:
            await tx.run(SESSIONS["refund_throttle"], bucket)
        session_id, tokens = await _open_session(ctx, tx, user_id)
    return SignedIn(await _become_account(ctx, user_id, session_id), tokens)


async def refresh_session(ctx: Context, refresh_token: str) -> SignedIn:
    """Trade a refresh token for the next one and a new access token.

    A spent token ends the session, since somebody has a copy; except that a repeat within REPEAT_WINDOW gets the
    same successor.
    """
    claims = ctx.services.refresh_tokens.parse(refresh_token)
    if claims is None:
        raise Refusal(UserErrorCode.BAD_CREDENTIALS, Message.SESSION_OVER, "refreshToken")
    async with ctx.db.transaction() as tx:
        tokens = await _rotate(ctx, tx, claims, refresh_token)
    ctx.services.bus.ring()
    if tokens is None:
        ctx.services.bus.revoke(claims.session_id)
        raise Refusal(UserErrorCode.BAD_CREDENTIALS, Message.SESSION_OVER, "refreshToken")
    return SignedIn(await _become_account(ctx, claims.user_id, claims.session_id), tokens)


async def sign_out(ctx: Context) -> None:
    """End the viewer's session: its access tokens are refused from now on, on every worker within a second."""
    viewer = ctx.require_viewer()
    async with ctx.db.transaction() as tx:
        await _revoke(tx, viewer.id, viewer.session_id)
    ctx.services.bus.revoke(viewer.session_id)
    ctx.services.bus.ring()


async def end_sessions(db: Session, user_id: int) -> int:
    """End every session of an account, for the operator. Returns how many there were."""
    async with db.transaction() as tx:
        ended = await tx.many(IdRow, SESSIONS["revoke_sessions_of"], user_id)
        for row in ended:
            await announce_revoked_session(tx, user_id, row.id)
    return len(ended)


async def newest_token_ends(
    db: Session, sessions: Sequence[Viewer], token_lifetime: timedelta
) -> list[datetime | None]:
    """When the newest access token of each session ends, or ended; None for sessions that are over."""
    async with db.turn() as turn:
        rotated = await sessions_rotated_at(turn, sessions)
    return [None if at is None else at + token_lifetime for at in rotated]


async def open_session(ctx: Context, user_id: int) -> Tokens:
    """A session without a password: for the demo's accounts and the command line, never for a request."""
    async with ctx.db.transaction() as tx:
        return (await _open_session(ctx, tx, user_id))[1]


async def _rotate(ctx: Context, tx: Statements, claims: RefreshClaims, refresh_token: str) -> Tokens | None:
    """The next tokens; None when the session is over, or ends now because the token was spent."""
    maker, now = ctx.services.refresh_tokens, datetime.now(UTC)
    session = await tx.maybe(SessionRow, SESSIONS["lock_session"], claims.user_id, claims.session_id)
    if session is None or session.revoked_at is not None or session.expires_at <= now:
        return None
    successor = maker.successor(refresh_token)
    if claims.generation == session.generation and maker.digest(refresh_token) == session.refresh_digest:
        expires_at = now + ctx.services.refresh_lifetime
        await tx.run(
            SESSIONS["rotate_session"],
            session.user_id,
            session.id,
            session.generation + 1,
            maker.digest(successor),
            now,
            expires_at,
        )
    elif (
        claims.generation == session.generation - 1
        and maker.digest(successor) == session.refresh_digest
        and now - session.rotated_at <= REPEAT_WINDOW
    ):
        expires_at = session.expires_at
    else:
        await _revoke(tx, session.user_id, session.id)
        return None
    access, access_expires_at = ctx.services.access_tokens.issue(session.user_id, session.id, now)
    return Tokens(access, access_expires_at, successor, expires_at)


async def _open_session(ctx: Context, tx: Statements, user_id: int) -> tuple[int, Tokens]:
    session_id = (await tx.one(IdRow, USERS["new_id"])).id
    now = datetime.now(UTC)
    expires_at = now + ctx.services.refresh_lifetime
    refresh = ctx.services.refresh_tokens.first(user_id, session_id)
    digest = ctx.services.refresh_tokens.digest(refresh)
    await tx.run(SESSIONS["insert_session"], user_id, session_id, digest, expires_at)
    access, access_expires_at = ctx.services.access_tokens.issue(user_id, session_id, now)
    return session_id, Tokens(access, access_expires_at, refresh, expires_at)


async def _revoke(tx: Statements, user_id: int, session_id: int) -> None:
    if await tx.maybe(IdRow, SESSIONS["revoke_session"], user_id, session_id) is not None:
        await announce_revoked_session(tx, user_id, session_id)


def _become(ctx: Context, user_id: int, session_id: int) -> None:
    """The rest of the operation is answered to the account that just signed in."""
    ctx.viewer = Viewer(user_id, session_id)
    ctx.changed()


async def _become_account(ctx: Context, user_id: int, session_id: int) -> VisibleUser:
    _become(ctx, user_id, session_id)
    user = await ctx.loaders.users.load(user_id)
    if user is None:
        raise LookupError("a session's account is gone")
    return own_account(user, user_id)


async def _account_of(ctx: Context, login: str) -> int | None:
    """The account behind a handle or an e-mail address."""
    email, handle = _login(login)
    if email is not None:
        async with ctx.db.turn() as db:
            row = await db.maybe(UserIdRow, USERS["user_id_by_email"], email)
        return None if row is None else row.user_id
    return None if handle is None else await ctx.loaders.user_ids.load(handle)


def _login(login: str) -> tuple[str | None, str | None]:
    """The e-mail address or the handle that somebody typed; neither when no account can have it."""
    typed = login.strip()
    if "@" in typed[1:]:
        try:
            return normalize_email(typed), None
        except TextError:
            return None, None
    return None, fold_handle(typed.removeprefix("@"))


def _bucket(login: str) -> str:
    """A short stable name for a login without an account, the same for all its spellings, as an account's is."""
    email, handle = _login(login)
    form = email or handle or login.strip().casefold()
    return sha256(form.encode(errors="replace")).hexdigest()[:32]


async def _spend(ctx: Context, key: str, allowance: Allowance) -> None:
    """One attempt. Raises Refusal when the bucket is full, and says when to come back."""
    rate = allowance.attempts / allowance.per.total_seconds()
    async with ctx.db.turn() as db:
        if await db.maybe(LevelRow, SESSIONS["spend_throttle"], key, float(allowance.attempts), rate):
            return
        wait = await db.maybe(WaitRow, SESSIONS["throttle_wait"], key, float(allowance.attempts), rate)
    seconds = max(1, ceil(wait.seconds)) if wait is not None else 1
    raise Refusal(UserErrorCode.RATE_LIMITED, Message.TOO_MANY, seconds=seconds)


def _checked(normalize: Callable[[str], str], text: str, field: str, message: Message | None = None) -> str:
    try:
        return normalize(text)
    except TextError as error:
        if message is None:
            raise text_refusal(error, field) from error
        raise Refusal(UserErrorCode.INVALID, message, field, low=10, limit=error.limit or 128) from error
