"""Expected refusals as data."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, TypeVar

import strawberry

from resolvers.context import Context
from resolvers.errors import Refusal
from resolvers.messages import sentence


@strawberry.enum(
    description="Why a mutation was refused. More codes will come: show `message` for one that you do not know."
)
class UserErrorCode(Enum):
    INVALID = strawberry.enum_value("INVALID", description="Outside the rules: change what was given.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="Not there for the viewer.")
    CONFLICT = strawberry.enum_value("CONFLICT", description="Taken, or the key was used for something else.")
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="Seen, but not the viewer's to do.")
    RATE_LIMITED = strawberry.enum_value("RATE_LIMITED", description="Too often: try again later.")
    BAD_CREDENTIALS = strawberry.enum_value(
        "BAD_CREDENTIALS",
        description="Wrong password or login, or a refresh token that is over: sign in again.",
    )


@strawberry.type(description="An expected refusal, made to be shown.")
class UserError:
    code: UserErrorCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(
        description="A sentence for people, in the best language for Accept-Language, else in English."
    )
    field: list[str] | None = strawberry.field(
        description='Where in the arguments, e.g. `["input", "handle"]`; null when it is about no field.'
    )

    @staticmethod
    def of(refusal: Refusal, language: str) -> "UserError":
        """The refusal in the client's language."""
        return UserError(
            code=UserErrorCode(refusal.code.value),
            message=sentence(refusal.message, language, refusal.values),
            field=None if refusal.field is None else ["input", refusal.field],
        )


USER_ERRORS = "Why it was refused; empty when it was done."


class Payload(Protocol):
    """A mutation's result: every field but userErrors is null when it was refused."""

    user_errors: list[UserError]


PayloadT = TypeVar("PayloadT", bound=Payload)


async def answer(
    ctx: Context, payload: Callable[..., PayloadT], work: Callable[[], Awaitable[PayloadT]]
) -> PayloadT:
    """What the work returns; a payload with the user error when it was refused."""
    try:
        return await work()
    except Refusal as refusal:
        return payload(user_errors=[UserError.of(refusal, ctx.language)])
