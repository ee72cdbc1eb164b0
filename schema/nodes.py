"""From what an ID names to its type."""

from resolvers.nodes import Found
from schema.base import Node
from schema.post import Post
from schema.timeline import TimelineEntry
from schema.user import User


def node_of(found: Found | None) -> Node | None:
    """The object as clients see it, None when it is not there for the viewer."""
    match found:
        case ("u", row):
            return User(row=row)
        case ("p", row):
            return Post(row=row)
        case ("e", row):
            return TimelineEntry(row=row)
    return None
