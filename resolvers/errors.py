"""What a client may be told. Any other exception is a bug: it is logged with an id and masked."""

from enum import StrEnum

from resolvers.messages import Message


class UserErrorCode(StrEnum):
    """Why an expected refusal was made; the schema documents each."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    BAD_CREDENTIALS = "BAD_CREDENTIALS"


class Refusal(Exception):
    """An expected refusal of a mutation: travels as data, in `userErrors`.

    `field` is where in the arguments, without the leading "input"; None when it is about no field.
    """

    def __init__(
        self, code: UserErrorCode, message: Message, field: str | None = None, **values: int | str
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.values = values


class ClientError(Exception):
    """A protocol error: travels in `errors` with `extensions.code`. The message says what to do."""

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.extensions = extensions


class BadInput(ClientError):
    """An argument that no client should send."""


class InvalidCursor(ClientError):
    """A cursor that is none of this list's: start again from the top."""

    code = "INVALID_CURSOR"


class Unauthenticated(ClientError):
    """A viewer is needed and there is none."""

    code = "UNAUTHENTICATED"

    def __init__(self) -> None:
        super().__init__("This needs a signed-in viewer: send an access token as 'Authorization: Bearer …'.")


class TooSlow(Exception):
    """A live listener did not keep up: its socket is closed with a retryable code, and it resumes."""


def not_found(message: Message, field: str) -> Refusal:
    """The answer for what is not there for the viewer, whatever the reason."""
    return Refusal(UserErrorCode.NOT_FOUND, message, field)
