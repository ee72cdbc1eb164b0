"""The people of the benchmark: who posts, who reads whom, and a token for each of them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from app.tokens import AccessTokens
from bench.documents import TYPENAME, request_bytes
from bench.live.documents import CREATE_POST, TEXT
from dataloaders.rows import id_at

# The authors of the crowd, and how many of them each reader follows: of 1,000 readers, 50 follow each author.
AUTHORS, FOLLOWED = 100, 5
# How many of the network's accounts those follow whose memory is measured.
FEW, MANY = 100, 500
LIFETIME = timedelta(hours=3)


@dataclass(frozen=True)
class Scale:
    """How many of everybody there are."""

    fans: int = 1_000
    few: int = 100
    idle: int = 10_000
    quiet: int = 5_000
    followers: int = 400
    loners: int = 150
    returning: int = 5_000
    missed: int = 1_000
    day: int = 500_000
    most: int = 15_000


QUICK = Scale(
    fans=60,
    few=20,
    idle=100,
    quiet=60,
    followers=60,
    loners=40,
    returning=60,
    missed=100,
    day=5_000,
    most=150,
)


@dataclass(frozen=True)
class Cast:
    """Files of tokens by role, and the requests that post, ready but for the number in their text.

    `readers` each follow five authors of the crowd, the first of them (the fans) the star as well. `quiet` follow
    nobody, `hundreds` and `fives` 100 and 500 accounts, `loners` 500 that nobody else follows, `archivist` all authors
    of the crowd. `sleeper` is the first of the `fives`. `hello` is a request that every server answers.
    """

    readers: str
    quiet: str
    hundreds: str
    fives: str
    loners: str
    archivist: str
    sleeper: int
    hello: bytes
    star_posts: str
    crowd_posts: list[str]


async def cast(dsn: str, tokens: AccessTokens, folder: Path, scale: Scale) -> Cast:
    """Put them into a filled network."""
    now = datetime.now(UTC)
    next_id = id_at(now - timedelta(days=1)) + 2**30

    def people(count: int) -> list[int]:
        nonlocal next_id
        next_id += count
        return list(range(next_id - count, next_id))

    authors, star, archivist = people(AUTHORS), *people(1), *people(1)
    readers = people(max(scale.most, scale.idle + scale.fans, scale.returning))
    quiet, hundreds, fives = people(scale.quiet), people(scale.followers), people(scale.followers)
    loners = people(scale.loners)
    ties = [(reader, star) for reader in readers[: scale.fans]] + [(archivist, author) for author in authors]
    for n, reader in enumerate(readers):
        ties += [(reader, authors[(n * FOLLOWED + k) % AUTHORS]) for k in range(FOLLOWED)]
    for loner in loners:
        # Of these only their numbers are there: nobody looks at them.
        ties += [(loner, followee) for followee in people(MANY)]
    connection = await asyncpg.connect(dsn)
    try:
        others = [row[0] for row in await connection.fetch("SELECT id FROM users ORDER BY id")]
        for count, group in ((FEW, hundreds), (MANY, fives)):
            for n, follower in enumerate(group):
                ties += [
                    (follower, others[(n * 7 + k) % len(others)]) for k in range(min(count, len(others)))
                ]
        everybody = [*authors, star, archivist, *readers, *quiet, *hundreds, *fives, *loners]
        await _write(connection, everybody, ties, now)
    finally:
        await connection.close()

    def token(id: int) -> str:
        return tokens.issue(id, id, now, LIFETIME)[0]

    def kept(name: str, ids: list[int]) -> str:
        file = folder / f"{name}.tokens"
        file.write_text(json.dumps([token(id) for id in ids]))
        return str(file)

    def posts(id: int) -> str:
        return request_bytes(CREATE_POST, {"text": TEXT}, token(id)).decode()

    return Cast(
        kept("readers", readers),
        kept("quiet", quiet),
        kept("hundreds", hundreds),
        kept("fives", fives),
        kept("loners", loners),
        kept("archivist", [archivist]),
        fives[0],
        request_bytes(TYPENAME, {}, token(star)),
        posts(star),
        [posts(author) for author in authors],
    )


async def _write(
    connection: "asyncpg.Connection[asyncpg.Record]",
    everybody: list[int],
    ties: list[tuple[int, int]],
    now: datetime,
) -> None:
    await connection.copy_records_to_table(
        "users",
        records=[(id, f"live_{n}", f"Live {n}") for n, id in enumerate(everybody)],
        columns=["id", "handle", "display_name"],
    )
    # A session of their own for each, of the same number.
    await connection.copy_records_to_table(
        "sessions",
        records=[(id, id, bytes(32), now + timedelta(days=1)) for id in everybody],
        columns=["user_id", "id", "refresh_digest", "expires_at"],
    )
    await connection.copy_records_to_table(
        "following",
        records=[(follower, followee, n + 1) for n, (follower, followee) in enumerate(ties)],
        columns=["follower_id", "followee_id", "since_id"],
    )
    await connection.copy_records_to_table(
        "followers",
        records=[(followee, follower, n + 1) for n, (follower, followee) in enumerate(ties)],
        columns=["followee_id", "follower_id", "since_id"],
    )
    await connection.execute("VACUUM ANALYZE")
