"""Ending tasks that talk to Valkey."""

import asyncio
from typing import Any

# Seconds between two attempts.
AGAIN = 0.02


async def ended(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended, whatever became of them.

    Once is not enough: redis-py (8.1) drops a cancellation that comes at certain moments of connecting.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)
