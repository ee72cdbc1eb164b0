"""Signing up, in and out: inputs, payloads and tokens."""

import strawberry

from resolvers import sessions
from schema.errors import USER_ERRORS, UserError
from schema.moments import Moment
from schema.user import User


@strawberry.type(
    description=(
        "What a session is held by. Secrets: keep them in the phone's key store, never in a cache or a log."
    )
)
class SessionTokens:
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    access_token_expires_at: Moment = strawberry.field(
        description="When it ends; call refreshSession shortly before, or after a 401."
    )
    refresh_token: str = strawberry.field(
        description="Good for one refreshSession, which returns the next one."
    )
    refresh_token_expires_at: Moment = strawberry.field(
        description="When the session ends unless it is refreshed before."
    )

    @staticmethod
    def of(tokens: sessions.Tokens) -> "SessionTokens":
        """The tokens as clients see them."""
        return SessionTokens(
            access_token=tokens.access,
            access_token_expires_at=Moment(tokens.access_expires_at),
            refresh_token=tokens.refresh,
            refresh_token_expires_at=Moment(tokens.refresh_expires_at),
        )


@strawberry.input(description="A new account.")
class SignUpInput:
    handle: str = strawberry.field(
        description="3 to 30 characters of a-z, 0-9 and _; upper case is folded. Unique on the server."
    )
    display_name: str = strawberry.field(description="The name to show: any script, 1 to 50 characters.")
    email: str = strawberry.field(description="For signing in; never shown to others. One account each.")
    password: str = strawberry.field(description="10 to 128 characters.")


@strawberry.input(description="Who signs in.")
class SignInInput:
    login: str = strawberry.field(description="Handle or e-mail address.")
    password: str = strawberry.field(description="The account's password.")


@strawberry.input(description="Which session goes on.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(
        description="The newest refresh token. A spent one ends the session, except for a repeat within 10 seconds."
    )


@strawberry.type(description="The new account, signed in.")
class SignUpPayload:
    viewer: User | None = strawberry.field(default=None, description="The new account.")
    tokens: SessionTokens | None = strawberry.field(default=None, description="Its first session's tokens.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The account, signed in.")
class SignInPayload:
    viewer: User | None = strawberry.field(default=None, description="The account that signed in.")
    tokens: SessionTokens | None = strawberry.field(default=None, description="The session's tokens.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The session, going on.")
class RefreshSessionPayload:
    viewer: User | None = strawberry.field(default=None, description="The session's account.")
    tokens: SessionTokens | None = strawberry.field(
        default=None, description="The next tokens; the ones before are spent."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The session's end.")
class SignOutPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)
