"""What an event's answer depends on: whoever stands alike to what the event is about is sent the same bytes.

An operation that asks for nothing but the fields named here is executed once for all who stand alike. One that asks
for another field, a list above all, is executed for each viewer by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from resolvers.feeds import Asked, Relation

GATE = Relation.BLOCKED_BY_VIEWER | Relation.BLOCKS_VIEWER
# Fields whose value is the same whoever looks.
_SAME = {
    "TimelineEvent": "liveCursor",
    "TimelineEntryAdded": "liveCursor edge",
    "TimelinePostUpdated": "liveCursor post",
    "TimelineEntryRemoved": "liveCursor entryId unavailablePostId",
    "LiveCaughtUp": "liveCursor",
    "LiveReset": "liveCursor",
    "TimelineEdge": "cursor sortKey node",
    "TimelineEntry": "id post enteredAt",
    "Node": "id",
    "Post": "id text textDirection likeCount repostCount replyCount createdAt isReply author",
    "User": ("id handle displayName bio avatarUrl followerCount followingCount postCount createdAt"),
}
# What each field depends on: something between the viewer and the account or post, or a block that hides it.
DEPENDS: Mapping[str, Asked] = {
    **{f"{type_}.{name}": Asked() for type_, names in _SAME.items() for name in names.split()},
    "TimelineEntry.repostedBy": Asked(GATE),
    "Post.replyTo": Asked(GATE, answered=True),
    "Post.idempotencyKey": Asked(own=True),
    "Post.viewerHasLiked": Asked(Relation.LIKED),
    "Post.viewerHasReposted": Asked(Relation.REPOSTED),
    "User.viewerIsFollowing": Asked(Relation.FOLLOWED_BY_VIEWER),
    "User.isFollowingViewer": Asked(Relation.FOLLOWS_VIEWER),
    "User.viewerIsBlocking": Asked(Relation.BLOCKED_BY_VIEWER),
}


def asked_by(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Asked | None:
    """What a subscription's answers depend on; None when each viewer must be answered by itself."""
    root = schema.subscription_type
    found = Asked()
    # Selections still to be looked at: the type, and whether this is a post that another one answers.
    waiting = [(root.name if root else "", operation.selection_set, False)]
    while waiting:
        type_, selections, is_answered = waiting.pop()
        for node in selections.selections:
            if isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                waiting.append((fragment.type_condition.name.value, fragment.selection_set, is_answered))
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                waiting.append(
                    (condition.name.value if condition else type_, node.selection_set, is_answered)
                )
            elif isinstance(node, FieldNode) and not node.name.value.startswith("__"):
                name = f"{type_}.{node.name.value}"
                asked = Asked() if root is not None and type_ == root.name else DEPENDS.get(name)
                # What an answered post answers in turn is nothing that is read for all.
                if asked is None or (asked.answered and is_answered):
                    return None
                found |= asked
                if node.selection_set is not None:
                    below = _type_of(schema, type_, node.name.value)
                    waiting.append((below, node.selection_set, is_answered or asked.answered))
    return found


def _type_of(schema: GraphQLSchema, type_: str, field: str) -> str:
    fields: Any = schema.type_map[type_]
    return str(get_named_type(fields.fields[field].type).name)


def variables_used(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> frozenset[str]:
    """The variables on which the answers depend: not those that only say where to begin."""
    names = {
        variable.name.value
        for selections in (operation.selection_set, *(node.selection_set for node in fragments.values()))
        for variable in _variables(selections)
    }
    return frozenset(names)


def _variables(selections: SelectionSetNode) -> Iterator[VariableNode]:
    waiting: list[Node] = [selections]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VariableNode):
            yield node
        elif isinstance(node, FieldNode):
            # The arguments of a timeline's own field say where to begin; no field below that is shared has any.
            waiting += [*(node.directives or ()), *([node.selection_set] if node.selection_set else ())]
        else:
            for key in node.keys:
                value = getattr(node, key, None)
                waiting += (
                    value if isinstance(value, (list, tuple)) else [value] if isinstance(value, Node) else []
                )
