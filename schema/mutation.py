"""The root of mutations. Every one answers with its result or with userErrors; see schema/errors.py."""

from typing import Annotated

import strawberry

from resolvers import posts, reactions, sessions, ties
from resolvers.ids import post_gid
from resolvers.timelines import HOME
from schema import changes, session
from schema.base import Info
from schema.errors import answer
from schema.post import Post
from schema.timeline import TimelineEdge
from schema.user import User

INPUT = "What to do it with."


@strawberry.type(
    description=(
        "Everything that can be changed. Doing twice is doing once; undoing what is not there succeeds. "
        "Without a viewer where one is needed: UNAUTHENTICATED."
    )
)
class Mutation:
    @strawberry.mutation(description="Make an account and sign in to it.")
    async def sign_up(
        self, info: Info, input: Annotated[session.SignUpInput, strawberry.argument(description=INPUT)]
    ) -> session.SignUpPayload:
        async def work() -> session.SignUpPayload:
            registration = sessions.Registration(
                input.handle, input.display_name, input.email, input.password
            )
            done = await sessions.sign_up(info.context, registration)
            return session.SignUpPayload(
                viewer=User(row=done.viewer), tokens=session.SessionTokens.of(done.tokens)
            )

        return await answer(info.context, session.SignUpPayload, work)

    @strawberry.mutation(description="Open a session with a password.")
    async def sign_in(
        self, info: Info, input: Annotated[session.SignInInput, strawberry.argument(description=INPUT)]
    ) -> session.SignInPayload:
        async def work() -> session.SignInPayload:
            done = await sessions.sign_in(info.context, input.login, input.password)
            return session.SignInPayload(
                viewer=User(row=done.viewer), tokens=session.SessionTokens.of(done.tokens)
            )

        return await answer(info.context, session.SignInPayload, work)

    @strawberry.mutation(
        description=(
            "Trade the refresh token for new tokens. Sent without an Authorization header. BAD_CREDENTIALS: this "
            "session is over, sign in again; any other failure: try again."
        )
    )
    async def refresh_session(
        self,
        info: Info,
        input: Annotated[session.RefreshSessionInput, strawberry.argument(description=INPUT)],
    ) -> session.RefreshSessionPayload:
        async def work() -> session.RefreshSessionPayload:
            done = await sessions.refresh_session(info.context, input.refresh_token)
            return session.RefreshSessionPayload(
                viewer=User(row=done.viewer), tokens=session.SessionTokens.of(done.tokens)
            )

        return await answer(info.context, session.RefreshSessionPayload, work)

    @strawberry.mutation(description="End this session: its tokens are refused within a second.")
    async def sign_out(self, info: Info) -> session.SignOutPayload:
        async def work() -> session.SignOutPayload:
            await sessions.sign_out(info.context)
            return session.SignOutPayload()

        return await answer(info.context, session.SignOutPayload, work)

    @strawberry.mutation(description="Write a post or a reply.")
    async def create_post(
        self, info: Info, input: Annotated[changes.CreatePostInput, strawberry.argument(description=INPUT)]
    ) -> changes.CreatePostPayload:
        async def work() -> changes.CreatePostPayload:
            draft = posts.Draft(input.text, input.reply_to_id, input.idempotency_key)
            new = await posts.create_post(info.context, draft)
            return changes.CreatePostPayload(
                post=Post(row=new.post), timeline_edge=TimelineEdge(row=new.entry, kind=HOME)
            )

        return await answer(info.context, changes.CreatePostPayload, work)

    @strawberry.mutation(
        description="Delete the viewer's own post. Replies to it stay, reposts of it vanish. Repeating it succeeds."
    )
    async def delete_post(
        self, info: Info, input: Annotated[changes.DeletePostInput, strawberry.argument(description=INPUT)]
    ) -> changes.DeletePostPayload:
        async def work() -> changes.DeletePostPayload:
            key = await posts.delete_post(info.context, input.post_id)
            return changes.DeletePostPayload(deleted_post_id=strawberry.ID(post_gid(key)))

        return await answer(info.context, changes.DeletePostPayload, work)

    @strawberry.mutation(description="Like a post.")
    async def like_post(
        self, info: Info, input: Annotated[changes.LikePostInput, strawberry.argument(description=INPUT)]
    ) -> changes.LikePostPayload:
        async def work() -> changes.LikePostPayload:
            return changes.LikePostPayload(
                post=Post(row=await reactions.like_post(info.context, input.post_id))
            )

        return await answer(info.context, changes.LikePostPayload, work)

    @strawberry.mutation(description="Like a post no longer.")
    async def unlike_post(
        self, info: Info, input: Annotated[changes.UnlikePostInput, strawberry.argument(description=INPUT)]
    ) -> changes.UnlikePostPayload:
        async def work() -> changes.UnlikePostPayload:
            return changes.UnlikePostPayload(
                post=Post(row=await reactions.unlike_post(info.context, input.post_id))
            )

        return await answer(info.context, changes.UnlikePostPayload, work)

    @strawberry.mutation(description="Bring a post to the viewer's followers.")
    async def repost(
        self, info: Info, input: Annotated[changes.RepostInput, strawberry.argument(description=INPUT)]
    ) -> changes.RepostPayload:
        async def work() -> changes.RepostPayload:
            return changes.RepostPayload(post=Post(row=await reactions.repost(info.context, input.post_id)))

        return await answer(info.context, changes.RepostPayload, work)

    @strawberry.mutation(description="Take a repost back.")
    async def undo_repost(
        self, info: Info, input: Annotated[changes.UndoRepostInput, strawberry.argument(description=INPUT)]
    ) -> changes.UndoRepostPayload:
        async def work() -> changes.UndoRepostPayload:
            return changes.UndoRepostPayload(
                post=Post(row=await reactions.undo_repost(info.context, input.post_id))
            )

        return await answer(info.context, changes.UndoRepostPayload, work)

    @strawberry.mutation(
        description="Follow an account: its posts and reposts come into the viewer's home timeline."
    )
    async def follow_user(
        self, info: Info, input: Annotated[changes.FollowUserInput, strawberry.argument(description=INPUT)]
    ) -> changes.FollowUserPayload:
        async def work() -> changes.FollowUserPayload:
            return changes.FollowUserPayload(
                user=User(row=await ties.follow_user(info.context, input.user_id))
            )

        return await answer(info.context, changes.FollowUserPayload, work)

    @strawberry.mutation(description="Follow an account no longer.")
    async def unfollow_user(
        self, info: Info, input: Annotated[changes.UnfollowUserInput, strawberry.argument(description=INPUT)]
    ) -> changes.UnfollowUserPayload:
        async def work() -> changes.UnfollowUserPayload:
            return changes.UnfollowUserPayload(
                user=User(row=await ties.unfollow_user(info.context, input.user_id))
            )

        return await answer(info.context, changes.UnfollowUserPayload, work)

    @strawberry.mutation(
        description="Block an account: neither sees the other's posts, and follows end both ways."
    )
    async def block_user(
        self, info: Info, input: Annotated[changes.BlockUserInput, strawberry.argument(description=INPUT)]
    ) -> changes.BlockUserPayload:
        async def work() -> changes.BlockUserPayload:
            return changes.BlockUserPayload(user=User(row=await ties.block_user(info.context, input.user_id)))

        return await answer(info.context, changes.BlockUserPayload, work)

    @strawberry.mutation(description="Block an account no longer. Follows do not come back by themselves.")
    async def unblock_user(
        self, info: Info, input: Annotated[changes.UnblockUserInput, strawberry.argument(description=INPUT)]
    ) -> changes.UnblockUserPayload:
        async def work() -> changes.UnblockUserPayload:
            return changes.UnblockUserPayload(
                user=User(row=await ties.unblock_user(info.context, input.user_id))
            )

        return await answer(info.context, changes.UnblockUserPayload, work)
