"""SQLite's threads when their queries are cancelled."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import Database, DatabaseSettings
from storage.sqlite_thread import SqliteThread

ENOUGH_SECONDS = 10.0  # for what takes milliseconds


def test_a_closing_that_is_cancelled_after_the_thread_ended_ends(tmp_path: Path) -> None:
    """What SQLAlchemy leaves of a query that was cancelled twice, met by a loop that ends."""

    async def leave_a_closing() -> None:
        connection = await SqliteThread(str(tmp_path / "a.db"))
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        connection.stop()
        connection._thread.join(ENOUGH_SECONDS)  # blocks the loop, so that the answers are still on their way
        closing.cancel()
        _, unfinished = await asyncio.wait({closing}, timeout=ENOUGH_SECONDS)
        assert not unfinished

    asyncio.run(leave_a_closing())


async def test_a_connection_may_be_closed_by_several_at_once(tmp_path: Path) -> None:
    connection = await SqliteThread(str(tmp_path / "a.db"))
    async with asyncio.timeout(ENOUGH_SECONDS):
        await asyncio.gather(connection.close(), connection.close(), connection.close())
        await connection.close()
    with pytest.raises(ValueError, match="no active connection"):
        await connection.execute("SELECT 1")
    await asyncio.to_thread(connection._thread.join, ENOUGH_SECONDS)
    assert not connection._thread.is_alive()


async def test_what_was_asked_before_the_end_is_answered(tmp_path: Path) -> None:
    connection = await SqliteThread(str(tmp_path / "a.db"), isolation_level=None)
    asked = asyncio.create_task(connection.execute_fetchall("SELECT 7"))
    await asyncio.sleep(0)
    await connection.close()
    assert [tuple(row) for row in await asked] == [(7,)]


async def test_a_path_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    connection = SqliteThread(str(tmp_path / "nothing" / "a.db"))
    with pytest.raises(sqlite3.OperationalError):
        await connection
    await asyncio.to_thread(connection._thread.join, ENOUGH_SECONDS)
    assert not connection._thread.is_alive()


def test_queries_cancelled_at_any_moment_leave_no_thread_and_a_loop_that_ends(tmp_path: Path) -> None:
    before = threading.active_count()

    async def cancel_many() -> None:
        async with Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/a.db")) as database:

            async def ask() -> None:
                async with database.reading() as session:
                    await session.execute(text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n"))

            for turn in range(60):
                asking = [asyncio.create_task(ask()) for _ in range(5)]
                for _ in range(turn % 12):
                    await asyncio.sleep(0.0005)
                for task in asking:
                    task.cancel()
                    await asyncio.sleep(0)
                    task.cancel()  # as a cancelled task group does until the task has ended
                await asyncio.wait(asking)

    ending = threading.Thread(target=lambda: asyncio.run(cancel_many()), daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    assert threading.active_count() <= before
