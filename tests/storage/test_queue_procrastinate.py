"""Jobs for queued runs on PostgreSQL: one with the run's own transaction, given to one process, and given again when that one dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.command import downgrade
from alembic.config import Config
from procrastinate.schema import SchemaManager
from sqlalchemy import text

from projects.access.caller import Caller
from storage import migrate
from storage.database import Database, DatabaseSettings
from storage.queue_leases import QueueLeases
from storage.queue_procrastinate import SCHEMA, STALLED_SECONDS, RunJobs
from tests.owners import MOMENT, add_flow, add_owner, add_rows, run_row

SECONDS = 10.0


@pytest.fixture
async def database(postgresql_settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with Database(postgresql_settings) as opened:
        yield opened


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def flow_id(database: Database, ada: Caller) -> str:
    return await add_flow(database, ada)


async def jobs_of(database: Database) -> list[tuple[str, str]]:
    """(run, state) of each job, in the order in which they are given out."""
    async with database.reading() as session:
        rows = await session.execute(text("SELECT args ->> 'run_id', status::text FROM procrastinate_jobs ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


class Process:
    """Takes what it is given, as the use cases do, and holds it until `may_end`."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self.taken: asyncio.Queue[str] = asyncio.Queue()
        self.may_end = asyncio.Event()
        self.at_once = self.most_at_once = 0

    async def run(self, run_id: str) -> None:
        now = datetime.now(UTC)
        async with self._database.transaction() as session:
            row = await QueueLeases(session).take_one(run_id, lease_owner=self._name, lease_expires_at=now + timedelta(minutes=1), now=now)
        if row is None:
            return
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.taken.put_nowait(run_id)
        await self.may_end.wait()
        self.at_once -= 1

    async def takes(self, count: int) -> list[str]:
        async with asyncio.timeout(SECONDS):
            return [await self.taken.get() for _ in range(count)]


async def until_no_jobs(database: Database) -> None:
    async with asyncio.timeout(SECONDS):
        while await jobs_of(database):  # noqa: ASYNC110 - rows, no event
            await asyncio.sleep(0.01)


async def execute(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement), values)


async def test_a_run_and_its_job_are_committed_together_or_not_at_all(database: Database, ada: Caller, flow_id: str) -> None:
    queued = run_row(ada, flow_id, state="queued")
    with pytest.raises(RuntimeError, match="not committed"):
        async with database.transaction() as session:
            session.add(run_row(ada, flow_id, state="queued"))
            await session.flush()
            raise RuntimeError("not committed")
    assert await jobs_of(database) == []
    await add_rows(database, queued, run_row(ada, flow_id), run_row(ada, flow_id, state="waiting"))
    assert await jobs_of(database) == [(queued.id, "todo")]


async def test_a_run_that_is_put_back_gets_one_job_for_when_its_time_has_come(database: Database, ada: Caller, flow_id: str) -> None:
    run = run_row(ada, flow_id, lease_owner="gone", lease_expires_at=MOMENT, request="sealed")
    await add_rows(database, run)
    later = datetime(2100, 1, 1, tzinfo=UTC)
    async with database.transaction() as session:
        assert await QueueLeases(session).put_back(run, checkpoint="{}", available_at=later)
    await execute(database, "UPDATE runs SET state = 'queued' WHERE id = :id", id=run.id)  # said twice, it is one job all the same
    assert await jobs_of(database) == [(run.id, "todo")]
    async with database.reading() as session:
        assert (await session.execute(text("SELECT scheduled_at FROM procrastinate_jobs"))).scalar_one() == later


async def test_runs_are_given_out_oldest_first_with_a_bound_and_their_jobs_are_gone_when_they_have_ended(
    database: Database, ada: Caller, flow_id: str
) -> None:
    rows = [run_row(ada, flow_id, state="queued", created_at=MOMENT + timedelta(seconds=number)) for number in range(5)]
    cancelled = run_row(ada, flow_id, state="queued")
    for row in (cancelled, *rows):
        await add_rows(database, row)
    await execute(database, "UPDATE runs SET state = 'cancelled' WHERE id = :id", id=cancelled.id)
    process = Process(database, "me")
    async with RunJobs(database.settings) as jobs:
        jobs.begin(process.run, places=2)
        assert await process.takes(2) == [rows[0].id, rows[1].id]
        process.may_end.set()
        assert sorted(await process.takes(3)) == sorted(row.id for row in rows[2:])
        await until_no_jobs(database)
    assert process.most_at_once == 2 and process.taken.empty()


