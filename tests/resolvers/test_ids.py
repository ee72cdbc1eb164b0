"""IDs and cursors: written one by one and in one go they are the same, and are read back."""

from hypothesis import given
from hypothesis import strategies as st

from dataloaders.rows import HIGHEST, EntryKey, Position, PostKey
from resolvers.ids import (
    decode,
    entry_gid,
    entry_gids,
    post_gid,
    post_gids,
    post_key_of,
    user_gid,
    user_gids,
    user_id_of,
)
from resolvers.paging import decode_cursor, encode_cursor, encode_cursors

PARTS = st.integers(1, HIGHEST - 1)
PAIRS = st.lists(st.tuples(PARTS, PARTS), max_size=50)


@given(st.lists(PARTS, max_size=50))
def test_ids_of_accounts(ids: list[int]) -> None:
    written = user_gids(ids)
    assert written == [user_gid(id) for id in ids]
    assert [user_id_of(text) for text in written] == ids


@given(PAIRS)
def test_ids_of_posts_and_entries(pairs: list[tuple[int, int]]) -> None:
    posts = [PostKey(*pair) for pair in pairs]
    entries = [EntryKey(*pair) for pair in pairs]
    assert post_gids(posts) == [post_gid(key) for key in posts]
    assert entry_gids(entries) == [entry_gid(key) for key in entries]
    assert [post_key_of(text) for text in post_gids(posts)] == posts
    assert [found.key if (found := decode(text)) else None for text in entry_gids(entries)] == pairs


@given(PAIRS)
def test_cursors(pairs: list[tuple[int, int]]) -> None:
    positions = [Position(*pair) for pair in pairs]
    written = encode_cursors("h", positions)
    assert written == [encode_cursor("h", position) for position in positions]
    assert [decode_cursor("h", text) for text in written] == positions
