"""The schema, and its printed form."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from execution import StrawberryBreadthFirstExecutor
from schema import live
from schema.moments import MOMENT, Moment
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[
        live.TimelineEntryAdded,
        live.TimelinePostUpdated,
        live.TimelineEntryRemoved,
        live.LiveCaughtUp,
        live.LiveReset,
    ],
    config=StrawberryConfig(scalar_map={Moment: MOMENT}),
    execution_context_class=StrawberryBreadthFirstExecutor,
)


def sdl() -> str:
    """The schema in GraphQL's definition language, as committed in schema/schema.graphql."""
    return schema.as_str() + "\n"


# What the endpoints execute: Strawberry keeps it private, and every transport of its own uses it so.
executable = schema._schema
executor_class = StrawberryBreadthFirstExecutor
