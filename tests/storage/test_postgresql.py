"""A server that stops answering and closes nothing: whoever waits for it is told in time, and goes on when it answers again."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from time import monotonic

import psycopg
import pytest
from sqlalchemy import func, select, text

from storage import postgresql
from storage.database import Database, DatabaseSettings, DatabaseUnavailable, explain
from storage.notifications import Notifications
from storage.queue_procrastinate import RunJobs
from storage.run_writer import RunBatch, RunUpdate, RunWriter
from storage.tables import UserRow
from tests.chaos.wire import Wire, wire_to
from tests.storage.rows import a_user

ANSWER_SECONDS = 1.0
BOUND = 15.0  # far above what is waited for, far below what TCP would take


@pytest.fixture
def wire(postgresql_settings: DatabaseSettings) -> Iterator[Wire]:
    with wire_to(postgresql_settings.url) as wire:
        yield wire


@pytest.fixture
def settings(wire: Wire) -> DatabaseSettings:
    return DatabaseSettings(url=wire.address, busy_timeout_seconds=2, answer_seconds=ANSWER_SECONDS)


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with Database(settings) as database:
        yield database


async def test_queries_and_the_health_check_are_told_in_time_that_the_server_does_not_answer(wire: Wire, database: Database) -> None:
    async with database.reading() as session:
        await session.execute(select(func.count()).select_from(UserRow))
    assert await database.is_reachable()
    wire.freeze()
    async with asyncio.timeout(BOUND):
        assert not await database.is_reachable()
        with pytest.raises(DatabaseUnavailable):
            await database.catalogue_version()
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as session:
                await session.execute(select(func.count()).select_from(UserRow))
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as session:
                session.add(a_user("ada"))
    wire.thaw()
    async with asyncio.timeout(BOUND):
        while not await database.is_reachable():  # noqa: ASYNC110 - there is nothing else to wait for
            await asyncio.sleep(0)
        async with database.transaction() as session:
            session.add(a_user("bob"))
        async with database.reading() as session:
            assert (await session.execute(select(UserRow.username))).scalars().all() == ["bob"]


async def test_a_transaction_whose_server_falls_silent_in_the_middle_ends(wire: Wire, database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(BOUND), database.transaction() as session:
            session.add(a_user("ada"))
            await session.flush()
            wire.freeze()


async def test_somebody_who_leaves_a_query_that_is_not_answered_is_let_go(wire: Wire, database: Database) -> None:
    async def count() -> None:
        async with database.reading() as session:
            began.set()
            await session.execute(text("SELECT pg_sleep(60)"))

    began = asyncio.Event()
    asking = asyncio.create_task(count())
    await began.wait()
    wire.freeze()
    asking.cancel()
    _, late = await asyncio.wait({asking}, timeout=BOUND)
    assert not late


async def test_a_query_that_takes_longer_than_an_answer_may_take_is_ended(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(BOUND), database.reading() as session:
            await session.execute(text("SELECT pg_sleep(60)"))


async def test_a_long_answer_that_keeps_coming_is_waited_for(database: Database) -> None:
    slow = text("SELECT pg_sleep(0.5), repeat('x', 100000) FROM generate_series(1, 8)")
    async with asyncio.timeout(BOUND), database.reading() as session:
        assert len((await session.execute(slow)).all()) == 8


async def test_a_check_that_was_given_up_is_not_complained_of_when_it_fails(
    wire: Wire, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    assert await database.is_reachable()
    wire.freeze()
    assert not await database.is_reachable()
    checks = {task for task in asyncio.all_tasks() if task.get_name() == "catalogue version"}
    assert checks
    async with asyncio.timeout(BOUND):
        await asyncio.wait(checks)
    del checks
    gc.collect()
    await asyncio.sleep(0)
    assert not caplog.text


async def test_the_writer_of_runs_tells_who_waits_and_writes_again_later(wire: Wire, settings: DatabaseSettings) -> None:
    nothing = RunBatch(updates=[RunUpdate("none", {"state": "completed"})])
    async with RunWriter(settings) as writer:
        assert await writer.write(nothing) == [0]
        wire.freeze()
        with pytest.raises(DatabaseUnavailable):
            async with asyncio.timeout(BOUND):
                await writer.write(nothing)
        wire.thaw()
        async with asyncio.timeout(BOUND):
            assert await writer.write(nothing) == [0]


async def test_who_listens_and_sends_connects_anew(wire: Wire, settings: DatabaseSettings, postgresql_settings: DatabaseSettings) -> None:
    heard, connected = asyncio.Event(), asyncio.Event()
    async with (
        Notifications(settings, "behind the wire", lambda text: heard.set(), connected.set) as behind,
        Notifications(postgresql_settings, "elsewhere", lambda text: elsewhere.append(text), lambda: None) as other,
    ):
        elsewhere: list[str] = []
        async with asyncio.timeout(BOUND):
            await connected.wait()
            connected.clear()
            wire.freeze()
            behind.send("lost")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connected.wait(), 2 * ANSWER_SECONDS + 1)
            wire.thaw()
            await connected.wait()
            other.send("hello")
            await heard.wait()


async def test_the_queue_of_runs_says_so(wire: Wire, settings: DatabaseSettings) -> None:
    async with RunJobs(settings) as jobs:
        await jobs.mend()
        wire.freeze()
        async with asyncio.timeout(BOUND):
            with pytest.raises(DatabaseUnavailable):
                await jobs.mend()
        wire.thaw()


async def test_silence_is_no_failure_of_who_listens(settings: DatabaseSettings) -> None:
    connection = await postgresql.connect(settings)
    began = monotonic()
    async for _ in connection.notifies(timeout=3 * ANSWER_SECONDS):
        pass
    waiting = asyncio.create_task(anext(connection.notifies()))
    _, late = await asyncio.wait({waiting}, timeout=3 * ANSWER_SECONDS)
    assert late and monotonic() - began > 5 * ANSWER_SECONDS and not connection.closed
    waiting.cancel()
    await asyncio.wait({waiting})
    await connection.close()


async def test_a_transaction_that_the_server_ended_meanwhile_is_one_that_may_be_tried_again(settings: DatabaseSettings) -> None:
    """As that of a process that was frozen."""
    connection = await postgresql.connect(settings, autocommit=False)
    await connection.execute("SET idle_in_transaction_session_timeout = 1")
    with pytest.raises(psycopg.Error) as ended:
        async with asyncio.timeout(BOUND):
            while True:
                await asyncio.sleep(0.01)
                await connection.execute("SELECT 1")
    assert isinstance(explain(ended.value), DatabaseUnavailable)
    await connection.close()


async def test_the_server_ends_transactions_of_processes_that_it_hears_no_more_of(settings: DatabaseSettings) -> None:
    """Whoever is cut off may hold locks: without this for as long as TCP keeps a silent connection, which is hours."""
    connection = await postgresql.connect(settings)
    in_thread = await asyncio.to_thread(postgresql.connect_in_thread, settings)
    async with Database(settings) as database:
        shown = "SELECT current_setting('idle_in_transaction_session_timeout')"
        async with database.reading() as session:
            kept = [(await session.execute(text(shown))).scalar_one()]
        kept += [(await (await connection.execute(shown)).fetchone())[0], in_thread.execute(shown).fetchone()[0]]  # type: ignore[index]
    assert kept == ["1min"] * 3
    await connection.close()
    in_thread.close()
