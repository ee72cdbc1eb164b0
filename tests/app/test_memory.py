"""Memory that is free goes back to the system while a worker runs."""

import pytest

from app import memory
from tests.live import holds


async def test_what_is_free_between_what_stays_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOK_EVERY", 0.01)
    before = memory.resident()
    # Pages and more each, too small for a mapping of their own.
    held = [bytes(20_000) for _ in range(3_000)]
    held = held[::10]
    assert memory.resident() > before + 30_000_000
    async with memory.trimmed():
        await holds(lambda: memory.resident() < before + 20_000_000)
    assert len(held) == 300
