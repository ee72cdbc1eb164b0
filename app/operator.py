"""What whoever runs the server does from the command line."""

from dataloaders.database import Database
from dataloaders.log import renew_epoch
from dataloaders.users import user_ids_by_handles
from resolvers.sessions import end_sessions
from resolvers.text import fold_handle


async def sign_out(dsn: str, handle: str) -> int:
    """End every session of an account; the workers hear of it through the log. Returns how many ended.

    Raises LookupError when there is no such account.
    """
    folded = fold_handle(handle.strip().removeprefix("@"))
    async with Database.connected(dsn, size=1) as database, database.opened() as session:
        user_id = None
        if folded is not None:
            async with session.turn() as db:
                user_id = (await user_ids_by_handles(db, [folded]))[0]
        if user_id is None:
            raise LookupError(handle)
        return await end_sessions(session, user_id)


async def new_epoch(dsn: str) -> str:
    """Begin another epoch of the log, and give its name: everybody who watches a timeline fetches it again."""
    async with (
        Database.connected(dsn, size=1) as database,
        database.opened() as session,
        session.turn() as db,
    ):
        return (await renew_epoch(db)).epoch
