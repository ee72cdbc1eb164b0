"""The end of a campaign: all is quiet, and what is there is read from the tables and from fresh pages."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence

import asyncpg

from dataloaders.rows import PostKey
from resolvers.ids import post_gid
from tests.chaos.backend import Backend
from tests.chaos.clients import Client
from tests.chaos.history import Final, Miscount, Screen, StoredPost, tokens_in

# Seconds until everything that was committed must have been delivered, once nothing happens any more.
PATIENCE = 15.0
# Lists are compared by so many clients at a time: the workers answer as many pages at once.
TOGETHER = 12

_QUIET = """
SELECT NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM fanouts)
   AND NOT EXISTS (SELECT FROM changes WHERE pending)
"""
# (what, stored, recomputed) of every counter that is wrong.
_MISCOUNTS = """
SELECT 'likes of post ' || id, like_count, counted FROM posts, LATERAL (
    SELECT count(*) AS counted FROM likes l WHERE l.author_id = posts.author_id AND l.post_id = posts.id) c
WHERE deleted_at IS NULL AND like_count <> counted
UNION ALL SELECT 'reposts of post ' || id, repost_count, counted FROM posts, LATERAL (
    SELECT count(*) AS counted FROM reposters r WHERE r.author_id = posts.author_id AND r.post_id = posts.id) c
WHERE deleted_at IS NULL AND repost_count <> counted
UNION ALL SELECT 'replies to post ' || id, reply_count, counted FROM posts, LATERAL (
    SELECT count(*) AS counted FROM posts r WHERE r.reply_to_author_id = posts.author_id
       AND r.reply_to_id = posts.id AND r.deleted_at IS NULL) c
WHERE deleted_at IS NULL AND reply_count <> counted
UNION ALL SELECT 'followers of ' || handle, follower_count, counted FROM users, LATERAL (
    SELECT count(*) AS counted FROM followers WHERE followee_id = users.id) c WHERE follower_count <> counted
UNION ALL SELECT 'followed by ' || handle, following_count, counted FROM users, LATERAL (
    SELECT count(*) AS counted FROM following WHERE follower_id = users.id) c WHERE following_count <> counted
UNION ALL SELECT 'posts of ' || handle, post_count, counted FROM users, LATERAL (
    SELECT count(*) AS counted FROM posts WHERE author_id = users.id AND deleted_at IS NULL) c
WHERE post_count <> counted
UNION ALL SELECT 'both sides of follows', count(*), (SELECT count(*) FROM following JOIN followers
    USING (follower_id, followee_id)) FROM followers
