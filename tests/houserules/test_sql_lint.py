"""The house's statements keep its rules about owners, names and shapes; and the lints find those that do not."""

import ast

import pytest

from sql import Queries, Query
from sql.reader import Shape, load_all
from tests.houserules.query_uses import Module, QueryName, QueryUses, RowClass, lint_uses, modules
from tests.houserules.sql_lint import CROSSING, OwnerLint, lint_names, lint_owners
from tests.houserules.tables import tables
from tests.houserules.violations import told

TABLES = tables()


def test_every_statement_binds_the_owners_of_its_tables() -> None:
    found = lint_owners(load_all(), TABLES)
    assert not found, told(found)


def test_every_name_is_given_once() -> None:
    found = lint_names(load_all())
    assert not found, told(found)


def test_every_query_is_used_by_its_name_and_as_its_shape_says() -> None:
    found = lint_uses(load_all(), QueryUses.of(modules()))
    assert not found, told(found)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM posts WHERE author_id = $1 AND id = $2",
        "SELECT * FROM posts WHERE $1 = author_id",
        "SELECT * FROM posts p WHERE p.author_id = ANY($1::bigint[])",
        "SELECT * FROM posts WHERE author_id IN ($1, $2)",
        "SELECT * FROM unnest($1::bigint[]) AS k (id) JOIN posts p ON p.author_id = k.id",
        "SELECT * FROM unnest($1::bigint[]) WITH ORDINALITY AS k (id, nth) "
        "CROSS JOIN LATERAL (SELECT * FROM posts WHERE author_id = k.id LIMIT 3) p",
        "SELECT k.id, EXISTS (SELECT FROM likes l WHERE l.user_id = $1 AND l.post_id = k.id) "
        "FROM unnest($2::bigint[]) AS k (id)",
        "SELECT * FROM posts p JOIN replies r ON r.parent_author_id = p.author_id WHERE p.author_id = $1",
        "SELECT * FROM posts p LEFT JOIN changes c ON c.author_id = p.author_id WHERE p.author_id = $1",
        "WITH mine AS (SELECT author_id, id FROM posts WHERE author_id = $1) "
        "SELECT * FROM mine m JOIN replies r ON r.parent_author_id = m.author_id",
        "WITH mine AS (SELECT * FROM posts WHERE author_id = $1) "
        "UPDATE changes c SET pending = true FROM mine m WHERE c.author_id = m.author_id",
        "SELECT id FROM posts WHERE author_id = $1 UNION ALL SELECT id FROM entries WHERE actor_id = $1",
        "UPDATE posts SET text = '' WHERE author_id = $1 AND id = $2 RETURNING id",
        "DELETE FROM posts p USING unnest($1::bigint[]) AS k (id) WHERE p.author_id = k.id",
        "INSERT INTO blocks (blocker_id, blocked_id, since_id) VALUES ($1, $2, new_id()) ON CONFLICT DO NOTHING",
        "INSERT INTO changes (author_id, post_id, pending) VALUES ($1, $2, true) "
        "ON CONFLICT (author_id, post_id) DO UPDATE SET pending = true",
        "INSERT INTO fanouts (author_id, post_id, kind) SELECT author_id, id, 'x' FROM posts WHERE author_id = $1",
        "SELECT new_id() AS id",
    ],
)
def test_a_statement_that_binds_its_owners_passes(text: str) -> None:
    assert OwnerLint(TABLES).check(text) == ([], [])


@pytest.mark.parametrize(
    ("text", "left_open"),
    [
        ("SELECT * FROM posts WHERE id = $1", ["posts"]),
        ("SELECT * FROM posts WHERE author_id > $1", ["posts"]),
        ("SELECT * FROM posts WHERE author_id <> ALL($1)", ["posts"]),
        ("SELECT * FROM posts WHERE author_id = $1 OR id = $2", ["posts"]),
        ("SELECT * FROM posts WHERE author_id IN (SELECT id FROM users)", ["posts", "users"]),
        ("SELECT * FROM posts WHERE author_id = id", ["posts"]),
        ("SELECT * FROM posts WHERE NOT author_id = $1", ["posts"]),
        ("SELECT * FROM posts p JOIN replies r ON r.id = p.id WHERE p.author_id = $1", ["replies"]),
        (
            "SELECT * FROM replies r JOIN posts p ON p.author_id = r.author_id WHERE r.parent_author_id = $1",
            ["posts"],
        ),
        ("SELECT * FROM posts p LEFT JOIN changes c ON p.author_id = $1 AND c.author_id = $1", ["posts"]),
        ("SELECT EXISTS (SELECT FROM likes l WHERE l.post_id = $1)", ["likes"]),
        (
            "SELECT k.id FROM unnest($1::bigint[]) AS k (id) CROSS JOIN LATERAL (SELECT * FROM posts LIMIT 3) p",
            ["posts"],
        ),
        ("WITH any AS (SELECT * FROM posts) SELECT * FROM any a WHERE a.author_id = $1", ["posts"]),
        ("SELECT id FROM posts WHERE author_id = $1 UNION ALL SELECT id FROM entries", ["entries"]),
        ("UPDATE posts SET text = '' WHERE id = $1", ["posts"]),
        ("DELETE FROM posts WHERE id = $1", ["posts"]),
        (
            "INSERT INTO fanouts (author_id, post_id, kind) SELECT author_id, id, 'x' FROM posts",
            ["posts", "fanouts"],
        ),
        ("INSERT INTO fanouts (post_id, kind) VALUES ($1, $2)", ["fanouts"]),
        ("SELECT * FROM elsewhere WHERE id = $1", ["elsewhere"]),
    ],
)
def test_an_owner_left_open_is_found(text: str, left_open: list[str]) -> None:
    assert OwnerLint(TABLES).check(text) == (left_open, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("UPDATE posts SET author_id = $2 WHERE author_id = $1", "sets the owner author_id"),
        (
            "INSERT INTO posts (author_id, id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            "ON CONFLICT names no owner of posts: add author_id",
        ),
        (
            "SELECT * FROM posts p RIGHT JOIN users u ON true WHERE u.id = $1",
            "does not understand this (RIGHT JOIN)",
        ),
        ("SELECT FROM WHERE (", "does not understand this"),
    ],
)
def test_other_faults_of_a_statement_are_found(text: str, said: str) -> None:
    complaints = OwnerLint(TABLES).check(text)[1]
    assert len(complaints) == 1
    assert said in complaints[0]


def planted(
    text: str, *, name: str = "planted", shape: Shape = "many", crosses: str | None = None
) -> Queries:
    """A noun with one query."""
    return Queries("posts", {name: Query(name, "posts", shape, text, crosses)})


EVERYBODY = "SELECT id FROM users"


@pytest.mark.parametrize(
    ("queries", "crossing", "said"),
    [
        (
            planted(EVERYBODY),
            {},
            "sql/posts.sql: planted: leaves id, the owner of users, open: compare it with",
        ),
        (
            planted("SELECT * FROM elsewhere"),
            {},
            "planted: touches elsewhere, which sql/schema.sql does not have",
        ),
        (planted(EVERYBODY, crosses="why"), {}, "add the statement to CROSSING with its tables"),
        (planted(EVERYBODY), {"planted": ({"users"}, "why")}, "add the line `-- crosses owners: reason`"),
        (
            planted(EVERYBODY + " WHERE id = $1", crosses="why"),
            {"planted": ({"users"}, "why")},
            "does not leave the owner of users open: take the table out",
        ),
        (
            planted("SELECT 1 FROM users, posts", crosses="why"),
            {"planted": ({"users"}, "why")},
            "leaves author_id, the owner of posts, open",
        ),
        (
            planted("SELECT 1"),
            {"gone": ({"users"}, "why")},
            "CROSSING['gone']: no query has this name; remove",
        ),
        (planted(EVERYBODY, crosses="why"), {"planted": ({"users"}, "why")}, None),
    ],
)
def test_exceptions_stand_in_both_places_and_are_needed(
    queries: Queries, crossing: dict[str, tuple[set[str], str]], said: str | None
) -> None:
    allowed = {name: (frozenset(names), why) for name, (names, why) in crossing.items()}
    found = [str(violation) for violation in lint_owners({"posts": queries}, TABLES, allowed)]
    assert (said is None) == (not found)
    assert said is None or any(said in violation for violation in found), found


