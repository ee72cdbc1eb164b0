"""How much somebody may do at once, and how fast it comes back."""

import time


class TokenBucket:
    """Holds `size` tokens at first and at most; `rate` come back each second."""

    __slots__ = ("_at", "_level", "_rate", "_size")

    def __init__(self, size: float, rate: float) -> None:
        self._size, self._rate = size, rate
        self._level, self._at = size, time.monotonic()

    def take(self, tokens: float) -> bool:
        """Take tokens; False, and none taken, when there are too few."""
        now = time.monotonic()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        if tokens > self._level:
            return False
        self._level -= tokens
        return True
