"""Inputs and payloads of what is done to posts and accounts."""

import strawberry

from schema.errors import USER_ERRORS, UserError
from schema.post import Post
from schema.timeline import TimelineEdge
from schema.user import User

ON_POST = "The post's ID."
ON_USER = "The account's ID."


@strawberry.input(description="A new post or reply.")
class CreatePostInput:
    text: str = strawberry.field(
        description=(
            "1 to 500 characters as people count them. Line breaks are kept; control characters and blank text are "
            "refused."
        )
    )
    reply_to_id: strawberry.ID | None = strawberry.field(
        default=None, description="The post that this one answers."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=(
            "Up to 128 characters, e.g. a UUID made with the draft. Repeating a call with the same key within 24 "
            "hours returns the first call's post and creates nothing; another text or replyToId under it is CONFLICT."
        ),
    )


@strawberry.input(description="Which post goes.")
class DeletePostInput:
    post_id: strawberry.ID = strawberry.field(description=ON_POST)


@strawberry.input(description="Which post is liked.")
class LikePostInput:
    post_id: strawberry.ID = strawberry.field(description=ON_POST)


@strawberry.input(description="Which post is liked no longer.")
class UnlikePostInput:
    post_id: strawberry.ID = strawberry.field(description=ON_POST)


@strawberry.input(description="Which post is reposted.")
class RepostInput:
    post_id: strawberry.ID = strawberry.field(description=ON_POST)


@strawberry.input(description="Which repost is taken back.")
class UndoRepostInput:
    post_id: strawberry.ID = strawberry.field(description=ON_POST)


@strawberry.input(description="Who is followed.")
class FollowUserInput:
    user_id: strawberry.ID = strawberry.field(description=ON_USER)


@strawberry.input(description="Who is followed no longer.")
class UnfollowUserInput:
    user_id: strawberry.ID = strawberry.field(description=ON_USER)


@strawberry.input(description="Who is blocked.")
class BlockUserInput:
    user_id: strawberry.ID = strawberry.field(description=ON_USER)


@strawberry.input(description="Who is blocked no longer.")
class UnblockUserInput:
    user_id: strawberry.ID = strawberry.field(description=ON_USER)


@strawberry.type(description="The new post.")
class CreatePostPayload:
    post: Post | None = strawberry.field(default=None, description="The new post.")
    timeline_edge: TimelineEdge | None = strawberry.field(
        default=None,
        description=(
            "The post as it enters the viewer's home timeline, the same entry that the subscription sends; null when "
            "it does not."
        ),
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The deletion.")
class DeletePostPayload:
    deleted_post_id: strawberry.ID | None = strawberry.field(
        default=None, description="The ID of the post that is gone."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The post, liked.")
class LikePostPayload:
    post: Post | None = strawberry.field(default=None, description="The post as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The post, liked no longer.")
class UnlikePostPayload:
    post: Post | None = strawberry.field(default=None, description="The post as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The post, reposted.")
class RepostPayload:
    post: Post | None = strawberry.field(default=None, description="The post as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The post, reposted no longer.")
class UndoRepostPayload:
    post: Post | None = strawberry.field(default=None, description="The post as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The account, followed.")
class FollowUserPayload:
    user: User | None = strawberry.field(default=None, description="The account as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The account, followed no longer.")
class UnfollowUserPayload:
    user: User | None = strawberry.field(default=None, description="The account as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The account, blocked.")
class BlockUserPayload:
    user: User | None = strawberry.field(default=None, description="The account as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="The account, blocked no longer.")
class UnblockUserPayload:
    user: User | None = strawberry.field(default=None, description="The account as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)
