"""What Schemathesis checks here: it runs in the clients' environment, which loads this by SCHEMATHESIS_HOOKS.

Its own check takes every GraphQL error for a failure. Refusals that the schema promises are none: a made-up cursor is
INVALID_CURSOR. An operation that Schemathesis means to be valid must be, since it comes from the introspected schema.
"""

import schemathesis

# What a document that is valid may be answered with: its values are outside the rules.
REFUSALS = {"BAD_USER_INPUT", "INVALID_CURSOR", "COST_LIMIT_EXCEEDED"}
# In half of the cases it leaves out or distorts what the schema demands.
INVALID = {"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"}
TYPES = ("application/graphql-response+json", "application/json")


@schemathesis.check
def answered_as_promised(ctx, response, case):  # type: ignore[no-untyped-def]  # Schemathesis looks at the names
    """An answer is JSON with data or with errors that people may be told."""
    assert response.headers["content-type"][0].startswith(TYPES), response.headers["content-type"]
    body = response.json()
    codes = [error["extensions"]["code"] for error in body.get("errors", [])]
    allowed = REFUSALS | INVALID if case.meta.generation.mode.is_negative else REFUSALS
    assert set(codes) <= allowed, codes
    assert isinstance(body.get("data"), dict) or codes, body
    assert response.status_code in ((200,) if "data" in body else (200, 400)), response.status_code
