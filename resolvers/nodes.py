"""Any objects by their global IDs."""

from collections.abc import Sequence
from typing import Literal

from dataloaders.rows import EntryKey, PostKey
from resolvers.context import Context
from resolvers.errors import BadInput
from resolvers.ids import decode
from resolvers.visibility import (
    VisibleEntry,
    VisiblePost,
    VisibleUser,
    visible_entries,
    visible_posts,
    visible_users,
)

MAX_IDS = 100

Found = (
    tuple[Literal["u"], VisibleUser] | tuple[Literal["p"], VisiblePost] | tuple[Literal["e"], VisibleEntry]
)


async def nodes_by_ids(ctx: Context, ids: Sequence[str]) -> list[Found | None]:
    """What the IDs name, in their order; None for what is not there for the viewer. Raises BadInput."""
    if len(ids) > MAX_IDS:
        raise BadInput(f"These are {len(ids)} ids: ask for at most {MAX_IDS} at once.")
    decoded = {text: decode(text) for text in ids}
    known = [item for item in decoded.values() if item is not None]
    user_ids = [item.key[0] for item in known if item.kind == "u"]
    post_keys = [PostKey(*item.key) for item in known if item.kind == "p"]
    entry_keys = [EntryKey(*item.key) for item in known if item.kind == "e"]
    users = dict(zip(user_ids, await visible_users(ctx, user_ids), strict=True))
    posts = dict(zip(post_keys, await visible_posts(ctx, post_keys), strict=True))
    rows = [row for row in await ctx.loaders.entries.load_many(entry_keys) if row is not None]
    entries = dict(zip((row.key for row in rows), await visible_entries(ctx, rows), strict=True))

    def found(text: str) -> Found | None:
        item = decoded[text]
        if item is None:
            return None
        if item.kind == "u":
            user = users[item.key[0]]
            return None if user is None else ("u", user)
        if item.kind == "p":
            post = posts[PostKey(*item.key)]
            return None if post is None else ("p", post)
        entry = entries.get(EntryKey(*item.key))
        return None if entry is None else ("e", entry)

    return [found(text) for text in ids]
