"""Writers whose transactions are slow: ids are drawn at their begin, and others commit before them."""

import asyncio
import random
import time
from typing import Any

import asyncpg

from dataloaders.rows import PostKey
from resolvers.ids import post_gid
from tests.chaos.backend import Backend
from tests.chaos.history import OK, UNKNOWN, History, Operation, token_of


class SlowWriters:
    """Accounts that post by SQL, as createPost does, and take their time to commit."""

    def __init__(
        self, backend: Backend, history: History, accounts: dict[int, int], chance: random.Random
    ) -> None:
        """`accounts`: the keys in the database by number."""
        self._backend, self._history, self._chance = backend, history, chance
        self._accounts = accounts
        self._posts = dict.fromkeys(accounts, 0)

    async def write(self, seconds: float) -> None:
        """Each writes a few posts in a transaction that lasts for about so long."""
        await asyncio.gather(*(self._write(number, seconds) for number in self._accounts))

    async def _write(self, number: int, seconds: float) -> None:
        author = self._accounts[number]
        written: list[Operation] = []
        outcome = UNKNOWN
        connection = await self._backend.connect()
        try:
            async with connection.transaction():
                await connection.execute("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", author)
                for _ in range(3):
                    written.append(await self._post(connection, number, author))
                    await asyncio.sleep(self._chance.uniform(0, seconds / 3))
            outcome = OK
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            pass
        finally:
            connection.terminate()
        for operation in written:
            operation.end, operation.outcome = time.monotonic(), outcome
            self._history.add(operation)

    async def _post(self, connection: Any, number: int, author: int) -> Operation:
        self._posts[number] += 1
        token, begun = token_of(number, self._posts[number]), time.monotonic()
        post = await connection.fetchval(
            "INSERT INTO posts (author_id, id, text, direction, idempotency_key)"
            " VALUES ($1, new_id(), $2, 'LTR', $3) RETURNING id",
            *(author, f"{token} says {number}, slowly", token),
        )
        await connection.execute("INSERT INTO entries VALUES ($1, $2, $1, $2, NULL)", author, post)
        await connection.execute("UPDATE users SET post_count = post_count + 1 WHERE id = $1", author)
        await connection.execute(
            "INSERT INTO outbox (owner_id, kind, public, data) VALUES ($1, 'entry_added', true,"
            " jsonb_build_object('entry', jsonb_build_array($1::bigint, $2::bigint, $1::bigint, $2::bigint, NULL)))",
            *(author, post),
        )
        made = Operation(
            begun, begun, number, "post", 0, UNKNOWN, token=token, post=post_gid(PostKey(author, post))
        )
        made.sort_key = f"{post:016x}{author:016x}"
        return made
