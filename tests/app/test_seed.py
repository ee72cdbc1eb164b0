"""The demo network: true counters, both sides of every tie, the same again for the same seed."""

import asyncio
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from app.passwords import Passwords
from app.seed import DEMO_HANDLES, DEMO_PASSWORD, SeedRefused, SeedReport, run
from app.seed.filling import SERVER_SETTINGS
from app.seed.network import Network
from app.seed.people import MINUTE, SECOND
from dataloaders.rows import ID_EPOCH, ID_SHIFT, id_at
from resolvers import text as rules

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
USERS, POSTS = 300, 3000
NOW = datetime(2026, 6, 1, 18, tzinfo=UTC)
NOW_MICROSECONDS = (NOW - ID_EPOCH) // timedelta(microseconds=1)
_TABLES = """users handles emails credentials following followers blocks blocked_by
    posts entries replies reposters likes"""
TABLES = _TABLES.split()


async def seeded(dsn: str, *, seed: int = 1) -> SeedReport:
    """A small network in that database."""
    return await run(dsn, users=USERS, posts=POSTS, seed=seed, now=NOW)


@pytest.fixture
async def empty(database: str) -> AsyncIterator[Connection]:
    """A connection to a migrated database without a row."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


@pytest.fixture
async def square(database: str, empty: Connection) -> Connection:
    """A connection to a database with a small network."""
    await seeded(database)
    return empty


async def everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables; of credentials without the hash, which has its own salt."""
    columns = {"credentials": "user_id, email"}
    return {
        table: sorted(
            map(tuple, await connection.fetch(f"SELECT {columns.get(table, '*')} FROM {table}")), key=repr
        )
        for table in TABLES
    }


# Each finds what is not as it must be.
LIES = {
    "follower_count": """SELECT id FROM users u WHERE follower_count <>
        (SELECT count(*) FROM followers f WHERE f.followee_id = u.id)""",
    "following_count": """SELECT id FROM users u WHERE following_count <>
        (SELECT count(*) FROM following f WHERE f.follower_id = u.id)""",
    "post_count": """SELECT id FROM users u WHERE post_count <>
        (SELECT count(*) FROM posts p WHERE p.author_id = u.id)""",
    "like_count": """SELECT id FROM posts p WHERE like_count <>
        (SELECT count(*) FROM likes l WHERE (l.author_id, l.post_id) = (p.author_id, p.id))""",
    "repost_count": """SELECT id FROM posts p WHERE repost_count <>
        (SELECT count(*) FROM reposters r WHERE (r.author_id, r.post_id) = (p.author_id, p.id))""",
    "reply_count": """SELECT id FROM posts p WHERE reply_count <>
        (SELECT count(*) FROM replies r WHERE (r.parent_author_id, r.parent_id) = (p.author_id, p.id))""",
    "a like without its post": """SELECT post_id FROM likes l WHERE NOT EXISTS
        (SELECT FROM posts p WHERE (p.author_id, p.id) = (l.author_id, l.post_id))""",
    "a follow between blocked accounts": """SELECT 1 FROM following f JOIN blocks b
        ON (f.follower_id, f.followee_id) IN ((b.blocker_id, b.blocked_id), (b.blocked_id, b.blocker_id))""",
    "a reply before its parent": "SELECT id FROM posts WHERE reply_to_id >= id",
    "a repost before its post": "SELECT id FROM entries WHERE id < post_id",
    "a post before its author": "SELECT id FROM posts WHERE id <= author_id",
    "a repost before its account": "SELECT id FROM entries WHERE id <= actor_id",
    "a follow before an account": "SELECT 1 FROM following WHERE since_id <= greatest(follower_id, followee_id)",
    "a block before an account": "SELECT 1 FROM blocks WHERE since_id <= greatest(blocker_id, blocked_id)",
    "an id given twice": "SELECT id FROM entries GROUP BY id HAVING count(*) > 1",
    "an avatar from elsewhere": "SELECT id FROM users WHERE avatar_url IS NOT NULL",
}

# Two ways to say the same; their symmetric difference is empty.
SIDES = {
    "follows": ("SELECT follower_id, followee_id, since_id FROM following",
                "SELECT follower_id, followee_id, since_id FROM followers"),
    "blocks": ("SELECT blocker_id, blocked_id, since_id FROM blocks",
               "SELECT blocker_id, blocked_id, since_id FROM blocked_by"),
    "replies": ("SELECT reply_to_author_id, reply_to_id, id, author_id FROM posts WHERE reply_to_id IS NOT NULL",
                "SELECT parent_author_id, parent_id, id, author_id FROM replies"),
    "reposts": ("SELECT post_author_id, post_id, actor_id, id FROM entries WHERE id <> post_id",
                "SELECT author_id, post_id, actor_id, entry_id FROM reposters"),
    "entries of posts": ("SELECT author_id, id, author_id, id, reply_to_author_id FROM posts",
                         "SELECT * FROM entries WHERE id = post_id"),
    "what entries know of their posts": ("SELECT post_author_id, post_id, reply_to_author_id FROM entries",
                                         "SELECT author_id, id, reply_to_author_id FROM posts"),
    "handles": ("SELECT handle, id FROM users", "SELECT handle, user_id FROM handles"),
    "addresses": ("SELECT email, user_id FROM emails", "SELECT email, user_id FROM credentials"),
    "accounts": ("SELECT id FROM users", "SELECT user_id FROM credentials"),
}  # fmt: skip


