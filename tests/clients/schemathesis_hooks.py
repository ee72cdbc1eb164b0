"""What Schemathesis checks here: it runs in the clients' environment, which loads this by SCHEMATHESIS_HOOKS.

Its own check takes every GraphQL error for a failure. Refusals that the schema promises are none: a made-up cursor is
INVALID_CURSOR. An operation that Schemathesis means to be valid must be, since it comes from the introspected schema.
"""

from typing import Any

import schemathesis

# What a document that is valid may be answered with: its values are outside the rules.
REFUSALS = {"BAD_USER_INPUT", "INVALID_CURSOR", "COST_LIMIT_EXCEEDED"}
# In half of the cases it leaves out or distorts what the schema demands.
INVALID = {"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"}
TYPES = ("application/graphql-response+json", "application/json")


def answered_as_promised(ctx: Any, response: Any, case: Any) -> None:
    """An answer is JSON with data or with errors that people may be told."""
    assert response.headers["content-type"][0].startswith(TYPES), response.headers["content-type"]
    body = response.json()
    codes = [error["extensions"]["code"] for error in body.get("errors", [])]
    allowed = REFUSALS | INVALID if case.meta.generation.mode.is_negative else REFUSALS
    assert set(codes) <= allowed, codes
    assert isinstance(body.get("data"), dict) or codes, body
    expected = (200, 400) if body.get("data") is None else (200,)
    assert response.status_code in expected, response.status_code


schemathesis.check(answered_as_promised)
