"""Demo mode: accounts that anybody may act as, with ready-made tokens."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from app.graphiql.routes import DemoAccount
from app.parts import DEMO_TOKEN_LIFETIME, Parts, access_tokens
from app.seed import DEMO_HANDLES, DEMO_PASSWORD
from app.settings import Settings
from app.tokens import AccessTokens
from dataloaders.database import Database, Session
from dataloaders.rows import IdRow
from dataloaders.users import USERS, user_ids_by_handles, users_by_ids
from sql import load

SESSIONS = load("sessions")


def accounts_of(parts_of: Callable[[], Parts]) -> Callable[[], Awaitable[list[DemoAccount]]]:
    """The demo accounts with fresh tokens, for GraphiQL."""

    async def accounts() -> list[DemoAccount]:
        parts = parts_of()
        async with parts.database.opened() as session:
            return await _accounts(session, parts.door.tokens)

    return accounts


async def _accounts(session: Session, tokens: AccessTokens) -> list[DemoAccount]:
    async with session.turn() as db:
        ids = [id for id in await user_ids_by_handles(db, DEMO_HANDLES) if id is not None]
        users = [user for user in await users_by_ids(db, ids) if user is not None]
    return [
        DemoAccount(user.handle, user.display_name, await _token(session, tokens, user.id)) for user in users
    ]


async def _token(session: Session, tokens: AccessTokens, user_id: int) -> str:
    """A token of a session of its own, which no refresh token fits."""
    now = datetime.now(UTC)
    async with session.turn() as db:
        session_id = (await db.one(IdRow, USERS["new_id"])).id
        await db.run(
            SESSIONS["insert_session"],
            user_id,
            session_id,
            secrets.token_bytes(32),
            now + DEMO_TOKEN_LIFETIME,
        )
    return tokens.issue(user_id, session_id, now, DEMO_TOKEN_LIFETIME)[0]


async def token_for(settings: Settings, handle: str) -> str:
    """An access token for any account. Raises LookupError when there is none."""
    assert settings.database_url is not None
    async with Database.connected(settings.database_url, size=1) as database, database.opened() as session:
        async with session.turn() as db:
            user_id = (await user_ids_by_handles(db, [handle.lower()]))[0]
        if user_id is None:
            raise LookupError(handle)
        return await _token(session, access_tokens(settings), user_id)


async def _banner_accounts(settings: Settings) -> list[DemoAccount]:
    assert settings.database_url is not None
    async with Database.connected(settings.database_url, size=1) as database, database.opened() as session:
        return await _accounts(session, access_tokens(settings))


def banner(settings: Settings, base_url: str) -> str:
    """What to open, whom to act as, and how to stop."""
    import asyncio

    accounts = asyncio.run(_banner_accounts(settings))
    lines = [
        "",
        "  Maydan is open.",
        "",
        f"  GraphiQL       {base_url}/graphiql",
        f"  GraphQL        {base_url}/graphql   (HTTP, and WebSocket with graphql-transport-ws)",
        "",
        f"  Demo accounts  password of both: {DEMO_PASSWORD}",
    ]
    for account in accounts:
        lines += [
            f"    {account.handle} ({account.display_name}), access token for 24 hours:",
            f"    {account.access_token}",
        ]
    return "\n".join([*lines, "", "  Ctrl-C stops it.", ""])
