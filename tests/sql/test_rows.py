"""Rows that hold several things side by side are cut where those end."""

from dataloaders.rows import AuthoredPostRow, PostRow, RepostRow, UserRow


def test_a_post_with_its_author_is_cut_into_both() -> None:
    assert AuthoredPostRow._fields == (*PostRow._fields, *UserRow._fields[1:], "actor_ids", "entry_ids")
    post = PostRow(7, 70, "text", "LTR", None, None, 1, 2, 3, None)
    author = UserRow(7, "alice", "Alice", None, None, 4, 5, 6)
    row = AuthoredPostRow(*post, *author[1:], [8, 9], [80, 90])
    assert (row.key, row.post, row.author) == (post.key, post, author)
    assert row.reposts == [RepostRow(7, 70, 8, 80), RepostRow(7, 70, 9, 90)]
    assert row._replace(actor_ids=None, entry_ids=None).reposts == []
