"""gql, the Python client, by HTTP and by socket. It runs in the clients' environment, without anything of Maydan."""

import asyncio
import json
import sys
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

given = json.loads(sys.argv[1])
URL = f"{given['url']}/graphql"
EVENTS = """subscription {
  homeTimelineEvents { __typename liveCursor ... on TimelineEntryAdded { edge { node { post { text } } } } }
}"""
CREATE_POST = """mutation ($text: String!) {
  createPost(input: {text: $text}) { post { text } userErrors { code } }
}"""


def http(token: str) -> AIOHTTPTransport:
    """The transport of queries and mutations."""
    return AIOHTTPTransport(URL, headers={"Authorization": f"Bearer {token}"})


def socket(token: str) -> WebsocketsTransport:
    """The transport of subscriptions."""
    return WebsocketsTransport(
        URL.replace("http", "ws", 1), init_payload={"Authorization": f"Bearer {token}"}
    )


async def query() -> Any:
    """A query against the schema that the server tells of itself."""
    async with Client(transport=http(given["alice"]["token"]), fetch_schema_from_transport=True) as session:
        return await session.execute(GraphQLRequest("{ viewer { handle } }"))


async def mutation() -> Any:
    """A mutation with variables."""
    async with Client(transport=http(given["alice"]["token"])) as session:
        request = GraphQLRequest(CREATE_POST, variable_values={"text": "by gql"})
        return (await session.execute(request))["createPost"]


async def wrong_token() -> Any:
    """What somebody with a bad token is told over HTTP."""
    try:
        async with Client(transport=http("nonsense")) as session:
            await session.execute(GraphQLRequest("{ viewer { handle } }"))
    except TransportQueryError as error:
        return {"codes": [one["extensions"]["code"] for one in error.errors or []]}
    except TransportError as error:
        return {"kind": type(error).__name__, "message": str(error)}


async def wrong_token_by_socket() -> Any:
    """What somebody with a bad token is told by socket."""
    try:
        async with Client(transport=socket("nonsense")) as session:
            await session.execute(GraphQLRequest("{ viewer { handle } }"))
    except Exception as error:  # whichever this client raises
        return {"kind": type(error).__name__, "message": f"{error} {error.__cause__}"}


async def event() -> Any:
    """An event by socket, of a post by HTTP."""
    token = given["alice"]["token"]
    async with Client(transport=socket(token)) as live, Client(transport=http(token)) as session:
        async for found in live.subscribe(GraphQLRequest(EVENTS)):
            if found["homeTimelineEvents"]["__typename"] == "LiveCaughtUp":
                request = GraphQLRequest(CREATE_POST, variable_values={"text": "live"})
                await session.execute(request)
            elif found["homeTimelineEvents"]["__typename"] == "TimelineEntryAdded":
                return found["homeTimelineEvents"]
    raise AssertionError("the subscription ended before the event")


SCENES = {scene.__name__: scene for scene in (query, mutation, wrong_token, wrong_token_by_socket, event)}
print("\n" + json.dumps(asyncio.run(SCENES[given["scene"]]())))
