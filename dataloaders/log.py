"""Reads and writes of the log of what happened; the model is in docs/decisions/0003."""

from collections.abc import Collection

from dataloaders.database import DatabaseUnavailable, Statements
from dataloaders.rows import (
    FanoutRow,
    FloorRow,
    HeadRow,
    IdRow,
    LeaseRow,
    LogRow,
    MovedRow,
    NumberRow,
    ReposterRow,
    RoomRow,
    SentRow,
)
from sql import load

LOG = load("log")
ENTRIES = load("entries")
SESSIONS = load("sessions")

# One part numbers everything; more parts come with more writers than one sequencer can serve.
PART = 0


async def log_head(db: Statements) -> HeadRow:
    """The epoch, and the number of the newest event: all it covers is visible to statements from now on."""
    return await db.one(HeadRow, LOG["log_head"], PART)


async def log_floor(db: Statements) -> int:
    """All numbers up to this one were dropped. Read after rows above n, a floor of n or less says they were all."""
    return (await db.one(NumberRow, LOG["log_floor"], PART)).number


async def log_after(db: Statements, number: int, limit: int) -> list[LogRow]:
    """At most `limit` events above a number, in order."""
    return await db.many(LogRow, LOG["log_after"], PART, number, limit)


async def log_of_owners(
    db: Statements, owners: Collection[int], after: int, up_to: int, limit: int
) -> list[LogRow]:
    """At most `limit` events that concern the owners, above `after` and up to `up_to`, in order."""
    return await db.many(LogRow, LOG["log_of_owners"], PART, owners, after, up_to, limit)


async def public_log(
    db: Statements, viewer_id: int | None, after: int, up_to: int, limit: int
) -> list[LogRow]:
    """At most `limit` public events, and changes of the viewer's ties, above `after` and up to `up_to`, in order."""
    return await db.many(LogRow, LOG["public_log"], PART, viewer_id, after, up_to, limit)


async def count_of_owners(db: Statements, owners: Collection[int], after: int, up_to: int, limit: int) -> int:
    """How many events log_of_owners has, `limit` at most."""
    return (await db.one(NumberRow, LOG["count_of_owners"], PART, owners, after, up_to, limit)).number


async def count_public(db: Statements, after: int, up_to: int, limit: int) -> int:
    """How many public events there are, `limit` at most."""
    return (await db.one(NumberRow, LOG["count_public"], PART, after, up_to, limit)).number


async def ties_in_log(db: Statements, user_id: int, after: int, up_to: int, *, block: bool) -> bool:
    """Whether the account's ties changed; with `block`, whether a block did."""
    return await db.maybe(NumberRow, LOG["ties_in_log"], PART, user_id, after, up_to, block) is not None


async def sessions_revoked_lately(db: Statements, seconds: float) -> list[int]:
    """Sessions revoked in the last seconds."""
    return [row.id for row in await db.many(IdRow, SESSIONS["sessions_revoked_lately"], seconds)]


async def take_lease(db: Statements, holder: str, patience: float) -> LeaseRow | None:
    """The lease, when this holder numbers the log now; another's is taken after `patience` seconds of silence.

    On another server, or another timeline of it, than before the epoch is a new one from then on.
    """
    return await db.maybe(LeaseRow, LOG["take_lease"], PART, holder, patience)


async def make_room(db: Statements, holder: str, size: int) -> int | None:
    """Make a partition for `size` numbers more; below which number there is room then. None without the lease."""
    return (await db.one(RoomRow, LOG["make_log_room"], PART, holder, size)).room


async def renew_epoch(db: Statements) -> HeadRow:
    """Begin another epoch: of what clients have seen nothing can be proved any more."""
    return await db.one(HeadRow, LOG["renew_epoch"], PART)


async def drop_lease(db: Statements, holder: str) -> None:
    """Let another worker take over at once."""
    await db.run(LOG["drop_lease"], PART, holder)


async def outbox_waits(db: Statements) -> bool:
    """Whether committed events wait to be numbered."""
    return await db.maybe(IdRow, LOG["outbox_first"]) is not None


async def number_outbox(db: Statements, holder: str, limit: int) -> MovedRow | None:
    """Move committed events into the log. None when the lease was lost."""
    return await db.maybe(MovedRow, LOG["number_outbox"], PART, holder, limit)


async def announce_changes(db: Statements, every: float, limit: int) -> int:
    """Announce posts whose counters moved, each at most once in `every` seconds. Returns how many."""
    return (await db.one(SentRow, LOG["announce_changes"], every, limit)).sent


class FanoutFailed(Exception):
    """A step of this job failed; the transaction is to be rolled back, and the job postponed."""

    def __init__(self, job: FanoutRow) -> None:
        super().__init__(f"fan-out {job.id} of {job.kind}")
        self.job = job


async def postpone_fanout(db: Statements, job: FanoutRow) -> None:
    """Let others go before a job that failed."""
    await db.run(LOG["postpone_fanout"], job.author_id, job.id)


async def carry_fanout(db: Statements, limit: int) -> bool:
    """Inside a transaction: take the next job one step further, to `limit` reposters. False when there is none.

    A deleted post's reposts are removed on the way; until then the gate hides them. Raises FanoutFailed.
    """
    job = await db.maybe(FanoutRow, LOG["take_fanout"])
    if job is None:
        return False
    try:
        await _carry(db, job, limit)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        raise FanoutFailed(job) from error
    return True


async def _carry(db: Statements, job: FanoutRow, limit: int) -> None:
    reposters = await db.many(
        ReposterRow, ENTRIES["reposters_after"], job.author_id, job.post_id, job.after_actor, limit
    )
    await db.run_many(
        LOG["announce"],
        [
            (
                row.actor_id,
                job.kind,
                False,
                {
                    "post": [job.author_id, job.post_id],
                    "entry": [row.actor_id, row.entry_id],
                    "change": job.id,
                },
            )
            for row in reposters
        ],
    )
    if job.kind == "post_removed":
        await db.run_many(ENTRIES["delete_entry"], [(row.actor_id, row.entry_id) for row in reposters])
        await db.run_many(
            ENTRIES["delete_reposter"], [(job.author_id, job.post_id, row.actor_id) for row in reposters]
        )
    if len(reposters) < limit:
        await db.run(LOG["end_fanout"], job.author_id, job.id)
    else:
        await db.run(LOG["move_fanout"], job.author_id, job.id, reposters[-1].actor_id)


async def trim(db: Statements, seconds: float, limit: int) -> None:
    """Drop events older than `seconds`, and what else has served its time, at most `limit` rows of a kind."""
    while (await db.one(FloorRow, LOG["drop_old_log"], PART, seconds)).number is not None:
        pass
    await db.run(LOG["trim_changed_posts"], PART, seconds, limit)
    await db.run(LOG["trim_changes"])
    await db.run(SESSIONS["trim_throttles"])
