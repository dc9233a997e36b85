"""Connections to PostgreSQL that end by themselves when the server no longer answers.

Above: whoever talks to PostgreSQL; import this only where there is one. Below: psycopg, which waits for an answer as long as the connection
is there. A network that is cut, a frozen machine or a stuck proxy closes nothing, and whoever waited then would wait for ever.
"""

from collections.abc import AsyncGenerator, Generator
from math import inf
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.pq.abc import PGconn

from storage.database import DatabaseSettings

ABANDONED_SECONDS = 60
"""So long the server keeps a transaction, and looks after a silent connection twice, of a process that it does not hear of any more.
Without it a transaction that a cut network left behind holds its locks for hours."""

# Not startup options: some connection poolers refuse those.
_PREPARE = (
    f"SELECT set_config('idle_in_transaction_session_timeout', '{ABANDONED_SECONDS}s', false), "
    f"set_config('tcp_keepalives_idle', '{ABANDONED_SECONDS}', false), set_config('tcp_keepalives_interval', '15', false), "
    "set_config('tcp_keepalives_count', '4', false)"
)

T = TypeVar("T")


class PostgresqlConnection(psycopg.AsyncConnection[Any]):
    """For the event loop."""

    answer_seconds = inf

    async def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        return await super().wait(_in_time(gen, self.pgconn, self.answer_seconds, options), *arguments, **options)

    def notifies(self, *, timeout: float | None = None, stop_after: int | None = None) -> AsyncGenerator[psycopg.Notify]:
        """Silence is no failure here: `wait` leaves alone what has a time of its own."""
        return super().notifies(timeout=inf if timeout is None else timeout, stop_after=stop_after)


class PostgresqlThreadConnection(psycopg.Connection[Any]):
    """For a thread."""

    answer_seconds = inf

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        return super().wait(_in_time(gen, self.pgconn, self.answer_seconds, options), *arguments, **options)


def _in_time(gen: Generator[Any, Any, T], pgconn: PGconn, seconds: float, options: dict[str, Any]) -> Generator[Any, Any, T]:
    """What psycopg drives to wait for one answer: the connection is ended when nothing of it comes for too long."""
    if options.get("timeout") is not None:
        return (yield from gen)
    deadline = monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:  # a long answer that keeps coming is no silence
                deadline = monotonic() + seconds
            elif monotonic() >= deadline:
                pgconn.finish()
                raise psycopg.OperationalError(f"the database server has not answered for {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def connect_timeout(settings: DatabaseSettings) -> int:
    """libpq takes whole seconds, and less than two for two."""
    return max(2, round(settings.busy_timeout_seconds))


async def connect(settings: DatabaseSettings, *, autocommit: bool = True) -> PostgresqlConnection:
    """Raises psycopg.Error."""
    connection = await PostgresqlConnection.connect(
        settings.postgresql_conninfo, autocommit=autocommit, connect_timeout=connect_timeout(settings)
    )
    return await prepare(connection, settings)


async def prepare(connection: PostgresqlConnection, settings: DatabaseSettings) -> PostgresqlConnection:
    """What else has connected it; closed when that fails."""
    connection.answer_seconds = settings.answer_seconds
    try:
        await connection.execute(_PREPARE)
        await connection.commit()
    except BaseException:
        await connection.close()
        raise
    return connection


def connect_in_thread(settings: DatabaseSettings) -> PostgresqlThreadConnection:
    """Raises psycopg.Error."""
    connection = PostgresqlThreadConnection.connect(settings.postgresql_conninfo, connect_timeout=connect_timeout(settings))
    connection.answer_seconds = settings.answer_seconds
    try:
        connection.execute(_PREPARE)
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection
