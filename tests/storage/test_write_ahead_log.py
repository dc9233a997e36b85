"""SQLite's write-ahead log goes into the database beside the commits, and who reads for long stops nobody."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from storage import write_ahead_log
from storage.database import DatabaseSettings, connect_sqlite
from storage.write_ahead_log import BATCHES_BETWEEN, LogCopier

ROW = "x" * 50_000
ROWS = 2 * BATCHES_BETWEEN  # 3 MB, far below what makes a commit copy the log


@pytest.fixture
def settings(tmp_path: Path) -> DatabaseSettings:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path}/log.db", busy_timeout_seconds=5)
    connection = connect_sqlite(settings)
    connection.execute("CREATE TABLE kept (text TEXT)")
    connection.close()
    return settings


def fill(writer: sqlite3.Connection, copier: LogCopier, *, rows: int = ROWS) -> None:
    for _ in range(rows):
        writer.execute("INSERT INTO kept VALUES (?)", (ROW,))
        copier.committed(1)


async def until_copied(settings: DatabaseSettings, *, rows: int = BATCHES_BETWEEN) -> None:
    async with asyncio.timeout(20):
        while settings.sqlite_path.stat().st_size < rows * len(ROW):  # noqa: ASYNC110 - a file tells nobody that it grew
            await asyncio.sleep(0.01)


async def test_the_log_goes_into_the_database_while_its_writer_has_nothing_to_do_with_it(settings: DatabaseSettings) -> None:
    writer, copier = connect_sqlite(settings), LogCopier(settings)
    assert settings.sqlite_path.stat().st_size < len(ROW)
    fill(writer, copier)
    await until_copied(settings)
    copier.close()
    writer.close()


async def test_a_long_log_is_ended_so_that_it_begins_anew(settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "LONG_PAGES", 100)
    log = settings.sqlite_path.with_name("log.db-wal")
    writer, copier = connect_sqlite(settings), LogCopier(settings)
    for turn in range(1, 5):
        fill(writer, copier)
        await until_copied(settings, rows=turn * ROWS - BATCHES_BETWEEN)
    assert log.stat().st_size < 4 * ROWS * len(ROW)
    copier.close()
    writer.close()


async def test_a_reader_that_stays_on_an_old_state_keeps_no_writer_waiting(
    settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "LONG_PAGES", 100)
    writer, reader, copier = connect_sqlite(settings), connect_sqlite(settings), LogCopier(settings)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    await asyncio.to_thread(fill, writer, copier, rows=2 * ROWS)  # each insert would fail after the five seconds
    assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    reader.execute("COMMIT")
    fill(writer, copier)
    await until_copied(settings, rows=2 * ROWS)
    assert writer.execute("SELECT count(*) FROM kept").fetchone() == (3 * ROWS,)
    copier.close()
    for connection in (writer, reader):
        connection.close()
