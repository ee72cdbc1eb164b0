"""What is made of Accept and Accept-Encoding."""

import pytest

from app.negotiation import PLAIN_JSON, RESPONSE_JSON, Accepted, accepted, encoding

URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, "
    "multipart/mixed"
)
APOLLO_IOS = "multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json"


@pytest.mark.parametrize(
    ("header", "media", "by_name"),
    [
        (None, PLAIN_JSON, False),
        ("", PLAIN_JSON, False),
        ("*/*", PLAIN_JSON, False),
        ("application/*", PLAIN_JSON, False),
        ("application/json", PLAIN_JSON, True),
        ("Application/JSON; charset=utf-8", PLAIN_JSON, True),
        ("application/graphql-response+json", RESPONSE_JSON, True),
        ("application/graphql-response+json, application/json;q=0.9", RESPONSE_JSON, True),
        ("application/json, application/graphql-response+json", PLAIN_JSON, True),
        ("application/json;q=0.5, */*;q=0.8", RESPONSE_JSON, False),
        ("application/json;q=0, */*", RESPONSE_JSON, False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PLAIN_JSON, False),
        (URQL, RESPONSE_JSON, True),
        (APOLLO_IOS, RESPONSE_JSON, True),
        ("text/html", None, False),
        ("multipart/mixed", None, False),
        ("application/json;q=0", None, False),
        ("application/json;q=nan", None, False),
        ("application/json;q=x", None, False),
        ("a/b," * 400 + "text/html", PLAIN_JSON, False),
        (",;=;q=,", None, False),
    ],
)
def test_the_type_of_json(header: str | None, media: str | None, by_name: bool) -> None:
    found = accepted(header)
    assert (found.json, found.by_name) == (media, by_name)


@pytest.mark.parametrize(
    ("header", "events", "first"),
    [
        ("text/event-stream", True, True),
        ("text/event-stream, application/json", True, True),
        ("application/json, text/event-stream", True, False),
        ("application/json;q=0.5, text/event-stream", True, True),
        ("text/event-stream;q=0.5, application/json", True, False),
        (URQL, True, False),
        ("*/*", False, False),
        ("text/*", False, False),
        ("text/event-stream;q=0", False, False),
    ],
)
def test_streams_of_events_are_for_those_who_name_them(header: str, events: bool, first: bool) -> None:
    found = accepted(header)
    assert isinstance(found, Accepted)
    assert (found.events, found.events_first) == (events, first)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "br"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("deflate", None),
    ],
)
def test_the_encoding(header: str | None, name: str | None) -> None:
    assert encoding(header) == name
