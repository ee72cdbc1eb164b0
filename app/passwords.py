"""Passwords, hashed with argon2id (RFC 9106) off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from resolvers.text import PASSWORD_LONGEST, password_form

# Argon2id as in OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
# Each takes a core and 19 MiB; two keep sign-ins going without taking the machine from everybody else.
AT_A_TIME = 2


T = TypeVar("T")


class Passwords:
    """Hashes and checks, at most two at a time, each in about 20 ms. The others wait their turn."""

    def __init__(self) -> None:
        hasher = Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._hasher = PasswordHash((hasher,))
        self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="argon2")
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The hash to store of a password that normalize_password has passed."""
        return await self._in_turn(lambda: self._hasher.hash(_octets(password)))

    async def verify(self, password: str, hash: str | None) -> bool:
        """Whether the password, as typed, is the hash's. For None (no account) False after the same time."""
        # Nobody has a longer one. It is not looked at, but costs the same, or sign-in could be timed with it.
        possible = hash is not None and len(password) <= PASSWORD_LONGEST * 4
        octets = _octets(password) if possible else b""
        against = hash if possible and hash is not None else self._nobodys
        right = await self._in_turn(lambda: self._hasher.verify(octets, against))
        return right and possible

    async def aclose(self) -> None:
        """Wait for the hashes under way; drop those that have not begun."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _octets(password: str) -> bytes:
    """Lone surrogates have no UTF-8, and no stored password has them: they must only not raise."""
    return password_form(password).encode(errors="surrogatepass")
