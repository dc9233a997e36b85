import asyncio
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from projects.access.caller import Caller
from storage.database import Database, DatabaseSettings
from storage.queue_leases import Glance, QueueGlances, QueueLeases
from storage.runs import RunRepository
from storage.tables import RunRow
from tests.owners import MOMENT, add_flow, add_owner, add_rows, run_row

LATER = MOMENT + timedelta(minutes=5)


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def flow_id(database: Database, ada: Caller) -> str:
    return await add_flow(database, ada)


async def read(database: Database, row: RunRow) -> RunRow:
    async with database.reading() as session:
        found = await RunRepository(session).find(row.id, owner_id=row.owner_id)
    assert found is not None
    return found


async def take(database: Database, who: str, *, now: datetime = LATER, limit: int = 10) -> list[str]:
    async with database.transaction() as session:
        rows = await QueueLeases(session).take(lease_owner=who, lease_expires_at=now + timedelta(minutes=1), now=now, limit=limit)
        return [row.id for row in rows]


async def test_the_oldest_queued_runs_whose_time_has_come_are_taken(database: Database, ada: Caller, flow_id: str) -> None:
    def queued(seconds: int, **values: object) -> RunRow:
        return run_row(ada, flow_id, state="queued", created_at=MOMENT + timedelta(seconds=seconds), started_at=None, **values)

    young, old, put_off = queued(2), queued(1), queued(0, available_at=LATER)
    await add_rows(database, young, old, put_off, run_row(ada, flow_id), run_row(ada, flow_id, state="waiting"))
    assert await take(database, "me", now=MOMENT, limit=1) == [old.id]
    assert await take(database, "me", now=MOMENT) == [young.id]
    assert await take(database, "me", now=LATER) == [put_off.id]
    taken = await read(database, old)
    assert (taken.state, taken.lease_owner, taken.lease_expires_at, taken.started_at) == (
        "running",
        "me",
        MOMENT + timedelta(minutes=1),
        MOMENT,
    )


async def test_of_processes_that_take_at_once_each_run_goes_to_one(database: Database, ada: Caller, flow_id: str) -> None:
    rows = [run_row(ada, flow_id, state="queued") for _ in range(30)]
    await add_rows(database, *rows)
    taken = await asyncio.gather(*(take(database, who, limit=7) for who in ("a", "b", "c", "d", "e", "f")))
    assert sorted(id for ids in taken for id in ids) == sorted(row.id for row in rows)


async def test_left_behind_is_what_no_living_process_holds(database: Database, ada: Caller, flow_id: str) -> None:
    before, after = MOMENT - timedelta(seconds=1), MOMENT + timedelta(seconds=1)
    rows = {
        "lease over": run_row(ada, flow_id, lease_owner="gone", lease_expires_at=before),
        "no lease": run_row(ada, flow_id, lease_owner=None, lease_expires_at=None),
        "known dead": run_row(ada, flow_id, lease_owner="dead", lease_expires_at=after),
        "alive": run_row(ada, flow_id, lease_owner="other", lease_expires_at=after),
        "mine": run_row(ada, flow_id, lease_owner="me", lease_expires_at=after),
        "queued": run_row(ada, flow_id, state="queued"),
        "waiting": run_row(ada, flow_id, state="waiting", lease_owner="gone"),
        "completed": run_row(ada, flow_id, state="completed", lease_owner="gone", lease_expires_at=before),
    }
    await add_rows(database, *rows.values())
    async with database.reading() as session:
        leases = QueueLeases(session)
        assert set(await leases.list_lease_owners()) == {"gone", "dead", "other", "me"}
        found = await leases.list_left_behind(now=MOMENT, dead_lease_owners=["dead"], limit=10)
    names = {row.id: name for name, row in rows.items()}
    assert {names[row.id] for row in found} == {"lease over", "no lease", "known dead"}


async def test_one_run_is_taken_only_while_it_is_queued(database: Database, ada: Caller, flow_id: str) -> None:
    queued, ended = run_row(ada, flow_id, state="queued", started_at=None), run_row(ada, flow_id, state="cancelled")
    await add_rows(database, queued, ended)

    async def take_one(run_id: str) -> bool:
        async with database.transaction() as session:
            values = {"lease_owner": "me", "lease_expires_at": LATER, "now": MOMENT}
            return await QueueLeases(session).take_one(run_id, **values) is not None  # type: ignore[arg-type]

    assert sorted(await asyncio.gather(*(take_one(queued.id) for _ in range(3)))) == [False, False, True]
    assert not await take_one(ended.id)
    taken = await read(database, queued)
    assert (taken.state, taken.lease_owner, taken.started_at) == ("running", "me", MOMENT)


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({"state": "queued"}, Glance(True, False, False)),
        ({"state": "queued", "available_at": LATER}, Glance(False, False, False)),
        ({"state": "queued", "available_at": MOMENT}, Glance(True, False, False)),
        ({"lease_owner": "me", "lease_expires_at": LATER}, Glance(False, False, False)),
        ({"lease_owner": "me", "lease_expires_at": LATER, "is_cancel_requested": True}, Glance(False, True, False)),
        ({"lease_owner": "me", "lease_expires_at": MOMENT}, Glance(False, False, True)),
        ({"lease_owner": "other", "lease_expires_at": LATER, "is_cancel_requested": True}, Glance(False, False, True)),
        ({"lease_owner": None, "lease_expires_at": None}, Glance(False, False, True)),
        ({"state": "completed", "lease_owner": "other"}, Glance(False, False, False)),
    ],
)
async def test_a_glance_says_what_there_is_to_do(sqlite_settings: DatabaseSettings, values: dict[str, Any], seen: Glance) -> None:
    async with Database(sqlite_settings) as database:
        with closing(QueueGlances(sqlite_settings)) as glances:
            assert glances.look(lease_owner="me", now=MOMENT) == Glance(False, False, False)
            ada = await add_owner(database, "ada")
            await add_rows(database, run_row(ada, await add_flow(database, ada), **values))
            assert glances.look(lease_owner="me", now=MOMENT) == seen


async def test_what_is_left_behind_is_put_back_or_ended_by_one_process(database: Database, ada: Caller, flow_id: str) -> None:
    back, over = (run_row(ada, flow_id, lease_owner="gone", lease_expires_at=MOMENT, request="sealed") for _ in range(2))
    await add_rows(database, back, over)

    async def put_back() -> bool:
        async with database.transaction() as session:
            return await QueueLeases(session).put_back(back, checkpoint="{}", available_at=None)

    async def end() -> bool:
        async with database.transaction() as session:
            return await QueueLeases(session).end(over, state="interrupted", error='{"code": "x"}', finished_at=LATER)

    assert sorted(await asyncio.gather(put_back(), put_back())) == [False, True]
    assert sorted(await asyncio.gather(end(), end())) == [False, True]
    queued, ended = await read(database, back), await read(database, over)
    assert (queued.state, queued.attempt, queued.lease_owner, queued.checkpoint, queued.request) == ("queued", 2, None, "{}", "sealed")
    assert (ended.state, ended.finished_at, ended.error, ended.request) == ("interrupted", LATER, '{"code": "x"}', None)
