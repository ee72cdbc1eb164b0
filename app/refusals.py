"""Requests that are not executed: an HTTP status, and errors as they are sent."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from graphql import GraphQLError

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
# The longest message: an error may quote the whole request.
LONGEST_MESSAGE = 500


class RequestRefused(Exception):
    """A request that is not executed: an HTTP status and the errors to send."""

    def __init__(self, status: HTTPStatus, code: str, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__(code)
        self.status, self.code = status, code
        self.body = {"errors": list(errors)}


class Malformed(RequestRefused):
    """What is no GraphQL request: its status does not depend on what the client accepts."""

    def __init__(self, status: HTTPStatus, message: str, *, code: str = "BAD_USER_INPUT") -> None:
        super().__init__(status, code, [error_told(GraphQLError(message), code)])


def refused(status: HTTPStatus, code: str, message: str, **extensions: object) -> RequestRefused:
    """A refusal with one sentence."""
    return RequestRefused(status, code, [error_told(GraphQLError(message), code, **extensions)])


def error_told(error: GraphQLError, code: str, **extensions: object) -> dict[str, Any]:
    """An error as it is sent."""
    formatted = cast(dict[str, Any], error.formatted)
    if len(error.message) > LONGEST_MESSAGE:
        formatted["message"] = error.message[:LONGEST_MESSAGE] + "…"
    formatted["extensions"] = {"code": code, **extensions}
    return formatted
