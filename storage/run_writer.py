"""The one writer of what runs leave behind: a thread with its own connection that commits what is queued, many runs at a time.

Above: use cases await `write` and so answer only what is kept. Below: the driver itself; its statements are compiled once from `tables.py`.
A hop to the thread costs more than the statements, so a batch makes one hop, whatever it holds, and a group of batches makes one back.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy import Column, Dialect, Insert, Table, Update, bindparam, insert, or_, update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from storage.database import Conflict, DatabaseSettings, DatabaseUnavailable, connect_sqlite, explain
from storage.tables import ApiKeyRow, Base, Moment, RunRow, to_microseconds
from storage.write_ahead_log import LogCopier

logger = logging.getLogger(__name__)

GROUP_LIMIT = 64
KEY_USES_SECONDS = 0.5


class LeaseTaken(Exception):
    """The run has become another process's, or has ended there: nothing of the batch is kept."""


@dataclass(frozen=True, slots=True)
class RunUpdate:
    """Columns of one run. With `only_from` it is a compare-and-set on the state: nothing changes when the run is in another one.

    With `lease_owner` the run must still be this process's, in this `attempt`; where it is not, nothing of the batch is kept.
    """

    run_id: str
    values: dict[str, Any]
    only_from: frozenset[str] | None = None
    lease_owner: str | None = None
    attempt: int = 1  # it may have come back to this process while an earlier attempt goes on here


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One use of an API key."""

    key_id: str
    used_at: datetime


@dataclass(slots=True)
class RunBatch:
    """Everything one step of one run wants kept, in one transaction: inserts first, then updates, in their order."""

    inserts: list[tuple[type[Base], dict[str, Any]]] = field(default_factory=list)
    updates: list[RunUpdate] = field(default_factory=list)
    key_uses: list[KeyUse] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Queued:
    """A batch on its way, and who waits for it."""

    batch: RunBatch
    waiting: "asyncio.Future[list[int]] | None"


@dataclass(frozen=True, slots=True)
class _Statement:
    """Text for the driver, and how values in the batch's order become its parameters."""

    text: str
    order: tuple[int, ...]  # for each parameter: its position among the given values and the constants behind them
    moments: tuple[int, ...]  # which parameters are datetimes
    constants: tuple[Any, ...] = ()  # defaults of columns that were left out

    def parameters(self, values: Iterable[Any]) -> list[Any]:
        given = [*values, *self.constants]
        row = [given[position] for position in self.order]
        for position in self.moments:
            if row[position] is not None:
                row[position] = to_microseconds(row[position])
        return row


