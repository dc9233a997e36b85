"""Transactions as the use cases need them: short, with storage's troubles told in the words of `projects.errors`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from projects.errors import Unavailable
from storage import catalogue
from storage.database import Conflict, Database, DatabaseUnavailable
from storage.run_writer import RunWriter

T = TypeVar("T")

ATTEMPTS = 5


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[AsyncSession]:
    """A session for reading only."""
    try:
        async with database.reading() as session:
            yield session
    except DatabaseUnavailable as error:
        raise _unavailable() from error


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator[AsyncSession]:
    """One write transaction, for what no cache has seen (messages, files, runs). Commits at the end of the block."""
    try:
        async with database.transaction() as session:
            yield session
    except DatabaseUnavailable as error:
        raise _unavailable() from error


async def change_catalogue(database: Database, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Run `work` in one transaction that also raises the catalogue's version; again when somebody took the same name meanwhile.

    The version is raised first: on PostgreSQL that row is the lock behind which catalogue changes queue up, so that `work` decides
    on what is really there.
    """
    for _ in range(ATTEMPTS):
        try:
            async with writing(database) as session:
                await catalogue.bump(session)
                return await work(session)
        except Conflict:
            continue
    raise Unavailable("Other changes kept getting in the way of this one; try again.")


async def catalogue_version(database: Database) -> int:
    """The number that caches of the catalogue go by."""
    try:
        return await database.catalogue_version()
    except DatabaseUnavailable as error:
        raise _unavailable() from error


async def flush(writer: RunWriter) -> None:
    """Wait until what the run writer was given is committed."""
    try:
        await writer.flush()
    except DatabaseUnavailable as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The database is busy or cannot be reached; try again shortly.")
