"""Brings a database to the newest shape before it is used. Any number of processes may do so at once; one does the work.

The usual start finds everything current with one cheap query, and an empty SQLite database is made by `fresh_sqlite.py`; Alembic is
imported only when there is anything else to do.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from storage import fresh_sqlite
from storage.database import DatabaseSettings, DatabaseUnavailable, explain

HEAD = "2026_11_22_1700"
"""The newest file of `migrations/versions`; a test keeps the two together."""

SCRIPTS = Path(__file__).parent / "migrations"

_READ_REVISION = "SELECT version_num FROM alembic_version"
_LOCK_WAIT_SECONDS = 120
_ADVISORY_LOCK = 0x48_65_61_64_77_61_74_72  # "Headwatr"
# Alembic keeps the migration under way in module state.
_one_at_a_time = threading.Lock()


WORD_INDEX = "knowledge_words"
"""What finds words is no table of ours: a virtual one with tables of its own on SQLite, an index over an expression on PostgreSQL."""


def is_compared(name: str | None, kind: str, parents: object) -> bool:
    """Alembic's `include_name`: whether this name in a database is one that `tables.py` has to know; procrastinate's are its own."""
    return kind not in ("table", "index") or not (name or "").startswith((WORD_INDEX, "procrastinate_"))


class DatabaseTooNew(Exception):
    """The database was last used by a newer Headwater, whose tables this one does not know."""


async def is_current(settings: DatabaseSettings) -> bool:
    """Whether the database has the newest shape. Does not create it."""
    return await _revision(settings) == HEAD


async def upgrade(settings: DatabaseSettings) -> bool:
    """Apply what is missing, all of it or nothing, under a lock; whether there was anything to apply."""
    if await is_current(settings):
        return False
    return await asyncio.to_thread(upgrade_now, settings)


async def _revision(settings: DatabaseSettings) -> str | None:
    if settings.dialect == "sqlite":
        # In the event loop: the file was either never written or is read in microseconds.
        return _sqlite_revision(settings)
    return await asyncio.to_thread(_postgresql_revision, settings)


def _sqlite_revision(settings: DatabaseSettings) -> str | None:
    path = settings.sqlite_path
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(path, timeout=settings.busy_timeout_seconds)
        try:
            rows = connection.execute(_READ_REVISION).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        if (explained := explain(error)) is not None:
            raise explained from error
        return None  # no such table
    return str(rows[0][0]) if rows else None


def _postgresql_revision(settings: DatabaseSettings) -> str | None:
    import psycopg  # only PostgreSQL installations need the driver

    from storage import postgresql

    try:
        with postgresql.connect_in_thread(settings) as connection:
            row = connection.execute(_READ_REVISION).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.Error as error:
        raise explain(error) or error from error
    return None if row is None else str(row[0])


def upgrade_now(settings: DatabaseSettings) -> bool:
    """`upgrade` for a caller without an event loop."""
    with locked_connection(settings) as connection:
        if fresh_sqlite.is_empty(connection):
            fresh_sqlite.fill(connection)
            return True
        return apply_scripts(connection)


def apply_scripts(connection: Connection) -> bool:
    """Migrate inside the transaction of `locked_connection`, from whatever revision there is; whether there was anything to do."""
    from alembic.command import upgrade as run_migrations  # 150 ms and 12 MB that a usual start does not need
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    with _one_at_a_time:
        current = _revision_of(connection)
        if current == HEAD:
            return False
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise DatabaseTooNew(f"The database has revision {current}, which this Headwater does not know: start a newer one.")
        config.attributes["connection"] = connection
        run_migrations(config, HEAD)
        if connection.dialect.name == "sqlite" and (broken := connection.execute(text("PRAGMA foreign_key_check")).fetchall()):
            raise RuntimeError(f"A migration broke references: {broken[:5]}")
        return True


@contextmanager
def locked_connection(settings: DatabaseSettings) -> Iterator[Connection]:
    """One transaction that nobody else may migrate beside; commits at the end of the block."""
    engine = _sqlite_engine(settings) if settings.dialect == "sqlite" else create_engine(settings.url)
    try:
        with engine.begin() as connection:
            if settings.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            yield connection
    except DBAPIError as error:
        raise explain(error) or error from error
    finally:
        engine.dispose()


def _revision_of(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.execute(text(_READ_REVISION)).scalar_one_or_none()
    return revision


def _sqlite_engine(settings: DatabaseSettings) -> Engine:
    settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
    url = make_url(settings.url).set(drivername="sqlite+pysqlite")
    engine = create_engine(url, connect_args={"timeout": _LOCK_WAIT_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        # Foreign keys stay off here: a table that is rebuilt is dropped and made again. They are checked before the commit.
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA foreign_keys = OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The lock: tables are changed in one transaction, which SQLite gives to one process at a time.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Changing the journal mode ignores the busy timeout, and a fresh file may be opened by several processes at once."""
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not isinstance(explain(error), DatabaseUnavailable) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