class RunWriter:
    """One a process. Leave the context to have everything queued committed and the thread ended."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._queue: SimpleQueue[_Queued | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._key_uses: dict[str, tuple[int, datetime]] = {}
        self._key_uses_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(self._loop, opened, self._ended), name="run-writer", daemon=True)
        self._thread.start()
        await opened
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        assert self._thread is not None and self._ended is not None, "the run writer is not open"
        self._queue_key_uses()
        self._queue.put(None)
        await self._ended
        self._thread.join()
        self._thread = self._loop = None

    async def write(self, batch: RunBatch) -> list[int]:
        """Wait until the batch is committed; how many rows each update changed. Cancelling the waiting does not take the batch back.

        Raises DatabaseUnavailable, Conflict for a broken constraint, or LeaseTaken; then nothing of the batch is kept.
        """
        return await self.submit(batch)

    def submit(self, batch: RunBatch) -> "asyncio.Future[list[int]]":
        """`write`, to be waited for later. It is queued at once, before whatever is written next."""
        assert self._loop is not None, "the run writer is not open"
        waiting: asyncio.Future[list[int]] = self._loop.create_future()
        self._queue.put(_Queued(batch, waiting))
        return waiting

    def write_soon(self, batch: RunBatch) -> None:
        """Queue in order and go on; a failure is logged. Uses of keys alone are gathered for half a second: one update a key."""
        assert self._loop is not None, "the run writer is not open"
        if batch.inserts or batch.updates:
            self._queue.put(_Queued(batch, None))
            return
        _add_uses(self._key_uses, batch.key_uses)
        if self._key_uses_timer is None:
            self._key_uses_timer = self._loop.call_later(KEY_USES_SECONDS, self._queue_key_uses)

    async def flush(self) -> None:
        """Wait until everything given so far is committed, gathered uses of keys included."""
        self._queue_key_uses()
        await self.write(RunBatch())

    def _queue_key_uses(self) -> None:
        if self._key_uses_timer is not None:
            self._key_uses_timer.cancel()
            self._key_uses_timer = None
        if self._key_uses:
            uses = [KeyUse(key_id, used_at) for key_id, (count, used_at) in self._key_uses.items() for _ in range(count)]
            self._key_uses = {}
            self._queue.put(_Queued(RunBatch(key_uses=uses), None))

    def _work(self, loop: asyncio.AbstractEventLoop, opened: "asyncio.Future[None]", ended: "asyncio.Future[None]") -> None:
        """The thread: until None comes, take what is queued, commit it, tell the loop once."""
        connection = _SqliteConnection(self._settings) if self._settings.dialect == "sqlite" else _PostgresqlConnection(self._settings)
        try:
            connection.open()
        except Exception as error:
            # Whatever it is, it is for whoever opens the writer.
            loop.call_soon_threadsafe(opened.set_exception, explain(error) or error)
            return
        loop.call_soon_threadsafe(opened.set_result, None)
        try:
            last = False
            while not last:
                group: list[_Queued] = []
                queued = self._queue.get()
                with suppress(Empty):
                    while queued is not None:
                        group.append(queued)
                        if len(group) == GROUP_LIMIT:
                            break
                        queued = self._queue.get_nowait()
                last = queued is None
                if group:
                    outcomes = _commit(connection, group)
                    # The loop may be gone when the process is stopped hard; then nobody waits any more.
                    with suppress(RuntimeError):
                        loop.call_soon_threadsafe(_tell, group, outcomes)
        finally:
            connection.close()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_end, ended)


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


def _tell(group: Sequence[_Queued], outcomes: Sequence[list[int] | Exception]) -> None:
    for queued, outcome in zip(group, outcomes, strict=True):
        waiting = queued.waiting
        if waiting is None or waiting.done():
            continue
        if isinstance(outcome, Exception):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)


class _Connection(Protocol):
    """What differs between the two databases."""

    def open(self) -> None: ...
    def close(self) -> None: ...
    def commit_batches(self, batches: Sequence[RunBatch]) -> list[list[int]]: ...


def _commit(connection: _Connection, group: Sequence[_Queued]) -> list[list[int] | Exception]:
    """One commit for the group; when one batch spoils it, each gets its own commit so that only that one fails."""
    try:
        return [*connection.commit_batches([queued.batch for queued in group])]
    except Exception as error:
        failure = explain(error) or error
    if not isinstance(failure, DatabaseUnavailable):
        if len(group) > 1:
            return [outcome for queued in group for outcome in _commit(connection, [queued])]
        if not isinstance(failure, Conflict) and (cleaned := _without_unstorable(group[0].batch)) is not None:
            return _commit(connection, [_Queued(cleaned, group[0].waiting)])
    if isinstance(failure, DatabaseUnavailable):
        logger.error("%d batches of run records were not written: %s", len(group), failure)
    elif isinstance(failure, LeaseTaken):
        logger.info("%s", failure)
    elif not isinstance(failure, Conflict) or group[0].waiting is None:
        logger.error("A batch of run records was not written", exc_info=failure)
    return [failure for _ in group]


def _without_unstorable(batch: RunBatch) -> RunBatch | None:
    """The batch without characters that a database refuses (NUL on PostgreSQL, lone surrogates on both); None when it has none.

    A run is not lost because somebody's text has one. Looked for only after a failure.
    """
    changed = False

    def clean(values: dict[str, Any]) -> dict[str, Any]:
        nonlocal changed
        result = dict(values)
        for name, value in values.items():
            if isinstance(value, str):
                result[name] = value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
                changed = changed or result[name] != value
        return result

    cleaned = RunBatch(
        [(row_class, clean(values)) for row_class, values in batch.inserts],
        [replace(change, values=clean(change.values)) for change in batch.updates],
        batch.key_uses,
    )
    return cleaned if changed else None


def _check_leases(batches: Sequence[RunBatch], counts: Sequence[Sequence[int]]) -> None:
    for batch, changed in zip(batches, counts, strict=True):
        for change, count in zip(batch.updates, changed, strict=True):
            if not count and change.lease_owner is not None:
                raise LeaseTaken(f"Run {change.run_id} is no longer this process's")


class _SqliteConnection:
    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._statements = _Statements(SQLiteDialect_pysqlite(paramstyle="qmark"))
        self._connection: sqlite3.Connection | None = None
        self._log = LogCopier(settings)

    def open(self) -> None:
        self._connection = connect_sqlite(self._settings)

    def close(self) -> None:
        self._log.close()
        if self._connection is not None:
            self._connection.close()

    def commit_batches(self, batches: Sequence[RunBatch]) -> list[list[int]]:
        assert self._connection is not None
        cursor = self._connection.cursor()
        statements = self._statements
        # Immediate: a deferred transaction may fail at its first write in spite of the busy timeout.
        cursor.execute("BEGIN IMMEDIATE")
        try:
            for text, rows in statements.inserts(batches):
                cursor.executemany(text, rows)
            counts = [
                [cursor.execute(*statements.run_update(change)).rowcount for change in batch.updates] if batch.updates else []
                for batch in batches
            ]
            for text, parameters in statements.key_uses(batches):
                cursor.execute(text, parameters)
            _check_leases(batches, counts)
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise
        self._log.committed(len(batches))
        return counts


class _PostgresqlConnection:
    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # 3 MB and 20 ms that SQLite installations do without

        self._statements = _Statements(PGDialect_psycopg(paramstyle="format"))  # type: ignore[no-untyped-call]
        self._connection: Any = None

    def open(self) -> None:
        from storage import postgresql  # brings psycopg, which only PostgreSQL installations need

        self._connection = postgresql.connect_in_thread(self._settings)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def commit_batches(self, batches: Sequence[RunBatch]) -> list[list[int]]:
        was_open = not self._connection.closed
        if not was_open:
            self.open()
        try:
            counts = self._execute(batches)
            _check_leases(batches, counts)
        except BaseException:
            if not self._connection.closed:
                self._connection.rollback()
                raise
            if not was_open:
                raise
            # The server closed the connection between two groups (a restart). Nothing was committed, so the group goes once more.
            return self.commit_batches(batches)
        self._connection.commit()
        return counts

    def _execute(self, batches: Sequence[RunBatch]) -> list[list[int]]:
        statements = self._statements
        with self._connection.pipeline() as pipeline:
            cursor = self._connection.cursor()
            for text, rows in statements.inserts(batches):
                cursor.executemany(text, rows)
            cursors = [[self._connection.execute(*statements.run_update(change)) for change in batch.updates] for batch in batches]
            for text, parameters in statements.key_uses(batches):
                self._connection.execute(text, parameters)
            pipeline.sync()
        return [[each.rowcount for each in ours] for ours in cursors]


class _Statements:
    """Driver text for one dialect, compiled when first needed and kept."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._inserts: dict[tuple[type[Base], tuple[str, ...]], _Statement] = {}
        self._updates: dict[tuple[tuple[str, ...], int, bool], _Statement] = {}
        keys = _table(ApiKeyRow)
        self._key_use = self._compile(
            update(keys)
            .where(keys.c.id == bindparam("key_id"))
            .values(total_uses=keys.c.total_uses + bindparam("uses"), last_used_at=bindparam("used_at")),
            {"key_id": None, "uses": None, "used_at": keys.c.last_used_at},
        )

    def inserts(self, batches: Sequence[RunBatch]) -> Iterable[tuple[str, list[list[Any]]]]:
        """Rows of the same shape go together, whichever batch they come from; runs first, because the others refer to them."""
        of_runs: dict[str, list[list[Any]]] = {}
        gathered: dict[str, list[list[Any]]] = {}
        known = self._inserts
        for batch in batches:
            for row_class, values in batch.inserts:
                shape = (row_class, tuple(values))
                statement = known.get(shape)
                if statement is None:
                    statement = known[shape] = self._compile_insert(*shape)
                into = of_runs if row_class is RunRow else gathered
                into.setdefault(statement.text, []).append(statement.parameters(values.values()))
        return (of_runs | gathered).items()

    def run_update(self, change: RunUpdate) -> tuple[str, list[Any]]:
        states = () if change.only_from is None else sorted(change.only_from)
        if change.only_from is not None and not states:
            raise ValueError("only_from names no state")
        lease = () if change.lease_owner is None else (change.lease_owner, change.attempt)
        shape = (tuple(change.values), len(states), bool(lease))
        statement = self._updates.get(shape)
        if statement is None:
            statement = self._updates[shape] = self._compile_update(*shape)
        return statement.text, statement.parameters([*change.values.values(), change.run_id, *states, *lease])

    def key_uses(self, batches: Sequence[RunBatch]) -> list[tuple[str, list[Any]]]:
        """One update a key, in the keys' order: processes that count the same keys never wait for each other in a circle."""
        merged: dict[str, tuple[int, datetime]] = {}
        for batch in batches:
            if batch.key_uses:
                _add_uses(merged, batch.key_uses)
        return [
            (self._key_use.text, self._key_use.parameters((key_id, count, used_at))) for key_id, (count, used_at) in sorted(merged.items())
        ]

    def _compile_insert(self, row_class: type[Base], names: tuple[str, ...]) -> _Statement:
        table = _table(row_class)
        # The compiler adds the columns that have a default by itself.
        return self._compile(insert(table), {name: table.c[name] for name in names}, column_keys=list(names), table=table)

    def _compile_update(self, names: tuple[str, ...], states: int, is_owned: bool) -> _Statement:
        runs = _table(RunRow)
        conditions = [runs.c.id == bindparam("run_id")]
        if states:
            conditions.append(or_(*(runs.c.state == bindparam(f"from_{number}") for number in range(states))))
        if is_owned:
            conditions += (runs.c.lease_owner == bindparam("owner"), runs.c.attempt == bindparam("of_attempt"))
        # A SET parameter must not be called like its column: that name is the compiler's own.
        change = update(runs).where(*conditions).values({name: bindparam(f"new_{name}") for name in names})
        given = {f"new_{name}": runs.c[name] for name in names} | {"run_id": None} | {f"from_{number}": None for number in range(states)}
        if is_owned:
            given |= {"owner": None, "of_attempt": None}
        return self._compile(change, given)

    def _compile(
        self,
        statement: Insert | Update,
        given: Mapping[str, Column[Any] | None],
        *,
        column_keys: list[str] | None = None,
        table: Table | None = None,
    ) -> _Statement:
        """`given` names the values of a batch in their order, with the column where the type matters."""
        compiled = statement.compile(dialect=self._dialect, column_keys=column_keys)
        assert isinstance(compiled, SQLCompiler) and compiled.positiontup is not None
        names = compiled.positiontup
        columns: dict[str, Column[Any] | None] = {**given}
        constants: list[Any] = []
        for name in names:
            if name not in columns:
                assert table is not None
                default = table.c[name].default
                assert isinstance(default, ScalarElementColumnDefault)
                columns[name] = table.c[name]
                constants.append(default.arg)
        positions = {name: position for position, name in enumerate(columns)}
        return _Statement(
            str(compiled),
            tuple(positions[name] for name in names),
            tuple(place for place, name in enumerate(names) if (column := columns[name]) is not None and isinstance(column.type, Moment)),
            tuple(constants),
        )


def _add_uses(merged: dict[str, tuple[int, datetime]], uses: Iterable[KeyUse]) -> None:
    for use in uses:
        count, last = merged.get(use.key_id, (0, use.used_at))
        merged[use.key_id] = (count + 1, max(last, use.used_at))


def _table(row_class: type[Base]) -> Table:
    table = row_class.__table__
    assert isinstance(table, Table)
    return table
