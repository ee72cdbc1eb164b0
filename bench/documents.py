"""What the benchmarks ask: GraphQL documents, and requests as bytes ready to be sent."""

import json
from typing import Any

POST = """
  id text textDirection createdAt isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted
  author { id handle displayName avatarUrl viewerIsFollowing }
"""

HOME = """
query Home($after: String) {
  homeTimeline(first: 20, after: $after) {
    liveCursor
    pageInfo { hasNextPage endCursor }
    edges { cursor sortKey node { id enteredAt repostedBy { handle displayName } post {
      id text textDirection createdAt isReply likeCount repostCount replyCount viewerHasLiked viewerHasReposted
      author { id handle displayName avatarUrl viewerIsFollowing }
    } } }
  }
}
"""

TYPENAME = "{ __typename }"

LIKE = """
mutation Like($post: ID!) {
  likePost(input: { postId: $post }) { post { id likeCount viewerHasLiked } userErrors { code } }
}
"""

UNLIKE = """
mutation Unlike($post: ID!) {
  unlikePost(input: { postId: $post }) { post { id likeCount viewerHasLiked } userErrors { code } }
}
"""

# A place in the public timeline, to be walked from the top; and who is asked for to get the network ready.
PLACES = """
query Places($after: String) {
  publicTimeline(first: 100, after: $after) { pageInfo { endCursor } edges { node { post { id } } } }
}
"""
REPOST = "mutation Repost($post: ID!) { repost(input: { postId: $post }) { userErrors { code } } }"
BLOCK = "mutation Block($user: ID!) { blockUser(input: { userId: $user }) { userErrors { code } } }"


def pages(count: int) -> str:
    """A document with so many pages of a hundred posts of the public timeline, each below a cursor of its own."""
    variables = ", ".join(f"$after{n}: String" for n in range(count))
    fields = "\n  ".join(
        f"page{n}: publicTimeline(first: 100, after: $after{n}) {{ ...Page }}" for n in range(count)
    )
    return f"""
query Pages({variables}) {{
  {fields}
}}
fragment Page on TimelineConnection {{ edges {{ node {{ post {{ {POST} }} }} }} }}
"""


def request_bytes(query: str, variables: dict[str, Any], token: str) -> bytes:
    """The whole HTTP request of an operation, with the viewer's token."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