async def test_every_counter_and_every_time_is_true(square: Connection) -> None:
    found = {lie: await square.fetch(query) for lie, query in LIES.items()}
    assert found == {lie: [] for lie in LIES}


async def test_both_sides_of_every_tie_agree(square: Connection) -> None:
    for what, (one, other) in SIDES.items():
        difference = f"({one} EXCEPT {other}) UNION ALL ({other} EXCEPT {one})"
        assert await square.fetch(difference) == [], what


async def test_the_report_says_what_is_there(database: str, empty: Connection) -> None:
    told: list[tuple[str, int, int]] = []
    report = await run(
        database, users=50, posts=5000, seed=1, progress=lambda *step: told.append(step), now=NOW
    )
    counts = [await empty.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
    rows = dict(zip(TABLES, counts, strict=True))
    assert (report.users, report.posts) == (rows["users"], rows["posts"]) == (50, 5000)
    assert report.replies == rows["replies"] > 0
    assert report.reposts == rows["reposters"] > 0
    assert report.likes == rows["likes"] > 0
    assert report.follows == rows["following"] > 0
    assert ("posts", 2000, 5000) in told
    last = {what: (done, total) for what, done, total in told}
    assert last["posts"] == (5000, 5000)
    assert all(done == total for done, total in last.values())


async def test_the_same_seed_gives_the_same_rows(database: str, square: Connection) -> None:
    first = await everything(square)
    for seed, same in ((1, True), (2, False)):
        await square.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
        await seeded(database, seed=seed)
        assert (await everything(square) == first) is same


async def test_a_database_with_an_account_is_left_alone(database: str, square: Connection) -> None:
    before = await everything(square)
    with pytest.raises(SeedRefused, match="only fills an empty database"):
        await seeded(database)
    assert await everything(square) == before


async def test_a_seed_that_fails_leaves_nothing(database: str, empty: Connection) -> None:
    def fail(what: str, done: int, _total: int) -> None:
        if what == "likes" and done:
            raise RuntimeError("the terminal went away")

    with pytest.raises(RuntimeError, match="terminal"):
        await run(database, users=USERS, posts=POSTS, seed=1, progress=fail, now=NOW)
    assert not any((await everything(empty)).values())


@pytest.mark.parametrize("moment", [("planning", 0), ("followers", 2000), ("posts", 2000), ("likes", 0)])
async def test_an_interrupted_seed_leaves_nothing_and_can_be_repeated(
    moment: tuple[str, int], database: str, empty: Connection
) -> None:
    def interrupt(what: str, done: int, _total: int) -> None:
        if (what, done) == moment:
            seeding.cancel()

    seeding = asyncio.create_task(
        run(database, users=USERS, posts=POSTS, seed=1, progress=interrupt, now=NOW)
    )
    with pytest.raises(asyncio.CancelledError):
        await seeding
    assert not any((await everything(empty)).values())
    assert (await seeded(database)).posts == POSTS


async def test_whoever_signs_up_meanwhile_is_not_overrun(
    database: str, empty: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVER_SETTINGS, "lock_timeout", "100ms")
    before = await everything(empty)
    other = await asyncpg.connect(database)
    signing_up = other.transaction()
    await signing_up.start()
    await other.execute("INSERT INTO users (id, handle, display_name) VALUES (1, 'zoe', 'Zoe')")
    with pytest.raises(SeedRefused, match="try again"):
        await seeded(database)
    await signing_up.rollback()
    await other.close()
    assert await everything(empty) == before


async def test_texts_are_as_if_typed_in_both_languages(square: Connection) -> None:
    posts = await square.fetch("SELECT text, direction FROM posts")
    directions = Counter(direction for _, direction in posts)
    for text, direction in posts:
        assert rules.normalize_post(text) == text
        assert rules.text_direction(text) == direction
        assert "{" not in text
    assert 0.3 < directions["RTL"] / POSTS < 0.5
    assert 0.5 < directions["LTR"] / POSTS < 0.7
    names = [name for (name,) in await square.fetch("SELECT display_name FROM users")]
    scripts = Counter(unicodedata.name(name[0]).split()[0] for name in names)
    assert scripts["ARABIC"] > USERS / 5
    assert scripts["LATIN"] > USERS / 5
    assert all(rules.normalize_display_name(name) == name for name in names)
    for (bio,) in await square.fetch("SELECT bio FROM users WHERE bio IS NOT NULL"):
        assert rules.normalize_bio(bio) == bio
    for handle, email in await square.fetch("SELECT handle, email FROM handles JOIN emails USING (user_id)"):
        assert rules.normalize_handle(handle) == handle
        assert rules.normalize_email(email) == email == f"{handle}@example.org"


async def test_amal_and_sam_sign_in_and_have_much_to_read(square: Connection) -> None:
    demo = await square.fetch(
        "SELECT handle, id, following_count, display_name FROM users ORDER BY id LIMIT 2"
    )
    assert tuple(row["handle"] for row in demo) == DEMO_HANDLES
    assert [row["display_name"] for row in demo] == ["Amal Haddad", "Sam Rivers"]
    amal, sam = (row["id"] for row in demo)
    passwords = Passwords()
    for row in demo:
        assert 40 <= row["following_count"] <= 80
        lately = await square.fetchval(
            """SELECT count(*) FROM entries e JOIN following f ON f.followee_id = e.actor_id
            WHERE f.follower_id = $1 AND e.id > $2""",
            row["id"],
            id_at(NOW - timedelta(hours=12)),
        )
        assert lately >= 20
        hash = await square.fetchval("SELECT password_hash FROM credentials WHERE user_id = $1", row["id"])
        assert await passwords.verify(DEMO_PASSWORD, hash)
    await passwords.aclose()
    assert await square.fetchval(
        "SELECT count(*) FROM following WHERE (follower_id, followee_id) IN (($1, $2), ($2, $1))", amal, sam
    ) == len(DEMO_HANDLES)


async def test_some_repost_themselves_and_several_the_same_post(square: Connection) -> None:
    assert await square.fetchval("SELECT count(*) FROM reposters WHERE author_id = actor_id")
    day = id_at(NOW) - id_at(NOW - timedelta(days=1))
    assert await square.fetchval(
        """SELECT count(*) FROM reposters a JOIN reposters b USING (author_id, post_id)
        WHERE a.entry_id < b.entry_id AND b.entry_id - a.entry_id < $1""",
        day,
    )


def test_another_moment_moves_the_network_and_changes_nothing_else() -> None:
    delay = 12_345 * MINUTE
    first = Network.made(users=100, posts=500, seed=3, now=NOW_MICROSECONDS)
    second = Network.made(users=100, posts=500, seed=3, now=NOW_MICROSECONDS + delay)
    moved = delay << ID_SHIFT

    def later(value: object) -> object:
        return value + moved if isinstance(value, int) and value >= 1 << 32 else value

    for one, other in zip(first.tables("hash"), second.tables("hash"), strict=True):
        assert [tuple(map(later, row)) for row in one.rows] == list(other.rows), one.name


def test_everything_happened_in_the_past() -> None:
    network = Network.made(users=100, posts=2000, seed=4, now=NOW_MICROSECONDS)
    latest = (NOW_MICROSECONDS - SECOND + 1) << ID_SHIFT
    for table in network.tables("hash"):
        assert all(value < latest for row in table.rows for value in row if isinstance(value, int))


def test_a_few_are_followed_by_thousands_and_lists_are_as_long_as_measurements_need() -> None:
    network = Network.made(users=10_000, posts=0, seed=5, now=NOW_MICROSECONDS)
    followers = sorted((len(followers) for followers in network.ties.followers), reverse=True)
    assert followers[0] > 2000
    assert 1000 < followers[9] < 8000
    assert followers[5000] < 40
    lengths = Counter(len(following) for following in network.ties.following)
    assert lengths[10]
    assert lengths[500] >= 2
    assert lengths[5000] >= 2


@pytest.mark.parametrize("users", [2, 3, 19, 40])
@pytest.mark.parametrize("posts", [0, 1, 250])
def test_small_networks_can_be_made_too(users: int, posts: int) -> None:
    network = Network.made(users=users, posts=posts, seed=6, now=NOW_MICROSECONDS)
    assert {table.name: len(list(table.rows)) for table in network.tables("hash")} == {
        table.name: table.total for table in network.tables("hash")
    }


@pytest.mark.parametrize(
    ("users", "posts", "now"), [(1, 5, NOW), (2, -1, NOW), (2, 0, datetime(2025, 2, 1, tzinfo=UTC))]
)
async def test_numbers_that_make_no_network_are_refused(users: int, posts: int, now: datetime) -> None:
    with pytest.raises(ValueError, match=r"accounts|clock"):
        await run("postgresql://nowhere.invalid/", users=users, posts=posts, seed=1, now=now)
