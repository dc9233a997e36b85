"""SQL that flows run on databases of the operator's choice: one statement, reading only, bounded in rows and time.

Above: the SQL component, through its context. Below: sqlite3 of the standard library, and psycopg for PostgreSQL.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from projects.engine.component import ComponentError
from projects.engine.values import Row, Table
from projects.errors import InvalidInput, LimitReached, PackageMissing

MAX_ROWS = 10_000
MAX_CHARACTERS = 20_000_000
TIMEOUT_SECONDS = 30.0
MAX_QUERY_LENGTH = 100_000

_STEPS_BETWEEN_LOOKS = 10_000
_BACKENDS = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}
# What a statement may do to a SQLite file: read it. Attaching would reach other files.
_READING = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
_PRAGMAS = frozenset(("table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"))


class SqlQueries:
    """A `DatabaseSource`. `allowed` are SQLAlchemy addresses, with the credentials to use."""

    def __init__(self, allowed: Iterable[str], *, max_rows: int = MAX_ROWS, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._allowed = [_allowed_address(text) for text in allowed]
        self._max_rows = max_rows
        self._timeout_seconds = timeout_seconds

    async def query(self, url: str, query: str) -> Table:
        """Raises InvalidInput (an address that is not allowed), PackageMissing, LimitReached; ComponentError has the database's words."""
        address = self._find(url)
        if not query.strip():
            raise InvalidInput("There is no SQL to run.")
        if len(query) > MAX_QUERY_LENGTH:
            raise LimitReached(f"The SQL has {len(query):,} characters; at most {MAX_QUERY_LENGTH:,} are taken.")
        if address.drivername == "sqlite":
            return await asyncio.to_thread(self._query_sqlite, Path(address.database or ""), query)
        return await self._query_postgresql(address, query)

    def _find(self, url: str) -> URL:
        """The allowed address that a flow's address means. Nothing of the flow's own but credentials is used."""
        try:
            wanted = _address(url)
        except ValueError:
            wanted = None
        for allowed in self._allowed:
            if wanted is None or _place(wanted) != _place(allowed) or (wanted.query and wanted.query != allowed.query):
                continue
            if wanted.username is None or (wanted.username == allowed.username and wanted.password in (None, allowed.password)):
                return allowed
            return allowed.set(username=wanted.username, password=wanted.password or "")
        raise InvalidInput(
            "This database is not among those that the operator allowed: its address has to be listed in HEADWATER_ALLOWED_DATABASES."
        )

    def _query_sqlite(self, path: Path, query: str) -> Table:
        deadline = time.monotonic() + self._timeout_seconds
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=self._timeout_seconds)) as connection:
                connection.execute("PRAGMA query_only = ON")
                connection.set_authorizer(_may_read)
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
                cursor = connection.execute(query)
                names = _column_names([column[0] for column in cursor.description or ()])
                return _Collected(names, self._max_rows).add_all(cursor)
        except (sqlite3.Error, sqlite3.Warning) as error:
            if time.monotonic() > deadline:
                raise self._too_slow() from None
            raise ComponentError(f"The database says: {error}.") from error

    async def _query_postgresql(self, address: URL, query: str) -> Table:
        try:
            import psycopg  # only for who allows such a database
        except ImportError as error:
            raise PackageMissing("PostgreSQL needs the package psycopg: pip install 'headwater[postgres]'") from error
        milliseconds = round(self._timeout_seconds * 1000)
        try:
            async with asyncio.timeout(self._timeout_seconds + 5):
                connection = await psycopg.AsyncConnection.connect(
                    address.set(drivername="postgresql").render_as_string(hide_password=False),
                    connect_timeout=max(2, round(self._timeout_seconds)),
                )
                try:
                    await connection.set_read_only(True)
                    await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}".encode())
                    async with connection.cursor() as cursor:
                        collected: _Collected | None = None
                        # Row by row, and by the protocol that takes one statement: what ends the reading transaction cannot follow it.
                        async with aclosing(_streamed(cursor, query)) as rows:
                            async for row in rows:
                                if collected is None:
                                    names = [column.name for column in cursor.description or ()]
                                    collected = _Collected(_column_names(names), self._max_rows)
                                collected.add(row)
                        if collected is None:
                            # A stream without rows does not tell its columns; asked again, prepared, it does.
                            await cursor.execute(query.encode(), prepare=True)
                            collected = _Collected(_column_names([column.name for column in cursor.description or ()]), self._max_rows)
                        return collected.table()
                finally:
                    await connection.close()
        except psycopg.errors.QueryCanceled as error:
            raise self._too_slow() from error
        except TimeoutError as error:
            raise self._too_slow() from error
        except psycopg.Error as error:
            raise ComponentError(f"The database says: {str(error).strip()}") from error

    def _too_slow(self) -> ComponentError:
        return ComponentError(f"The database took longer than {self._timeout_seconds:g} seconds; ask it for less.")


class _Collected:
    """Rows up to the bounds."""

    def __init__(self, names: Sequence[str], max_rows: int) -> None:
        self._names = list(names)
        self._max_rows = max_rows
        self._rows: list[Row] = []
        self._characters = 0

    def add(self, values: Sequence[Any]) -> None:
        if len(self._rows) >= self._max_rows:
            raise LimitReached(f"The query gives more than {self._max_rows:,} rows; add a LIMIT.")
        row = {name: _plain(value) for name, value in zip(self._names, values, strict=True)}
        self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if self._characters > MAX_CHARACTERS:
            raise LimitReached(f"The query gives more than {MAX_CHARACTERS:,} characters of text; ask for less.")
        self._rows.append(row)

    def add_all(self, rows: Iterable[Sequence[Any]]) -> Table:
        for row in rows:
            self.add(row)
        return self.table()

    def table(self) -> Table:
        return Table(rows=self._rows, columns=self._names)


async def _streamed(cursor: Any, query: str) -> AsyncGenerator[Sequence[Any], None]:
    async for row in cursor.stream(query.encode()):
        yield row


def _may_read(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action in _READING and not (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension"):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _address(text: str) -> URL:
    """The address without its driver, and for SQLite with the file's real place. Raises ValueError."""
    try:
        url = make_url(text.strip())
    except ArgumentError as error:
        raise ValueError("not a database address") from error
    backend = _BACKENDS.get(url.get_backend_name())
    if backend is None:
        raise ValueError("only sqlite:/// and postgresql:// are supported")
    if backend == "sqlite":
        if not url.database or url.database.startswith((":", "file:")) or not Path(url.database).is_absolute():
            raise ValueError("SQLite needs the absolute path of a file: sqlite:////path")
        return URL.create("sqlite", database=str(Path(url.database).resolve()))
    return url.set(drivername="postgresql", host=(url.host or "").lower() or None, port=url.port or 5432)


def _allowed_address(text: str) -> URL:
    try:
        return _address(text)
    except ValueError as error:
        raise InvalidInput(f"An allowed database cannot be used: {error}.") from None


def _place(url: URL) -> tuple[Any, ...]:
    return url.drivername, url.host, url.port, url.database


def _column_names(names: Sequence[str]) -> list[str]:
    """Each name once, so that no column hides another."""
    found: list[str] = []
    for name in names:
        unique, number = name, 2
        while unique in found:
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return found


def _plain(value: Any) -> Any:
    """Values as JSON knows them; bytes as base64."""
    match value:
        case None | bool() | int() | float() | str() | list() | dict():
            return value
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)
