"""Ending tasks that talk to Valkey.

redis-py (8.1) writes under `asyncio.wait_for`, which in Python 3.11 drops a cancellation that comes when the write has
just ended. The task goes on as if nobody had said anything.
"""

import asyncio
from typing import Any

# Seconds between two attempts. A second cancellation while redis-py tidies up after the first leaves connections open.
AGAIN = 0.5


def heed_cancellation() -> None:
    """End the task here when it was told to before and redis-py did not pass it on: raises CancelledError."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def ended(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, again and again until they have ended, whatever became of them."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)
