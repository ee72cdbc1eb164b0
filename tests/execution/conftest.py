"""For the tests of this room."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def errors_are_not_logged() -> Iterator[None]:
    """Strawberry logs each error with a long picture of the stack; here errors are meant."""
    logger = logging.getLogger("strawberry.execution")
    before, logger.disabled = logger.disabled, True
    yield
    logger.disabled = before
