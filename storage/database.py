"""The connection to what is kept: one engine for SQLite or PostgreSQL, write transactions, reading sessions, and the catalogue's version.

Above: repositories get the session from a use case. Below: SQLAlchemy on aiosqlite or psycopg.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from storage.tables import Base

READ_VERSION = "SELECT version FROM catalogue WHERE id = 1"

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
# Primary result codes that say "not now" or "not here": BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
_SQLITE_UNAVAILABLE = frozenset({5, 6, 7, 8, 10, 11, 13, 14, 26})
_WRITES = "headwater_writes"
AUTOMATIC_PAGES = 16_384  # 64 MB of write-ahead log; `write_ahead_log.py` copies it into the database long before


class DatabaseUnavailable(Exception):
    """Locked, unreachable, full: nothing is wrong with the request, and it may work later."""


class Conflict(Exception):
    """A unique constraint was broken. `constraint` has the name that the naming convention of `tables.py` gives it."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"Conflicts with {constraint}")
        self.constraint = constraint


class MissingReference(Conflict):
    """A row names another one that does not exist (any more)."""


class DatabaseSettings(BaseModel):
    """Where the database is."""

    url: str = Field(repr=False, description="sqlite:///path or postgresql://user:password@host/name")
    pool_size: int = Field(default=5, ge=1, description="Connections kept open")
    busy_timeout_seconds: float = Field(default=10.0, gt=0, description="How long to wait for another writer or a free connection")
    answer_seconds: float = Field(default=30.0, gt=0, description="How long PostgreSQL may be silent before it counts as gone")
    version_memory_seconds: float = Field(
        default=0.0, ge=0, description="For how long a change of the catalogue by another process may go unseen"
    )

    @field_validator("url")
    @classmethod
    def _known_driver(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("not a database address: use sqlite:///path or postgresql://user:password@host/name") from error
        if url.drivername not in _DRIVERS:
            raise ValueError(f"{url.drivername} is not supported: use sqlite:///path or postgresql://user:password@host/name")
        if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
            raise ValueError("SQLite needs a file: each connection would have its own database in memory")
        return url.set(drivername=_DRIVERS[url.drivername]).render_as_string(hide_password=False)

    @property
    def parsed_url(self) -> URL:
        return make_url(self.url)

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"

    @property
    def sqlite_path(self) -> Path:
        """The file, for SQLite."""
        database = self.parsed_url.database
        assert self.dialect == "sqlite" and database
        return Path(database)

    @property
    def postgresql_conninfo(self) -> str:
        """The address as libpq reads it."""
        return self.parsed_url.set(drivername="postgresql").render_as_string(hide_password=False)


def connect_sqlite(settings: DatabaseSettings) -> sqlite3.Connection:
    """A plain connection, prepared like every other one; the caller begins and ends its transactions."""
    # Without these the driver raises and catches an exception for each None, True and False of each row, to find that it has no adapter.
    sqlite3.register_adapter(type(None), lambda nothing: nothing)
    sqlite3.register_adapter(bool, int)
    connection = sqlite3.connect(
        settings.sqlite_path, timeout=settings.busy_timeout_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in _pragmas():
        connection.execute(pragma)
    return connection


def explain(error: BaseException) -> Exception | None:
    """What a driver's or SQLAlchemy's error means to storage's callers; None when it is a defect of ours."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("No database connection became free in time")
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return DatabaseUnavailable(str(error.orig))
        driver_error = error.driver_exception
        return None if driver_error is None or driver_error is error else explain(driver_error)
    if isinstance(error, sqlite3.Error):
        return _explain_sqlite(error)
    if hasattr(error, "sqlstate"):  # psycopg.Error; not imported here, since SQLite installations never load it
        return _explain_postgresql(error)
    if isinstance(error, OSError):
        return DatabaseUnavailable(str(error))
    return None


class Database:
    """Opened once a process. Repositories never see it: they get a session."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.dialect = settings.dialect
        self._engine: AsyncEngine | None = None
        self._writing: AsyncEngine | None = None
        # SQLite has one writer: waiting here is fair and costs nothing, its busy handler sleeps in growing steps.
        self._turn = asyncio.Lock()
        self._version_reader: _SqliteVersion | _PostgresqlVersion | None = None
        self._version = 0
        self._version_good_until = 0.0  # monotonic; 0 after each change made here, so that those are seen at once
        self._changes = 0

    async def __aenter__(self) -> Self:
        try:
            if self.dialect == "sqlite":
                self._engine = _sqlite_engine(self.settings)
                self._version_reader = _SqliteVersion(self.settings)
            else:
                self._engine = _postgresql_engine(self.settings)
                self._version_reader = _PostgresqlVersion(self.settings)
        except (OSError, sqlite3.Error) as error:
            raise explain(error) or error from error
        self._writing = self._engine.execution_options(**{_WRITES: True})
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._version_reader is not None:
            await self._version_reader.close()
            self._version_reader = None
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = self._writing = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A write transaction: commits at the end of the block, rolls back when the block raises. Not to be nested."""
        assert self._writing is not None, "the database is not open"
        if self.dialect == "sqlite":
            try:
                async with asyncio.timeout(self.settings.busy_timeout_seconds):
                    await self._turn.acquire()
            except TimeoutError as error:
                raise DatabaseUnavailable("Another transaction of this process did not end in time") from error
        try:
            with _explained():
                async with AsyncSession(self._writing, expire_on_commit=False) as session, session.begin():
                    yield session
        finally:
            self._version_good_until = 0.0
            self._changes += 1
            if self.dialect == "sqlite":
                self._turn.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for queries only: one snapshot on SQLite, nothing is ever committed."""
        assert self._engine is not None, "the database is not open"
        with _explained():
            async with AsyncSession(self._engine, expire_on_commit=False, autoflush=False) as session:
                yield session

    async def catalogue_version(self) -> int:
        """The number that every catalogue write changes. Microseconds on SQLite; one SELECT on PostgreSQL, shared by who asks meanwhile."""
        now = time.monotonic()
        if now < self._version_good_until:
            return self._version
        assert self._version_reader is not None, "the database is not open"
        changes = self._changes
        version = await self._version_reader.read()
        if changes == self._changes:
            self._version, self._version_good_until = version, now + self.settings.version_memory_seconds
        return version

    async def is_reachable(self) -> bool:
        """Whether a query is answered now (health checks)."""
        assert self._version_reader is not None, "the database is not open"
        try:
            await self._version_reader.read()
        except DatabaseUnavailable:
            return False
        return True


@contextmanager
def _explained() -> Iterator[None]:
    """Turns SQLAlchemy's errors into storage's own; others pass."""
    try:
        yield
    except SQLAlchemyError as error:
        explained = explain(error)
        if explained is None:
            raise
        raise explained from error


class _SqliteVersion:
    """Reads in the event loop: a WAL reader never waits for a writer, and a thread hop costs ten times the query."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._connection = connect_sqlite(settings)
        self._connection.execute("PRAGMA query_only = ON")

    async def read(self) -> int:
        try:
            # fetchall: a statement left open would hold its snapshot, and then nothing new is ever seen.
            rows = self._connection.execute(READ_VERSION).fetchall()
        except sqlite3.Error as error:
            raise explain(error) or error from error
        return int(rows[0][0])

    async def close(self) -> None:
        self._connection.close()


class _PostgresqlVersion:
    """One connection of its own. A question that comes while a SELECT is under way waits for the next one, shared by all who wait."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: Any = None
        self._asking: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    async def read(self) -> int:
        # An answer is good only if its SELECT started after the question: the caller may have just committed.
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._ask(self._asking), name="catalogue version")
            self._next.add_done_callback(_take_note)
        asked = self._next
        await asyncio.wait({asked}, timeout=self._settings.busy_timeout_seconds)
        if not asked.done():
            raise DatabaseUnavailable("The database server does not answer")
        return asked.result()

    async def _ask(self, before: "asyncio.Task[int] | None") -> int:
        if before is not None:
            await asyncio.wait({before})
        self._asking, self._next = self._next, None
        try:
            return await self._select()
        finally:
            self._asking = None

    async def _select(self) -> int:
        import psycopg  # only PostgreSQL installations need the driver

        from storage import postgresql

        try:
            if self._connection is not None:
                try:
                    return await self._select_once()
                except psycopg.OperationalError:
                    # The server was restarted, or closed an idle connection: once more on a new one.
                    await self._connection.close()
            self._connection = await postgresql.connect(self._settings)
            return await self._select_once()
        except psycopg.Error as error:
            raise explain(error) or error from error

    async def _select_once(self) -> int:
        cursor = await self._connection.execute(READ_VERSION)
        (version,) = await cursor.fetchone()
        return int(version)

    async def close(self) -> None:
        for task in (self._asking, self._next):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _take_note(task: "asyncio.Task[int]") -> None:
    """Whoever asked may have left before it failed, and asyncio complains of what nobody looked at."""
    if not task.cancelled():
        task.exception()


def _pragmas() -> tuple[str, ...]:
    return (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = NORMAL",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA wal_autocheckpoint = {AUTOMATIC_PAGES}",
    )


def _sqlite_engine(settings: DatabaseSettings) -> AsyncEngine:
    from storage.sqlite_thread import SqliteThread  # brings aiosqlite, which only SQLite needs

    def connect(path: str, **options: Any) -> SqliteThread:
        # isolation_level None: the driver begins nothing by itself, so that the transaction below is the one there is.
        return SqliteThread(path, **options, timeout=settings.busy_timeout_seconds, isolation_level=None)

    engine = create_async_engine(
        settings.url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.busy_timeout_seconds,
        connect_args={"async_creator_fn": connect},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in _pragmas():
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails at once when another writer came between, whatever the timeout.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")

    return engine


def _postgresql_engine(settings: DatabaseSettings) -> AsyncEngine:
    from storage import postgresql  # brings psycopg, which only PostgreSQL needs

    async def connect(*arguments: Any, **options: Any) -> Any:
        return await postgresql.prepare(await postgresql.PostgresqlConnection.connect(*arguments, **options), settings)

    return create_async_engine(
        settings.url,
        pool_size=settings.pool_size,
        max_overflow=settings.pool_size,
        pool_timeout=settings.busy_timeout_seconds,
        pool_pre_ping=True,
        connect_args={"async_creator_fn": connect, "connect_timeout": postgresql.connect_timeout(settings)},
    )


def _explain_sqlite(error: sqlite3.Error) -> Exception | None:
    code = getattr(error, "sqlite_errorcode", 0)
    if isinstance(error, sqlite3.IntegrityError):
        message = str(error)
        if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            return MissingReference("foreign key")
        if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
            return Conflict(_constraint_name(message.partition(": ")[2]))
        return None
    return DatabaseUnavailable(str(error)) if code & 0xFF in _SQLITE_UNAVAILABLE else None


def _constraint_name(columns_text: str) -> str:
    """From SQLite's list of columns: `flows.owner_id, flows.name` → `uq_flows_owner_id_name`, as PostgreSQL would say."""
    table_name, _, _ = columns_text.partition(".")
    columns = [part.strip().rpartition(".")[2] for part in columns_text.split(",")]
    table = Base.metadata.tables.get(table_name)
    if table is not None and [column.name for column in table.primary_key.columns] == columns:
        return f"pk_{table_name}"
    return f"uq_{table_name}_{'_'.join(columns)}"


def _explain_postgresql(error: Any) -> Exception | None:
    state: str | None = error.sqlstate
    if state == "23505":
        return Conflict(error.diag.constraint_name or "unique")
    if state == "23503":
        return MissingReference(error.diag.constraint_name or "foreign key")
    # Connection lost has no state; 08 connection, 53 resources, 57 operator, 40 rolled back for concurrency, 55P03 lock not available,
    # 25P03 a transaction that was left alone for too long, as by a process that was frozen.
    if state is None or state[:2] in ("08", "53", "57", "40", "55") or state == "25P03":
        return DatabaseUnavailable(str(error))
    return None