HAVING count(*) <> (SELECT count(*) FROM following JOIN followers USING (follower_id, followee_id))
UNION ALL SELECT 'the newest number', s.number, found.newest
FROM sequencers s, (
    SELECT max(number) AS newest FROM (SELECT number FROM log UNION ALL SELECT number FROM changed_posts) n
) AS found WHERE s.number <> found.newest
UNION ALL SELECT 'numbers given twice', count(*), count(DISTINCT number)
FROM (SELECT number FROM log UNION ALL SELECT number FROM changed_posts) n HAVING count(*) <> count(DISTINCT number)
"""


async def quiet(backend: Backend) -> bool:
    """Wait until all that happened is in the log; whether it came to that."""
    connection = await backend.connect()
    try:
        deadline = time.monotonic() + PATIENCE
        while not await connection.fetchval(_QUIET):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True
    finally:
        await connection.close()


async def stored(backend: Backend, accounts: Sequence[int], final: Final) -> None:
    """Fill in what the tables have. `accounts`: the keys in the database by number."""
    numbers = {key: number for number, key in enumerate(accounts)}
    connection = await backend.connect()
    try:
        rows = await connection.fetch(
            "SELECT author_id, id, text, idempotency_key, reply_to_id, deleted_at FROM posts"
        )
        keys: dict[tuple[int, int], str] = {}
        for row in rows:
            author, id = row["author_id"], row["id"]
            key = row["idempotency_key"] or ""
            keys[author, id] = key
            post = post_gid(PostKey(author, id))
            token = min(tokens_in(row["text"]), default="")
            sort_key = f"{id:016x}{author:016x}"
            is_reply, deleted = row["reply_to_id"] is not None, row["deleted_at"] is not None
            final.posts.append(StoredPost(numbers[author], post, key, token, sort_key, is_reply, deleted))
        final.miscounts = [Miscount(*row) for row in await connection.fetch(_MISCOUNTS)]
        final.follows = await _pairs(connection, "SELECT follower_id, followee_id FROM following", numbers)
        final.blocks = await _pairs(connection, "SELECT blocker_id, blocked_id FROM blocks", numbers)
        for table, actor in (("likes", "user_id"), ("reposters", "actor_id")):
            found = await connection.fetch(f"SELECT {actor}, author_id, post_id FROM {table}")
            pairs = {(numbers[who], keys.get((author, post), "")) for who, author, post in found}
            (final.likes if table == "likes" else final.reposts).update(pairs)
    finally:
        await connection.close()


async def _pairs(
    connection: "asyncpg.Connection[asyncpg.Record]", sql: str, numbers: Mapping[int, int]
) -> set[tuple[int, int]]:
    return {(numbers[one], numbers[other]) for one, other in await connection.fetch(sql)}


async def compare(clients: Sequence[Client], final: Final) -> None:
    """Fill in what clients hold and what fresh pages have; looked at again while they differ and there is time."""
    deadline = time.monotonic() + PATIENCE
    limit = asyncio.Semaphore(TOGETHER)

    async def one(client: Client) -> None:
        async with limit:
            key = (client.number, client.timeline)
            while True:
                fresh = await client.live.fresh(client.live.floor)
                held = client.live.screen()
                if fresh is not None:
                    final.held[key], final.fresh[key] = held, fresh
                    if _same(held, fresh):
                        return
                if time.monotonic() > deadline:
                    return
                await asyncio.sleep(0.5)

    await asyncio.gather(*(one(client) for client in clients))


def _same(held: Screen, fresh: Screen) -> bool:
    floor = max(held.floor, fresh.floor)
    mine, theirs = (
        {id: entry for id, entry in screen.entries.items() if entry.sort_key >= floor}
        for screen in (held, fresh)
    )
    return mine == theirs


def metric(page: str, name: str) -> float:
    """A number of a metrics page; -1 when it is not there."""
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else -1.0


# What a worker may have more of than before the first client came: tasks for what it does now and then, files for
# connections that wait, memory since Python keeps what it once had.
MORE_TASKS, MORE_FILES, MORE_MEMORY = 10, 40, 150e6


async def gauges(backend: Backend, final: Final, before: Mapping[int, str]) -> None:
    """Fill in what clients took of the workers and did not give back, once they have left."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found: dict[str, tuple[float, float]] = {}
        for worker in backend.workers:
            page = await backend.get(worker, "/metrics")
            base = before.get(worker.number, page)
            at = f"of worker {worker.number}"
            # Events come without it, too, a little later: nobody else would notice that it stays away.
            ready = await backend.get(worker, "/readyz")
            found[f"Valkey not heard {at}"] = (0 if '"bus":"ok"' in ready else 1, 0)
            found[f"open sockets {at}"] = (metric(page, "maydan_websockets"), 0)
            found[f"running subscriptions {at}"] = (metric(page, "maydan_live_streams"), 0)
            for what, name, more in (
                ("tasks", "maydan_tasks", MORE_TASKS),
                ("open files", "process_open_fds", MORE_FILES),
                ("bytes of memory", "process_resident_memory_bytes", MORE_MEMORY),
            ):
                found[f"{what} {at}"] = (metric(page, name), metric(base, name) + more)
        connection = await backend.connect()
        try:
            most = len(backend.workers) * backend.settings.database_pool_size
            many, stuck = await connection.fetchrow(
                "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in%') FROM pg_stat_activity"
                " WHERE application_name = 'maydan'"
            ) or (0, 0)
            waiting = await connection.fetchval(
                "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM fanouts)"
            )
        finally:
            await connection.close()
        found["rows that wait to be numbered"] = (waiting, 0)
        found["connections to PostgreSQL"] = (many, most)
        found["transactions left open"] = (stuck, 0)
        if all(0 <= value <= most for value, most in found.values()) or time.monotonic() > deadline:
            final.gauges = found
            return
        await asyncio.sleep(0.3)
