"""The root of queries."""

from typing import Annotated

import strawberry

from resolvers import timelines, users
from resolvers.nodes import nodes_by_ids
from schema.base import After, Before, First, Info, Last, Node
from schema.nodes import node_of
from schema.rate_limit import RateLimit
from schema.timeline import TimelineConnection
from schema.user import User

Id = Annotated[strawberry.ID, strawberry.argument(description="The object's ID.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description="At most 100 IDs.")]
Handle = Annotated[
    str, strawberry.argument(description="The handle, without @; upper and lower case are the same.")
]


@strawberry.type(description="Everything that can be read.")
class Query:
    @strawberry.field(
        description="Any object by its ID. Null for whatever is not there for the viewer, malformed IDs included."
    )
    async def node(self, info: Info, id: Id) -> Node | None:
        return node_of((await nodes_by_ids(info.context, [id]))[0])

    @strawberry.field(
        description="Several objects, at most 100. Same length and order as ids, null as in `node`."
    )
    async def nodes(self, info: Info, ids: Ids) -> list[Node | None]:
        return [node_of(found) for found in await nodes_by_ids(info.context, ids)]

    @strawberry.field(description="The account that asks. Null when anonymous.")
    async def viewer(self, info: Info) -> User | None:
        return User.maybe(await users.viewer_account(info.context))

    @strawberry.field(description="The account with this handle; null when it is not there for the viewer.")
    async def user(self, info: Info, handle: Handle) -> User | None:
        return User.maybe(await users.user_by_handle(info.context, handle))

    @strawberry.field(
        description=(
            "Posts and reposts of the accounts that the viewer follows, and the viewer's own, newest first. "
            "Anonymous: UNAUTHENTICATED."
        )
    )
    async def home_timeline(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> TimelineConnection | None:
        page = await timelines.home_page(info.context, first, after, last, before)
        return TimelineConnection(page=page, kind=timelines.HOME)

    @strawberry.field(
        description="Every public post on this server, newest first. The one timeline that needs no account."
    )
    async def public_timeline(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> TimelineConnection | None:
        page = await timelines.public_page(info.context, first, after, last, before)
        return TimelineConnection(page=page, kind=timelines.PUBLIC)

    @strawberry.field(
        description="What this operation costs and what is left to spend. Null on a server that keeps no budgets."
    )
    def rate_limit(self, info: Info) -> RateLimit | None:
        return RateLimit.maybe(info.context.spending)
