"""A client: somebody who does things, and whose list is kept right by a stream (see screens.py)."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import HOME, OK, PUBLIC, UNKNOWN, Entry, History, Operation, token_of
from tests.chaos.screens import Live
from tests.chaos.talk import LOOKS, MUTATIONS, Directory, Line, page_document

# Seconds between attempts at first, and later.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
# What people do, by how often.
HABITS = {
    "post": 16,
    "reply": 3,
    "delete": 4,
    "like": 12,
    "unlike": 4,
    "repost": 5,
    "undo": 3,
    "follow": 3,
    "unfollow": 2,
    "block": 2,
    "unblock": 2,
    "home": 12,
    "public": 6,
    "look": 8,
    "cut": 6,
    "sleep": 3,
    "stop reading": 1,
}


@dataclass
class Stage:
    """What all clients of a campaign share."""

    history: History
    line: Line
    directory: Directory
    workers: int
    # Clients do things while `playing`, and are there until `closing`.
    playing: bool = True
    closing: bool = False

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the play."""
        end = time.monotonic() + seconds
        while self.playing and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.5))


@dataclass
class Client:
    """One of the clients. `every`: seconds between two things they do, on average."""

    number: int
    stage: Stage
    chance: random.Random
    every: float
    timeline: str = HOME
    following: set[int] = field(default_factory=set)
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(self.number, self.timeline, self.stage, self.chance)
        self._posts = 0
        # (post, token) each.
        self._own: list[tuple[str, str]] = []
        self._liked: list[tuple[str, str]] = []
        self._reposted: list[tuple[str, str]] = []
        self._blocked: set[int] = set()

    @property
    def token(self) -> str:
        """Their access token."""
        return self.stage.directory.tokens[self.number]

    async def play(self) -> None:
        """Do one thing after another until the play is over."""
        await self.stage.pause(self.chance.uniform(0, self.every))
        habits, weights = list(HABITS), list(HABITS.values())
        while self.stage.playing:
            begun = time.monotonic()
            await self._do(self.chance.choices(habits, weights)[0])
            left = self.chance.expovariate(1 / self.every) - (time.monotonic() - begun)
            await self.stage.pause(max(left, 0.0))

    async def _do(self, what: str) -> None:
        chance = self.chance
        match what:
            case "post":
                await self.post()
            case "reply":
                if entry := self._seen():
                    await self.post(answering=entry)
            case "delete" | "unlike" | "undo":
                mine = {"delete": self._own, "unlike": self._liked, "undo": self._reposted}[what]
                if mine:
                    await self._about_post(what, *mine.pop(chance.randrange(len(mine))))
            case "like" | "repost":
                if entry := self._seen():
                    mine = self._liked if what == "like" else self._reposted
                    if await self._about_post(what, entry.post, entry.token) == OK:
                        mine.append((entry.post, entry.token))
            case "follow" | "unfollow" | "block" | "unblock":
                await self._tie(what)
            case "home" | "public":
                await self.read(HOME if what == "home" else PUBLIC)
            case "look":
                if entry := self._seen():
                    await self._look(entry.post, entry.token)
            case "cut":
                self.live.cut(abrupt=chance.random() < 0.7)
            case "sleep":
                self.live.sleep(chance.uniform(1, 8))
            case _:
                self.live.stop_reading(chance.uniform(2, 8))

    def _seen(self) -> Entry | None:
        """An entry that is on their screen, rather a new one."""
        shown = sorted(self.live.held.values(), key=lambda entry: entry.sort_key, reverse=True)
        return shown[min(int(self.chance.expovariate(0.2)), len(shown) - 1)] if shown else None

    async def post(self, answering: Entry | None = None) -> None:
        """Write a post or reply, until it is answered."""
        self._posts += 1
        token = token_of(self.number, self._posts)
        input = {"text": f"{token} says {self.number}", "idempotencyKey": token}
        what = "post"
        if answering is not None:
            what, input["replyToId"] = "reply", answering.post
        done = await self.insist(what, input, token=token)
        if done is not None and done.outcome == OK:
            self._own.append((done.post, token))
            if self.chance.random() < 0.3:
                await self._look(done.post, token)

    async def _about_post(self, what: str, post: str, token: str) -> str:
        done = await self.insist(what, {"postId": post}, token=token)
        if self.chance.random() < 0.3:
            await self._look(post, token)
        return UNKNOWN if done is None else done.outcome

    async def _tie(self, what: str) -> None:
        chance, everybody = self.chance, len(self.stage.directory.ids)
        known = sorted(
            {"unfollow": self.following, "unblock": self._blocked, "block": self.following}.get(what, ())
        )
        if what == "follow" or (what == "block" and chance.random() < 0.5):
            whom = chance.randrange(everybody)
        elif known:
            whom = chance.choice(known)
        else:
            return
        if whom == self.number:
            return
        done = await self.insist(what, {"userId": self.stage.directory.ids[whom]}, whom=whom)
        if what in ("unfollow", "block"):
            self.following.discard(whom)
        if what == "unblock":
            self._blocked.discard(whom)
        if done is not None and done.outcome == OK and what in ("follow", "block"):
            (self.following if what == "follow" else self._blocked).add(whom)
        if chance.random() < 0.3:
            await self._look(self.stage.directory.ids[whom], "", whom=whom)

    async def insist(self, what: str, input: dict[str, str], **about: Any) -> Operation | None:
        """Do a mutation, again until it is answered. None when everything ends before."""
        call, pause = self.stage.line.call(), FIRST_PAUSE
        while not self.stage.closing:
            done = await self._attempt(what, call, MUTATIONS[what], {"input": input}, about)
            if done.outcome != UNKNOWN:
                return done
            await asyncio.sleep(self.chance.uniform(0.5, 1) * pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        return None

    async def _attempt(
        self, what: str, call: int, document: str, variables: dict[str, Any], about: dict[str, Any]
    ) -> Operation:
        worker, begun = self.chance.randrange(self.stage.workers), time.monotonic()
        answer = await self.stage.line.ask(worker, self.token, document, variables)
        done = Operation(begun, time.monotonic(), self.number, what, call, answer.outcome, worker, **about)
        done.note, done.tokens = answer.note, answer.tokens
        if answer.outcome == OK and what in ("post", "reply"):
            done.post = answer.data["post"]["id"]
            edge = answer.data["timelineEdge"]
            done.sort_key = "" if edge is None else edge["sortKey"]
        if answer.outcome == OK and what in LOOKS:
            done.found = answer.data and _flags(answer.data)
        self.stage.history.add(done)
        return done

    async def _look(self, id: str, token: str, *, whom: int = -1) -> None:
        """Look at a post or an account once."""
        what = "look" if whom < 0 else "look at account"
        about = {"token": token, "whom": whom}
        await self._attempt(what, self.stage.line.call(), LOOKS[what], {"id": id}, about)

    async def read(self, timeline: str) -> None:
        """Read a page or two; a lost answer is not asked for again."""
        row, after = self.stage.line.call(), None
        for nth in range(self.chance.choice([1, 1, 2, 3])):
            worker, begun = self.chance.randrange(self.stage.workers), time.monotonic()
            variables = {"first": 20, "after": after}
            answer = await self.stage.line.ask(
                worker, self.token, page_document(timeline, liked=False), variables
            )
            done = Operation(
                begun, time.monotonic(), self.number, timeline, row if nth == 0 else 0, answer.outcome, worker
            )
            done.note, done.tokens, done.follows_page = answer.note, answer.tokens, row
            if answer.outcome == OK:
                done.entries = tuple(self.stage.directory.entry(edge) for edge in answer.data["edges"])
                done.more = answer.data["pageInfo"]["hasNextPage"]
                after = answer.data["pageInfo"]["endCursor"]
            self.stage.history.add(done)
            if not done.more:
                return


def _flags(node: dict[str, Any]) -> dict[str, bool]:
    if "viewerIsFollowing" in node:
        return {"following": node["viewerIsFollowing"]}
    return {"liked": node["viewerHasLiked"], "reposted": node["viewerHasReposted"]}
