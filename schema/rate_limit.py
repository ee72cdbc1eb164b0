"""The budget that operations are paid from."""

from datetime import UTC, datetime, timedelta

import strawberry

from resolvers.context import Spending
from schema.moments import Moment


@strawberry.type(
    description=(
        "The budget that the viewer's operations, or an anonymous client's by its address, are paid from. It refills "
        "all the time. What it does not cover is refused with RATE_LIMITED and `retryAfter`, seconds."
    )
)
class RateLimit:
    cost: int = strawberry.field(
        description="Points that this operation costs: about one for each object that may come."
    )
    limit: int = strawberry.field(description="Points that the full budget holds.")
    remaining: int = strawberry.field(description="Points that are left, this operation paid.")
    reset_at: Moment = strawberry.field(
        description="When the budget is full again, if nothing else is asked."
    )

    @classmethod
    def maybe(cls, spending: Spending | None) -> "RateLimit | None":
        """The type over what was spent, null where nothing is counted."""
        if spending is None:
            return None
        reset_at = datetime.now(UTC) + timedelta(seconds=spending.resets_in)
        return cls(
            cost=spending.cost,
            limit=spending.limit,
            remaining=spending.remaining,
            reset_at=Moment(reset_at),
        )
