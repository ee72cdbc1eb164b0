"""What clients are told of costs."""

import base64
import os
from types import SimpleNamespace

import pytest

from app.costs import Budget, OverBudget, TooCostly, check_cost, cost_extension
from app.settings import Settings
from execution import TooManySelections
from resolvers.context import Spending
from schema.build import schema

KEY = base64.b64encode(os.urandom(32)).decode()
SPENT = Spending(104, 60_000, 59_896, 0.104)


def test_an_answer_tells_what_it_cost_and_what_is_left() -> None:
    assert cost_extension(104, 5_000, SPENT) == {
        "requested": 104,
        "limit": 5_000,
        "budget": 60_000,
        "remaining": 59_896,
        "resetsIn": 0.104,
    }
    assert cost_extension(104, 0, None) == {"requested": 104}


def test_too_much_at_once_is_refused_with_what_to_do() -> None:
    check_cost(5_000, 5_000)
    check_cost(10**9, 0)
    with pytest.raises(
        TooCostly, match=r"costs 5001 points, and one may cost 5000 at most. Ask for"
    ) as refused:
        check_cost(5_001, 5_000)
    assert refused.value.code == "COST_LIMIT_EXCEEDED"
    assert refused.value.extensions == {"cost": 5_001, "limit": 5_000}
    assert TooCostly(TooManySelections(), 5_000).extensions == {"limit": 5_000}


def test_an_empty_budget_says_when_to_come_back() -> None:
    refusal = OverBudget(125, 40, 60_000, 3)
    assert refusal.code == "RATE_LIMITED"
    assert refusal.extensions == {"cost": 125, "remaining": 40, "limit": 60_000, "retryAfter": 3}
    assert str(refusal).endswith("Try again in 3 s.")


def test_the_field_tells_the_same() -> None:
    asked = "{ rateLimit { cost limit remaining resetAt } }"
    result = schema.execute_sync(asked, context_value=SimpleNamespace(spending=SPENT))
    assert result.data is not None
    told = result.data["rateLimit"]
    assert told.pop("resetAt").endswith("Z")
    assert told == {"cost": 104, "limit": 60_000, "remaining": 59_896}
    result = schema.execute_sync(asked, context_value=SimpleNamespace(spending=None))
    assert (result.data, result.errors) == ({"rateLimit": None}, None)


def test_settings_have_a_budget_or_none() -> None:
    given = {
        "secret_key": "p3mXo0kQv7sYb1uZt9rWc5hLj8nEa2gD4fKiTqUeVxM=",
        "token_private_key": KEY,
    }
    assert Settings.model_validate(given | {"cost_budget": "10/5"}).budget == Budget(10, 5)
    assert Settings.model_validate(given | {"cost_budget": "0"}).budget is None
    for wrong in ("", "x", "10", "0/5", "10/0", "-1/5", "1/2/3", "1234567890/1", "١٠/٥"):
        with pytest.raises(ValueError, match="points/seconds"):
            Settings.model_validate(given | {"cost_budget": wrong})
