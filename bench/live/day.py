"""A whole busy day in the log, for somebody who slept through it: few of its events are of those they follow."""

import asyncpg

from resolvers.live import live_cursor
from resolvers.timelines import HOME

# Accounts that the sleeper does not follow, who cause all other events.
STRANGERS = 20_000
# A partition of the log is an hour's; nothing of a day is dropped before an hour more.
HOURS = 24

_TABLE = """
CREATE TEMP TABLE day (number bigint, is_news boolean, owner_id bigint, id bigint, at timestamptz, place int)
"""
# $1: the number before the first; $2: how many there are; $3: one of so many posts is by those in $4. All others are
# by $7 accounts spread over the $6 ids above $5, so that the index has both side by side. Every fifth number is news of
# the post before it, which has no row in the log but one of its own; of those in $4 every fourth post has it.
_EVENTS = """
INSERT INTO day
SELECT $1::bigint + n, n <> post, CASE WHEN theirs THEN ($4::bigint[])[1 + (post - 1) / $3 % cardinality($4::bigint[])]
       ELSE $5::bigint + $6::bigint / $7::int * (post::bigint * 7919 % $7) END, id_at(at), at, post
FROM (
    SELECT n, post, now() - interval '23 hours 55 minutes' * (1 - post::float8 / $2::int) AS at,
           post % $3::int = CASE WHEN post / $3 % 4 = 0 THEN 4 ELSE 1 END AS theirs
    FROM (SELECT n, n - (n % 5 = 0)::int AS post FROM generate_series(1, $2::int) AS n) AS numbers
) AS events
"""
_POSTS = """
INSERT INTO posts (author_id, id, text, direction)
SELECT owner_id, id, '@' || lpad(place::text, 8, '0') || substr($1, 10), 'LTR' FROM day WHERE NOT is_news
"""
_ENTRIES = """
INSERT INTO entries (actor_id, id, post_author_id, post_id)
SELECT owner_id, id, owner_id, id FROM day WHERE NOT is_news
"""
_LOG = """
INSERT INTO log (part, number, owner_id, kind, public, data, logged_at)
SELECT 0, number, owner_id, 'entry_added', true,
       jsonb_build_object('entry', jsonb_build_array(owner_id, id, owner_id, id, NULL)), at
FROM day WHERE NOT is_news ORDER BY number
"""
_NEWS = """
INSERT INTO changed_posts (owner_id, author_id, post_id, part, number, public, data, logged_at)
SELECT owner_id, owner_id, id, 0, number, true,
       jsonb_build_object('post', jsonb_build_array(owner_id, id), 'change', NULL), at
FROM day WHERE is_news ORDER BY number
"""
_HOLDER = "bench"


async def fill_day(dsn: str, sleeper_id: int, events: int, theirs: int, text: str) -> str:
    """So many events of the last day, so many of them posts by accounts that the sleeper follows. No worker may run.

    Returns the cursor that the sleeper had before.
    """
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_TABLE)
        followed, first, last = await _row(
            connection,
            "SELECT (SELECT array_agg(followee_id) FROM following WHERE follower_id = $1), min(id), max(id) FROM users",
            sleeper_id,
        )
        async with connection.transaction():
            epoch, number, room = await _row(
                connection,
                "UPDATE sequencers SET holder = $1, beat_at = now() WHERE part = 0 RETURNING epoch, number, room",
                _HOLDER,
            )
            while room <= number + events:
                (room,) = await _row(
                    connection, "SELECT make_log_room(0::smallint, $1, $2)", _HOLDER, events // HOURS
                )
            every = events // theirs
            await connection.execute(_EVENTS, number, events, every, followed, first, last - first, STRANGERS)
            await connection.execute(_POSTS, text)
            for statement in (_ENTRIES, _LOG, _NEWS):
                await connection.execute(statement)
            await connection.execute(
                "UPDATE sequencers SET number = $1, holder = '', beat_at = '-infinity' WHERE part = 0",
                number + events,
            )
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return live_cursor(HOME, epoch, number)


async def _row(
    connection: "asyncpg.Connection[asyncpg.Record]", statement: str, *values: object
) -> "asyncpg.Record":
    row = await connection.fetchrow(statement, *values)
    assert row is not None
    return row