def test_exceptions_give_a_reason() -> None:
    assert all(len(why) > 5 for _, why in CROSSING.values())


def test_a_name_given_twice_is_found() -> None:
    twice = {"posts": planted("SELECT 1"), "users": Queries("users", dict(planted("SELECT 2")))}
    assert [str(one) for one in lint_names(twice)] == [
        "sql/posts.sql: planted: sql/posts.sql has the name too; choose another"
    ]


def uses_of(**sources: str) -> QueryUses:
    """What these modules of the room `dataloaders` do."""
    return QueryUses.of(
        {
            f"dataloaders.{name}": Module(f"dataloaders.{name}", f"dataloaders/{name}.py", ast.parse(source))
            for name, source in sources.items()
        }
    )


HEAD = """
from typing import NamedTuple
from sql import load
POSTS = load("posts")
class KeyRow(NamedTuple):
    id: int
"""
KEY_ROW = RowClass("dataloaders.posts", "KeyRow")
PLANTED = QueryName("posts", "planted")
OTHER = QueryName("posts", "other")


@pytest.mark.parametrize(
    ("code", "uses"),
    [
        ("async def f(db): return await db.many(KeyRow, POSTS['planted'], 1)", {(PLANTED, "many", KEY_ROW)}),
        ("async def f(db): await db.run(POSTS['planted'])", {(PLANTED, "run", None)}),
        (
            "async def f(db, down):\n    q = POSTS['planted' if down else 'other']\n    await db.one(KeyRow, q)",
            {(PLANTED, "one", KEY_ROW), (OTHER, "one", KEY_ROW)},
        ),
        (
            "async def f(db): return await g(db, KeyRow, POSTS['planted'], up=POSTS['other'])\n"
            "async def g(db, row, down, up): return await db.many(row, down if db else up)",
            {(PLANTED, "many", KEY_ROW), (OTHER, "many", KEY_ROW)},
        ),
        (
            "BOTH = {True: POSTS['planted'], False: POSTS['other']}\n"
            "class Source:\n"
            "    async def f(self): return await self._read(BOTH[True])\n"
            "    async def _read(self, query): return await self.db.maybe(KeyRow, query)",
            {(PLANTED, "maybe", KEY_ROW), (OTHER, "maybe", KEY_ROW)},
        ),
        ("async def f(c): await c.fetchval(POSTS['planted'].text)", {(PLANTED, "text", None)}),
    ],
)
def test_uses_are_followed(code: str, uses: set[tuple[QueryName, str, RowClass | None]]) -> None:
    found = uses_of(posts=HEAD + code)
    assert {(use.query, use.method, use.row) for use in found.uses} == uses
    assert not found.violations


def test_a_use_in_another_module_is_found() -> None:
    found = uses_of(
        posts=HEAD,
        users="from dataloaders.posts import POSTS, KeyRow\nasync def f(db): await db.one(KeyRow, POSTS['planted'])",
    )
    assert [(use.query, use.row, use.where) for use in found.uses] == [
        (PLANTED, KEY_ROW, "dataloaders/users.py:2")
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "async def f(db): await db.many(KeyRow, POSTS['gone'])",
            "sql/posts.sql has no query 'gone'; correct the name",
        ),
        (
            "async def f(db): await db.one(KeyRow, POSTS['planted'])",
            "planted is :many; call many, or change its shape",
        ),
        ("async def f(db): pass", "sql/posts.sql: planted: nothing uses it; remove it"),
        ("async def f(db, n): await db.many(KeyRow, POSTS[n])", "write the query's name as a literal"),
        ("async def f(db): await db.many(KeyRow, POSTS[f'{db}'])", "write the query's name as a literal"),
        ("async def f(db): db.keep(POSTS['planted'])", "give the query to many, maybe, one, run or run_many"),
        ("async def f(db): await db.many(tuple, POSTS['planted'])", "give the row class by name"),
    ],
)
def test_a_wrong_use_is_found(code: str, said: str) -> None:
    found = [str(one) for one in lint_uses({"posts": planted("SELECT 1")}, uses_of(posts=HEAD + code))]
    assert any(said in one for one in found), found
