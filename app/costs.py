"""What operations cost, as clients are told it: budgets, refusals, and the answer's `extensions.cost`."""

from typing import Any, NamedTuple

from execution import TooManySelections
from resolvers.context import Spending
from resolvers.errors import ClientError


class Budget(NamedTuple):
    """A viewer's or an address's: it holds so many points and, when empty, is full again after so many seconds."""

    points: int
    seconds: int

    @property
    def seconds_per_point(self) -> float:
        """How long a point takes to come back."""
        return self.seconds / self.points


class TooCostly(ClientError):
    """An operation that costs more than any may: waiting does not help."""

    code = "COST_LIMIT_EXCEEDED"

    def __init__(self, cost: int | TooManySelections, limit: int) -> None:
        costs = "too much to be counted" if isinstance(cost, TooManySelections) else f"{cost} points"
        told = {} if isinstance(cost, TooManySelections) else {"cost": cost}
        super().__init__(
            f"This operation costs {costs}, and one may cost {limit} at most. Ask for shorter pages (first, last), "
            "or for fewer lists within lists.",
            **told,
            limit=limit,
        )


class OverBudget(ClientError):
    """The budget does not have the points at the moment. Nothing was spent."""

    code = "RATE_LIMITED"

    def __init__(self, cost: int, remaining: int, limit: int, retry_after: int) -> None:
        super().__init__(
            f"This operation costs {cost} points, and {remaining} of {limit} are left. "
            f"Try again in {retry_after} s.",
            cost=cost,
            remaining=remaining,
            limit=limit,
            retryAfter=retry_after,
        )
        self.retry_after = retry_after


def check_cost(cost: int, limit: int) -> None:
    """Whether one operation may cost that much; `limit` 0 is none. Raises TooCostly."""
    if limit and cost > limit:
        raise TooCostly(cost, limit)


def cost_extension(cost: int, limit: int, spending: Spending | None) -> dict[str, Any]:
    """`extensions.cost` of an answer; what is not limited is left out.

    `requested` and `limit` are of the operation, the rest of the budget: what it holds (`budget`), what is left, and
    the seconds until it is full again.
    """
    told: dict[str, Any] = {"requested": cost}
    if limit:
        told["limit"] = limit
    if spending is not None:
        told["budget"] = spending.limit
        told["remaining"] = spending.remaining
        told["resetsIn"] = round(spending.resets_in, 3)
    return told
