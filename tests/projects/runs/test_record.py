"""What a run has left behind is kept, also when the database was away for a moment while it was being written."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from projects.engine.events import VertexResult
from projects.runs.record import RunIdentity, RunRecord, RunState
from storage.database import Database, DatabaseSettings, DatabaseUnavailable
from storage.ids import new_id
from storage.run_writer import RunBatch, RunWriter
from storage.tables import RunRow, VertexBuildRow
from tests.storage.rows import add_flow


@contextmanager
def locked(settings: DatabaseSettings) -> Iterator[None]:
    holder = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


async def test_what_a_run_shows_of_itself_while_the_database_is_locked_is_written_at_its_end(sqlite_settings: DatabaseSettings) -> None:
    async with (
        Database(sqlite_settings) as database,
        RunWriter(sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.05})) as writer,
    ):
        async with database.transaction() as session:
            owner_id, flow_id = await add_flow(session)
        run_id = new_id()
        identity = RunIdentity(
            run_id=run_id,
            owner_id=owner_id,
            principal="test",
            kind="run",
            project_id=None,
            flow_id=flow_id,
            flow_version=1,
            session_id="s",
            process_id="p",
            created_at=datetime.now(UTC),
        )
        record = RunRecord(identity, writer, visible_after_seconds=60)
        record.begin()
        record.add_vertex(VertexResult("a", "ChatInput", "Chat Input"), target_id=None)
        with locked(sqlite_settings):
            record.show()
            with pytest.raises(DatabaseUnavailable):
                await writer.write(RunBatch())
        async with database.reading() as session:
            assert await session.get(RunRow, run_id) is None
        await record.finish(RunState.COMPLETED, result={})
        async with database.reading() as session:
            assert (await session.get_one(RunRow, run_id)).state == "completed"
            assert [row.vertex_id for row in await session.scalars(select(VertexBuildRow))] == ["a"]
