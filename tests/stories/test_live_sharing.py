"""One event for many: the same bytes for all who stand alike, and for each what it would be told alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, parse

from app.subscriptions.answers import Answers
from dataloaders.rows import PostKey
from execution import PreparedOperation
from resolvers.context import Context
from resolvers.feeds import Asked, Changes, Relation
from resolvers.live import LiveEvent
from schema.build import executable
from schema.sharing import DEPENDS, asked_by, variables_used
from sql import Query
from tests.conftest import Server
from tests.live import HOME_EVENTS, PUBLIC_EVENTS, added, essence, holds, quiet, read_until
from tests.people import Person, Stream

# Lists, and what leads to other accounts' posts: answered to each viewer by itself.
ALONE = {"Post.replies", "User.posts", "User.followers", "User.following"}
USER = (
    "id handle displayName bio avatarUrl followerCount followingCount postCount createdAt "
    "viewerIsFollowing isFollowingViewer viewerIsBlocking"
)
PLAIN = (
    "id text textDirection likeCount repostCount replyCount createdAt isReply "
    f"viewerHasLiked viewerHasReposted idempotencyKey author {{ {USER} }}"
)
POST = f"{PLAIN} replyTo {{ {PLAIN} }}"
EVERYTHING = (
    "__typename liveCursor "
    f"... on TimelineEntryAdded {{ edge {{ cursor sortKey node {{ id enteredAt repostedBy {{ {USER} }}"
    f" post {{ {POST} MORE }} }} }} }}"
    f"... on TimelinePostUpdated {{ post {{ {POST} MORE }} }}"
    "... on TimelineEntryRemoved { entryId unavailablePostId }"
)
# Statements of which delivering an event may consist; no other part of what a test does sends them.
DELIVERING = {"posts_by_keys", "relations", "some_reposters", "reposts_by_actors", "followed_by"}
# Of a query that cannot be shared.
MORE = "more: replies(first: 1) { __typename }"


def test_every_field_below_an_event_is_shared_or_known_not_to_be() -> None:
    waiting = [executable.type_map["TimelineEvent"]]
    seen: set[str] = set()
    while waiting:
        type_ = waiting.pop()
        if type_.name in seen or not isinstance(type_, (GraphQLObjectType, GraphQLInterfaceType)):
            continue
        seen.add(type_.name)
        if isinstance(type_, GraphQLInterfaceType):
            waiting += executable.get_possible_types(type_)
        for name, field in type_.fields.items():
            whole = f"{type_.name}.{name}"
            assert (whole in DEPENDS) != (whole in ALONE), whole
            if whole in DEPENDS:
                named: Any = field.type
                while hasattr(named, "of_type"):
                    named = named.of_type
                waiting.append(named)


@pytest.mark.parametrize(
    ("selection", "asked"),
    [
        ("liveCursor", Asked()),
        ("... on TimelineEntryAdded { edge { node { post { text author { handle } } } } }", Asked()),
        (
            "... on TimelinePostUpdated { post { viewerHasLiked author { viewerIsFollowing } } }",
            Asked(Relation.LIKED | Relation.FOLLOWED_BY_VIEWER),
        ),
        ("... on TimelinePostUpdated { post { idempotencyKey } }", Asked(own=True)),
        ("... on TimelinePostUpdated { post { replyTo { replyTo { id } } } }", None),
        ("... on TimelinePostUpdated { post { replies { edges { cursor } } } }", None),
    ],
)
def test_what_answers_depend_on_is_read_off_their_document(selection: str, asked: Asked | None) -> None:
    document = parse(
        "subscription ($after: String, $on: Boolean!) { homeTimelineEvents(after: $after) { ...F } }"
        f" fragment F on TimelineEvent {{ liveCursor @include(if: $on) {selection} }}"
    )
    operation, fragment = document.definitions
    fragments: Mapping[str, Any] = {"F": fragment}
    assert asked_by(executable, operation, fragments) == asked  # type: ignore[arg-type]  # it is the operation
    assert variables_used(operation, fragments) == {"on"}  # type: ignore[arg-type]  # it is the operation


@asynccontextmanager
async def watching_all(person: Person, field: str, more: str = "") -> AsyncIterator[Stream]:
    """A stream with every field of every event, caught up."""
    async with person.socket() as socket:
        document = f"subscription {{ {field} {{ {EVERYTHING.replace('MORE', more)} }} }}"
        await socket.send({"id": "s", "type": "subscribe", "payload": {"query": document}})
        stream = Stream(socket, field)
        await stream.caught_up()
        stream.events.clear()
        yield stream


def compared(found: Any) -> Any:
    """An answer without what keeps it from being shared, and without counters, which move between two answers."""
    if isinstance(found, dict):
        kept = {key: value for key, value in found.items() if key != "more" and not key.endswith("Count")}
        return {key: compared(value) for key, value in kept.items()}
    return found


@pytest.mark.parametrize("field", [HOME_EVENTS, PUBLIC_EVENTS])
async def test_what_is_shared_is_what_each_is_told_alone(
    server: Server, alice: Person, bob: Person, carol: Person, field: str
) -> None:
    viewers = {name: await server.sign_up(name) for name in ("plain", "liked", "mutual", "blocks", "also")}
    for viewer in viewers.values():
        await viewer.follows(alice)
        await viewer.follows(carol)
    await alice.follows(viewers["mutual"])
    await alice.follows(carol)
    await bob.follows(carol)
    gone = await alice.posts("gone")
    old = await alice.posts("old")
    carols = await carol.posts("carol's")
    await viewers["liked"].likes(old)
    await viewers["liked"].likes(carols)
    await viewers["also"].reposts(old)
    bobs = await bob.posts("bob's")
    await viewers["blocks"].blocks(bob)
    people = {**viewers, "alice": alice, "carol": carol, "bob": bob}
    if field == PUBLIC_EVENTS:
        people["passer-by"] = server.passer_by()
    await quiet(server)
    async with AsyncExitStack() as stack:
        shared, alone = {}, {}
        for name, person in people.items():
            shared[name] = await stack.enter_async_context(watching_all(person, field))
            alone[name] = await stack.enter_async_context(watching_all(person, field, MORE))
        assert len(server.application.parts.subscriptions) == 1
        acts: list[Callable[[], Awaitable[Any]]] = [
            lambda: alice.posts("new", key="a-key"),
            lambda: alice.posts("answers", to=carols),
            lambda: alice.posts("answers bob", to=bobs),
            lambda: alice.reposts(bobs),
            lambda: alice.undoes_repost(bobs),
            lambda: bob.likes(old),
            lambda: alice.deletes(gone),
        ]
        heard: Counter[str] = Counter()
        for nth, act in enumerate(acts):
            await act()
            await quiet(server)
            mark = f"mark {nth}"
            await carol.posts(mark)

            def ends(event: dict[str, Any], mark: str = mark) -> bool:
                return "edge" in event and added(event, mark)

            for name in people:
                together = [compared(event) for event in await read_until(shared[name], ends)]
                one_by_one = [compared(event) for event in await read_until(alone[name], ends)]
                assert together == one_by_one, name
                heard[name] += len(together) - 1
        assert min(heard.values()) > 0, heard


async def test_an_event_costs_the_same_statements_and_one_execution_however_many_hear_it(
    server: Server, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewers = [await server.sign_up(f"viewer_{nth}") for nth in range(12)]
    for viewer in viewers:
        await viewer.follows(alice)
    await bob.follows(alice)
    sent: Counter[str] = Counter()
    executed: list[int] = []
    respond = PreparedOperation.respond

    async def counted(self: PreparedOperation, ctx: Context, variables: Any, events: Any) -> Any:
        executed.append(len(events))
        return await respond(self, ctx, variables, events)

    def watch(query: Query) -> None:
        # Not those of the mutation.
        if query.name in DELIVERING:
            sent[query.name] += 1

    async def of_one_event(people: list[Person], text: str) -> tuple[dict[str, int], list[int]]:
        await quiet(server)
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(watching_all(person, HOME_EVENTS)) for person in people
            ]
            draft = alice.posts(text)
            server.application.parts.database.watchers.append(watch)
            monkeypatch.setattr(PreparedOperation, "respond", counted)
            try:
                await draft
                for stream in streams:
                    assert essence(await stream.next()) == ("added", text, None)
            finally:
                server.application.parts.database.watchers.remove(watch)
                monkeypatch.undo()
        found = dict(sent), list(executed)
        sent.clear()
        executed.clear()
        return found

    few = await of_one_event([bob], "to one")
    many = await of_one_event([*viewers, bob], "to many")
    assert few == many == ({"posts_by_keys": 1, "relations": 1}, [1])


def test_a_change_is_told_once_whatever_the_clock_does() -> None:
    changes: Changes[Any] = Changes()
    one, other, post = object(), object(), PostKey(1, 2)
    changes.note(post, 7, [one])
    assert list(changes.news(post, 7, [one, other])) == [other]
    # A later change, whose number is smaller since the clock was set back.
    assert list(changes.news(post, 5, [one, other])) == [one, other]
    changes.note(post, 5, [one, other])
    assert list(changes.news(post, 5, [one, other])) == []


async def test_a_broadcast_is_over_with_its_last_listener(server: Server, alice: Person, bob: Person) -> None:
    parts = server.application.parts
    before = len(asyncio.all_tasks())
    async with watching_all(alice, HOME_EVENTS), watching_all(bob, HOME_EVENTS):
        assert len(parts.subscriptions) == 1
        async with watching_all(alice, PUBLIC_EVENTS):
            assert len(parts.subscriptions) == 2
    await holds(lambda: len(parts.subscriptions) == 0)
    await holds(lambda: len(asyncio.all_tasks()) <= before)


async def test_answers_to_all_do_not_fail_for_one(
    server: Server, alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be delivered together is delivered to each by itself."""
    await bob.follows(alice)
    await carol.follows(alice)
    await quiet(server)
    to = Answers.to
    failed: list[object] = []

    async def fails_once(self: Answers, ctx: Context, kind: str, events: list[LiveEvent]) -> list[bytes]:
        if not failed:
            failed.append(events)
            raise ValueError("broken")
        return await to(self, ctx, kind, events)

    async with watching_all(bob, HOME_EVENTS) as bobs, watching_all(carol, HOME_EVENTS) as carols:
        monkeypatch.setattr(Answers, "to", fails_once)
        await alice.posts("one")
        await alice.posts("two")
        for stream in (bobs, carols):
            assert [essence(await stream.next())[1] for _ in range(2)] == ["one", "two"]
    assert failed
