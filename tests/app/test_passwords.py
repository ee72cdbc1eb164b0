"""Passwords: right ones are, wrong ones are not, and no more than two are looked at together."""

import asyncio
import threading
from collections.abc import Coroutine

import pytest

from app.passwords import AT_A_TIME, Passwords


def run(story: Coroutine[None, None, None]) -> None:
    asyncio.run(story)


def test_the_right_password_and_no_other() -> None:
    async def story() -> None:
        passwords = Passwords()
        stored = await passwords.hash("correct horse é")
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert stored != await passwords.hash("correct horse é")
        assert await passwords.verify("correct horse é", stored)
        assert await passwords.verify("correct\u00a0horse e\u0301", stored)
        for wrong in ("correct horse e", "", "Correct horse é", "\ud800", "\0", "correct horse é" * 1_000):
            assert not await passwords.verify(wrong, stored)
        await passwords.aclose()

    run(story())


def test_nobody_has_no_password_but_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        passwords = Passwords()
        looked_at: list[str] = []
        verify = passwords._hasher.verify

        def counted(password: str | bytes, hash: str | bytes) -> bool:
            looked_at.append(str(hash)[:31])
            return verify(password, hash)

        monkeypatch.setattr(passwords._hasher, "verify", counted)
        stored = await passwords.hash("correct horse")
        for password in ("correct horse", "nobody has this password", "", "x" * 100_000):
            assert not await passwords.verify(password, None)
        assert not await passwords.verify("x" * 100_000, stored)
        assert looked_at == [stored[:31]] * 5
        await passwords.aclose()

    run(story())


def test_two_at_a_time_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        passwords = Passwords()
        together, most, lock = 0, 0, threading.Lock()
        both_in = threading.Barrier(AT_A_TIME, timeout=10)

        def slow(password: str | bytes) -> str:
            nonlocal together, most
            with lock:
                together += 1
                most = max(most, together)
            both_in.wait()
            with lock:
                together -= 1
            return "hash"

        monkeypatch.setattr(passwords._hasher, "hash", slow)
        assert await asyncio.gather(*(passwords.hash("correct horse") for _ in range(8))) == ["hash"] * 8
        assert most == AT_A_TIME
        await passwords.aclose()

    run(story())
