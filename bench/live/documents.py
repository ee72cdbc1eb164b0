"""What subscribers ask for: the selection of the home page, for the one edge that came in."""

NODE = """
  id enteredAt repostedBy { handle displayName } post {
    id text textDirection createdAt isReply likeCount repostCount replyCount %s
    author { id handle displayName avatarUrl %s }
  }
"""

_EVENTS = """
subscription Home($after: String) {
  homeTimelineEvents(after: $after) {
    __typename liveCursor ... on TimelineEntryAdded { edge { cursor sortKey node { %s } } }
  }
}
"""

# The same for every viewer, and with what differs from viewer to viewer.
EVENTS = _EVENTS % (NODE % ("", ""))
VIEWER_EVENTS = _EVENTS % (NODE % ("viewerHasLiked", "viewerIsFollowing"))

CREATE_POST = """
mutation Post($text: String!) { createPost(input: { text: $text }) { post { id } userErrors { code } } }
"""

# Posts begin with a number of eight digits, by which the generator knows them without parsing anything.
MARK = "@00000000"
TEXT = f"{MARK} The square fills slowly on market days; by noon nobody hears the fountain any more, and nobody minds."
