"""The command line: `python -m app COMMAND`. Each command imports what it needs, so that help is quick."""

import asyncio
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from app.settings import Settings

Result = TypeVar("Result")

cli = typer.Typer(
    name="maydan",
    help="Maydan, a social network behind GraphQL. Settings come from the environment; the README lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Start everything: embedded servers where no URL is set, migrations, demo data, the API. Ctrl-C stops it."""
    from app.serve import serve as run
    from app.settings import load

    raise typer.Exit(run(load()))


@cli.command()
def migrate() -> None:
    """Bring the database's schema up to date; several at the same time are fine."""
    from app.migrations import migrate as apply

    with _database(migrated=False) as (_, dsn):
        names = _run(apply(dsn, tell=lambda name: typer.echo(f"applying {name}")))
        typer.echo(f"{len(names)} applied" if names else "nothing to do")


@cli.command()
def seed(
    users: Annotated[int, typer.Option(min=2, help="How many accounts to make.")] = 200,
    posts: Annotated[int, typer.Option(min=0, help="How many posts to make, replies included.")] = 3000,
    seed: Annotated[int, typer.Option(help="The same number gives the same network.")] = 1,
) -> None:
    """Fill the database with a made-up network: people, follows, posts, replies, likes, reposts."""
    from rich.console import Console

    from app import seed as seeding
    from app.progress import progress_bar

    with _database() as (_, dsn), progress_bar(Console(stderr=True)) as progress:
        try:
            _run(seeding.run(dsn, users=users, posts=posts, seed=seed, progress=progress))
        except seeding.SeedRefused as error:
            _stop(str(error))
    typer.echo(f"{users:,} users and {posts:,} posts are in")


@cli.command()
def token(handle: Annotated[str, typer.Argument(help="Whose token: the account's handle.")]) -> None:
    """Print an access token for an account; in demo mode only."""
    from app import demo

    with _database() as (settings, _):
        if not settings.demo:
            _stop("`token` works in demo mode only; set DEMO=true")
        try:
            typer.echo(_run(demo.token_for(settings, handle)))
        except LookupError:
            _stop(f"there is no account {handle!r}")


@cli.command("sign-out")
def sign_out(handle: Annotated[str, typer.Argument(help="Whom to sign out: the account's handle.")]) -> None:
    """End every session of an account: its tokens are refused and its sockets closed by every worker in a second."""
    from app import operator

    with _database(migrated=False) as (_, dsn):
        try:
            ended = _run(operator.sign_out(dsn, handle))
        except LookupError:
            _stop(f"there is no account {handle!r}")
    sessions = "1 session" if ended == 1 else f"{ended} sessions"
    typer.echo(f"{sessions} of {handle} ended")


@cli.command("new-epoch")
def new_epoch() -> None:
    """After putting back a copy of PostgreSQL's data folder: apps that were there before fetch their timelines again.

    A restored dump and a promoted standby are noticed by themselves.
    """
    from app import operator

    with _database(migrated=False) as (_, dsn):
        epoch = _run(operator.new_epoch(dsn))
    typer.echo(f"the log goes on in epoch {epoch}")


@cli.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from schema.build import sdl

    sys.stdout.write(sdl())


@cli.command("dump-schema")
def dump_schema() -> None:
    """Print the database schema (SQL) that the migrations make, from a database made for this and thrown away."""
    from app.dump import dump_schema as dump
    from app.embedded import EmbeddedError, EmbeddedPostgres
    from app.migrations import migrate as apply

    with tempfile.TemporaryDirectory() as folder:
        try:
            with EmbeddedPostgres(Path(folder), durable=False) as postgres:
                _run(apply(postgres.dsn()))
                sys.stdout.write(dump(postgres.dsn()))
        except EmbeddedError as error:
            _stop(str(error))


documents = typer.Typer(name="documents", help="The documents that this server trusts.", no_args_is_help=True)
cli.add_typer(documents)


@documents.command("import")
def import_documents(
    file: Annotated[Path, typer.Argument(help="A manifest of Apollo, Relay or graphql-codegen (JSON).")],
) -> None:
    """Trust the documents of a manifest; what is trusted stays. All are imported, or none."""
    from app.documents import manifests

    try:
        found = manifests.read(file)
        manifests.check(found)
        with _database() as (_, dsn):
            new = _run(manifests.trust(dsn, found))
    except manifests.ManifestRefused as error:
        _stop(str(error))
    typer.echo(f"{len(found)} documents are trusted, {new} of them were not before")


@contextmanager
def _database(*, migrated: bool = True) -> "Iterator[tuple[Settings, str]]":
    """Settings and where the database is: DATABASE_URL, or the embedded one of the data folder.

    A serving process keeps the embedded server running; without one it is started for the length of the block.
    """
    from app.embedded import EmbeddedError, EmbeddedPostgres, running_dsn
    from app.migrations import migrate as apply
    from app.settings import load

    settings = load()
    started: EmbeddedPostgres | None = None
    try:
        dsn = settings.database_url or running_dsn(settings.maydan_data_dir)
        if dsn is None:
            started = EmbeddedPostgres(settings.maydan_data_dir)
            started.start()
            dsn = started.dsn()
        if migrated:
            _run(apply(dsn))
        yield settings.model_copy(update={"database_url": dsn}), dsn
    except EmbeddedError as error:
        _stop(str(error))
    finally:
        if started is not None:
            started.stop()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it; what goes wrong with the database is said in one sentence."""
    import asyncpg

    from app.migrations import MigrationError
    from dataloaders.database import DatabaseUnavailable, MissingTable

    try:
        return asyncio.run(work)
    except MigrationError as error:
        _stop(str(error))
    except MissingTable:
        _stop("the database is empty or older than this program; run `python -m app migrate`")
    except (OSError, DatabaseUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _stop(f"the database cannot be used: {error}; check DATABASE_URL")


def _stop(sentence: str) -> NoReturn:
    typer.echo(f"maydan: {sentence}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """The entry of `python -m app`."""
    cli(prog_name="python -m app")