async def test_of_several_processes_one_gets_each_run_and_is_told_at_once(database: Database, ada: Caller, flow_id: str) -> None:
    processes = [Process(database, name) for name in ("a", "b")]
    rows = [run_row(ada, flow_id, state="queued") for _ in range(20)]
    async with AsyncExitStack() as stack:
        for process in processes:
            process.may_end.set()
            (await stack.enter_async_context(RunJobs(database.settings))).begin(process.run, places=3)
        await add_rows(database, *rows)
        await until_no_jobs(database)
    taken = [process.taken.get_nowait() for process in processes for _ in range(process.taken.qsize())]
    assert sorted(taken) == sorted(row.id for row in rows)


async def test_what_a_dead_process_was_given_and_what_lost_its_job_is_given_again(database: Database, ada: Caller, flow_id: str) -> None:
    given, lost, running = run_row(ada, flow_id, state="queued"), run_row(ada, flow_id, state="queued"), run_row(ada, flow_id)
    await add_rows(database, given, lost, running)
    await execute(database, "DELETE FROM procrastinate_jobs WHERE queueing_lock = :id", id=lost.id)
    # A process took the job, and died before it took the run.
    await execute(
        database, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - :age * interval '1 s')", age=STALLED_SECONDS + 1
    )
    await execute(database, "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)")
    process = Process(database, "me")
    process.may_end.set()
    async with RunJobs(database.settings) as jobs:
        jobs.begin(process.run, places=2)
        await jobs.mend()
        assert sorted(await process.takes(2)) == sorted([given.id, lost.id])
        await until_no_jobs(database)


async def test_runs_go_on_being_taken_after_every_connection_was_lost(database: Database, ada: Caller, flow_id: str) -> None:
    before, after = run_row(ada, flow_id, state="queued"), run_row(ada, flow_id, state="queued")
    process = Process(database, "me")
    async with RunJobs(database.settings) as jobs:
        jobs.begin(process.run, places=2)
        await add_rows(database, before)
        assert await process.takes(1) == [before.id]
        with psycopg.connect(database.settings.postgresql_conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await add_rows(database, after)
        assert await process.takes(1) == [after.id]
        process.may_end.set()
        await until_no_jobs(database)


async def test_a_job_that_is_handed_back_while_this_process_stops_is_there_for_others(
    database: Database, ada: Caller, flow_id: str
) -> None:
    run = run_row(ada, flow_id, state="queued")
    await add_rows(database, run)
    async with RunJobs(database.settings) as jobs:
        given: asyncio.Queue[str] = asyncio.Queue()

        async def refuse(run_id: str) -> None:
            jobs.stop()
            await jobs.put_back(run_id)
            given.put_nowait(run_id)

        jobs.begin(refuse, places=1)
        async with asyncio.timeout(SECONDS):
            assert await given.get() == run.id
    assert await jobs_of(database) == [(run.id, "todo")]


def test_the_schema_is_that_of_the_installed_procrastinate() -> None:
    newest = max(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    assert newest == SCHEMA, "write a migration that brings procrastinate's tables to this one"


async def test_runs_that_are_queued_when_the_database_is_brought_up_to_date_get_their_jobs(
    postgresql_settings: DatabaseSettings,
) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    config.set_main_option("path_separator", "os")

    def back() -> None:
        with migrate.locked_connection(postgresql_settings) as connection:
            config.attributes["connection"] = connection
            downgrade(config, "2026_11_22_1500")

    async with Database(postgresql_settings) as database:
        owner = await add_owner(database, "ada")
        queued = run_row(owner, await add_flow(database, owner), state="queued")
        await add_rows(database, queued)
        await asyncio.to_thread(back)
        async with database.reading() as session:
            left = "SELECT count(*) FROM pg_class WHERE relname LIKE '%procrastinate%'"
            assert (await session.execute(text(left))).scalar_one() == 0
        assert await migrate.upgrade(postgresql_settings)
        assert await jobs_of(database) == [(queued.id, "todo")]
