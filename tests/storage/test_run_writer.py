import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from storage.database import Conflict, Database, DatabaseSettings, DatabaseUnavailable, MissingReference
from storage.ids import new_id
from storage.run_writer import GROUP_LIMIT, KeyUse, LeaseTaken, RunBatch, RunUpdate, RunWriter
from storage.tables import ApiKeyRow, FlowRow, MessageRow, RunRow, TransactionRow, UserRow, VertexBuildRow
from tests.storage.rows import NOW, a_key, a_message, a_run, a_whole_run, add_flow


@pytest.fixture
async def flow(database: Database) -> AsyncIterator[tuple[str, str]]:
    """Ids of a user and of a flow of theirs."""
    async with database.transaction() as session:
        ids = await add_flow(session)
    yield ids


async def count(database: Database, row_class: type) -> int:
    async with database.reading() as session:
        return (await session.execute(select(func.count()).select_from(row_class))).scalar_one()


async def test_what_was_written_is_there_when_the_answer_comes(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    batch = a_whole_run(*flow, attempt=3, finished_at=NOW + timedelta(microseconds=1))
    assert await run_writer.write(batch) == []
    async with database.reading() as session:
        run = (await session.execute(select(RunRow))).scalar_one()
        assert (run.id, run.created_at, run.started_at, run.attempt) == (batch.inserts[0][1]["id"], NOW, None, 3)
        assert run.finished_at == NOW + timedelta(microseconds=1)
        message = (await session.execute(select(MessageRow).limit(1))).scalar_one()
        # Columns that were left out have the defaults of the tables.
        assert (message.text, message.context_id, message.is_error, message.duration_seconds) == ("hello", "", False, None)
        build = (await session.execute(select(VertexBuildRow).limit(1))).scalar_one()
        assert (build.is_valid, build.duration_seconds) == (True, 0.25)
    assert await count(database, MessageRow) == await count(database, TransactionRow) == 2


async def test_columns_may_come_in_any_order(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    values = a_run(*flow)
    backwards = dict(reversed(a_run(*flow, session_id="other").items()))
    await run_writer.write(RunBatch(inserts=[(RunRow, values), (RunRow, backwards)]))
    async with database.reading() as session:
        runs = (await session.execute(select(RunRow).order_by(RunRow.session_id))).scalars().all()
    assert [(run.session_id, run.kind, run.created_at) for run in runs] == [("other", "tool", NOW), ("session", "tool", NOW)]


async def test_a_state_is_set_only_from_the_states_that_are_named(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    run = a_run(*flow, state="running")
    open_states = frozenset({"queued", "running", "waiting"})

    def end(state: str) -> RunUpdate:
        return RunUpdate(run["id"], {"state": state, "finished_at": NOW}, only_from=open_states)

    assert await run_writer.write(RunBatch(inserts=[(RunRow, run)], updates=[end("cancelled"), end("completed")])) == [1, 0]
    assert await run_writer.write(RunBatch(updates=[end("failed")])) == [0]
    assert await run_writer.write(RunBatch(updates=[RunUpdate(run["id"], {"result": "{}"}), RunUpdate(new_id(), {"result": "{}"})])) == [
        1,
        0,
    ]
    async with database.reading() as session:
        row = await session.get_one(RunRow, run["id"])
        assert (row.state, row.result, row.finished_at) == ("cancelled", "{}", NOW)
    with pytest.raises(ValueError, match="no state"):
        await run_writer.write(RunBatch(updates=[RunUpdate(run["id"], {"state": "failed"}, only_from=frozenset())]))


async def test_nothing_is_kept_of_a_step_of_a_run_that_is_somebody_else_s(
    database: Database, run_writer: RunWriter, flow: tuple[str, str]
) -> None:
    mine, taken = a_run(*flow, state="running", lease_owner="me"), a_run(*flow, state="running", lease_owner="me", attempt=2)
    await run_writer.write(RunBatch(inserts=[(RunRow, mine), (RunRow, taken)]))
    steps = [
        RunBatch([(MessageRow, a_message(*flow, run["id"]))], [RunUpdate(run["id"], {"state": "completed"}, frozenset({"running"}), "me")])
        for run in (mine, taken, mine)
    ]
    answers = await asyncio.gather(*(run_writer.write(step) for step in steps), return_exceptions=True)
    assert [answer if isinstance(answer, list) else type(answer) for answer in answers] == [[1], LeaseTaken, LeaseTaken]
    assert await count(database, MessageRow) == 1


async def test_of_many_that_end_a_run_at_once_one_succeeds(run_writer: RunWriter, flow: tuple[str, str]) -> None:
    run = a_run(*flow, state="running")
    await run_writer.write(RunBatch(inserts=[(RunRow, run)]))
    ends = [RunBatch(updates=[RunUpdate(run["id"], {"state": state}, frozenset({"running"}))]) for state in ["completed", "cancelled"] * 20]
    counts = await asyncio.gather(*(run_writer.write(batch) for batch in ends))
    assert sorted(changed for (changed,) in counts) == [0] * 39 + [1]


async def test_many_batches_at_once_are_all_kept(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    await asyncio.gather(*(run_writer.write(a_whole_run(*flow)) for _ in range(GROUP_LIMIT * 3)))
    assert await count(database, RunRow) == GROUP_LIMIT * 3
    assert await count(database, VertexBuildRow) == GROUP_LIMIT * 6


async def test_one_bad_batch_fails_alone_and_wholly(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    good = [a_whole_run(*flow) for _ in range(10)]
    bad = a_whole_run(flow[0], new_id())
    answers = await asyncio.gather(*(run_writer.write(batch) for batch in [*good[:5], bad, *good[5:]]), return_exceptions=True)
    assert [isinstance(answer, MissingReference) for answer in answers] == [False] * 5 + [True] + [False] * 5
    assert await count(database, RunRow) == 10
    assert await count(database, MessageRow) == 20


async def test_a_second_run_with_the_same_idempotency_key_is_a_conflict(run_writer: RunWriter, flow: tuple[str, str]) -> None:
    batches = [RunBatch(inserts=[(RunRow, a_run(*flow, idempotency_key="once"))]) for _ in range(4)]
    answers = await asyncio.gather(*(run_writer.write(batch) for batch in batches), return_exceptions=True)
    conflicts = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(conflicts) == 3
    assert {conflict.constraint for conflict in conflicts} == {"uq_runs_principal_idempotency_key"}


async def test_a_text_that_a_database_refuses_does_not_lose_the_run(
    database: Database, run_writer: RunWriter, flow: tuple[str, str]
) -> None:
    run = a_run(*flow)
    await run_writer.write(RunBatch(inserts=[(RunRow, run), (MessageRow, a_message(*flow, run["id"], text="a\ud800b\0c"))]))
    async with database.reading() as session:
        (kept,) = (await session.execute(select(MessageRow.text))).scalars().all()
    assert kept == "a?b\ufffdc"


async def test_uses_of_a_key_are_counted_once_each(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    one, other = a_key(flow[0]), a_key(flow[0])
    async with database.transaction() as session:
        session.add_all([one, other])
    moments = [NOW + timedelta(seconds=seconds) for seconds in range(50)]
    for moment in reversed(moments):
        run_writer.write_soon(RunBatch(key_uses=[KeyUse(one.id, moment)]))
    await run_writer.write(RunBatch(key_uses=[KeyUse(other.id, moments[1]), KeyUse(other.id, moments[0]), KeyUse(new_id(), NOW)]))
    await run_writer.flush()
    async with database.reading() as session:
        rows = {row.id: (row.total_uses, row.last_used_at) for row in (await session.execute(select(ApiKeyRow))).scalars()}
    assert rows == {one.id: (50, moments[-1]), other.id: (2, moments[1])}


async def test_uses_of_a_key_are_counted_without_a_flush(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    key = a_key(flow[0])
    async with database.transaction() as session:
        session.add(key)
    run_writer.write_soon(RunBatch(key_uses=[KeyUse(key.id, NOW)]))

    async def uses() -> int:
        async with database.reading() as session:
            return (await session.execute(select(ApiKeyRow.total_uses))).scalar_one()

    async with asyncio.timeout(10):
        while await uses() == 0:
            pass


async def test_leaving_keeps_what_was_queued(database: Database, database_settings: DatabaseSettings, flow: tuple[str, str]) -> None:
    key = a_key(flow[0])
    async with database.transaction() as session:
        session.add(key)
    async with RunWriter(database_settings) as writer:
        for _ in range(GROUP_LIMIT * 2):
            writer.write_soon(a_whole_run(*flow))
        writer.write_soon(RunBatch(key_uses=[KeyUse(key.id, NOW)]))
    assert await count(database, RunRow) == GROUP_LIMIT * 2
    async with database.reading() as session:
        assert (await session.execute(select(ApiKeyRow.total_uses))).scalar_one() == 1


async def test_what_was_queued_without_waiting_keeps_its_place(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    run = a_run(*flow, state="running")
    run_writer.write_soon(RunBatch(inserts=[(RunRow, run)]))
    assert await run_writer.write(RunBatch(updates=[RunUpdate(run["id"], {"state": "completed"}, frozenset({"running"}))])) == [1]


async def test_a_failure_that_nobody_waits_for_is_logged(
    run_writer: RunWriter, flow: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    run_writer.write_soon(a_whole_run(flow[0], new_id()))
    await run_writer.flush()
    assert [record.levelno for record in caplog.records if record.name == "storage.run_writer"] == [logging.ERROR]


async def test_who_stops_waiting_does_not_take_the_batch_back(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    task = asyncio.create_task(run_writer.write(a_whole_run(*flow)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await run_writer.flush()
    assert await count(database, RunRow) == 1


async def test_reading_right_after_writing_sees_it(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    async def call(number: int) -> bool:
        batch = a_whole_run(*flow, session_id=f"session {number}")
        await run_writer.write(batch)
        async with database.reading() as session:
            return await session.get(RunRow, batch.inserts[0][1]["id"]) is not None

    assert all(await asyncio.gather(*(call(number) for number in range(60))))


async def test_catalogue_changes_and_run_records_do_not_stop_each_other(
    database: Database, run_writer: RunWriter, flow: tuple[str, str]
) -> None:
    async def rename(number: int) -> None:
        async with database.transaction() as session:
            row = await session.get_one(FlowRow, flow[1], with_for_update=True)
            row.name = f"flow {number}"

    await asyncio.gather(*(run_writer.write(a_whole_run(*flow)) for _ in range(100)), *(rename(number) for number in range(20)))
    assert await count(database, RunRow) == 100


async def test_a_locked_database_fails_what_waits_and_heals(sqlite_settings: DatabaseSettings) -> None:
    async with (
        Database(sqlite_settings) as database,
        RunWriter(sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.05})) as writer,
    ):
        async with database.transaction() as session:
            ids = await add_flow(session)
        holder = sqlite3.connect(sqlite_settings.sqlite_path, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(*(writer.write(a_whole_run(*ids)) for _ in range(5)), return_exceptions=True)
            assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
            holder.execute("ROLLBACK")
        finally:
            holder.close()
        await writer.write(a_whole_run(*ids))
        assert await count(database, RunRow) == 1


async def test_a_lost_connection_to_the_server_is_opened_again(postgresql_settings: DatabaseSettings) -> None:
    async with Database(postgresql_settings) as database, RunWriter(postgresql_settings) as writer:
        async with database.transaction() as session:
            ids = await add_flow(session)
        await writer.write(a_whole_run(*ids))
        await database.catalogue_version()
        async with database.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        await writer.write(a_whole_run(*ids))
        assert await count(database, RunRow) == 2
        assert await database.catalogue_version() == 0


async def test_a_writer_that_cannot_open_says_so(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/missing/headwater.db", f"postgresql://nobody@/none?host={tmp_path}"):
        with pytest.raises(DatabaseUnavailable):
            async with RunWriter(DatabaseSettings(url=url, busy_timeout_seconds=1)):
                pass


async def test_deleting_a_user_takes_what_the_user_owns(database: Database, run_writer: RunWriter, flow: tuple[str, str]) -> None:
    await run_writer.write(a_whole_run(*flow))
    async with database.transaction() as session:
        await session.delete(await session.get_one(UserRow, flow[0]))
    assert [await count(database, row_class) for row_class in (FlowRow, RunRow, MessageRow, VertexBuildRow, TransactionRow)] == [0] * 5
