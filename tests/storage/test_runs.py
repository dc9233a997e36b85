import asyncio
from datetime import timedelta

import pytest

from projects.access.caller import Caller
from storage.database import Database
from storage.runs import FINAL_STATES, RunRepository
from tests.owners import MOMENT, add_flow, add_owner, add_rows, run_row

LATER = MOMENT + timedelta(minutes=5)


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def flow_id(database: Database, ada: Caller) -> str:
    return await add_flow(database, ada)


async def state_of(database: Database, owner: Caller, run_id: str) -> str:
    async with database.reading() as session:
        row = await RunRepository(session).find(run_id, owner_id=owner.user_id)
    assert row is not None
    return row.state


async def test_a_run_is_settled_once(database: Database, ada: Caller, flow_id: str) -> None:
    row = run_row(ada, flow_id, lease_owner="me", lease_expires_at=LATER)
    await add_rows(database, row)

    async def settle(state: str) -> bool:
        async with database.transaction() as session:
            return await RunRepository(session).settle(row.id, owner_id=ada.user_id, state=state, finished_at=LATER, error='{"code": "x"}')

    assert sorted(await asyncio.gather(*(settle(state) for state in ("completed", "failed", "cancelled")))) == [False, False, True]
    async with database.reading() as session:
        settled = await RunRepository(session).find(row.id, owner_id=ada.user_id)
    assert settled is not None
    assert (settled.finished_at, settled.error, settled.lease_expires_at, settled.lease_owner) == (LATER, '{"code": "x"}', None, "me")


@pytest.mark.parametrize("final", sorted(FINAL_STATES))
async def test_a_final_state_never_changes(database: Database, ada: Caller, flow_id: str, final: str) -> None:
    row = run_row(ada, flow_id, state=final)
    await add_rows(database, row)
    async with database.transaction() as session:
        runs = RunRepository(session)
        assert not await runs.settle(row.id, owner_id=ada.user_id, state="running")
        assert not await runs.settle(row.id, owner_id=ada.user_id, state="running", only_from=[final])
        assert await runs.interrupt_left_behind(lease_owner="me", now=LATER, error="{}", is_only_process=True) == []
    assert await state_of(database, ada, row.id) == final


async def test_a_foreign_run_is_not_found_and_not_settled(database: Database, ada: Caller, flow_id: str) -> None:
    bob = await add_owner(database, "bob")
    row = run_row(ada, flow_id, idempotency_key="once")
    await add_rows(database, row)
    async with database.transaction() as session:
        runs = RunRepository(session)
        assert await runs.find(row.id, owner_id=bob.user_id) is None
        assert not await runs.settle(row.id, owner_id=bob.user_id, state="cancelled")
        assert await runs.find_by_idempotency_key("once", owner_id=bob.user_id, principal=ada.principal) is None
        assert await runs.find_by_idempotency_key("once", owner_id=ada.user_id, principal=bob.principal) is None
        found = await runs.find_by_idempotency_key("once", owner_id=ada.user_id, principal=ada.principal)
        assert found is not None and found.id == row.id
        assert await runs.list_owned(owner_id=bob.user_id, limit=10) == ([], 0)


async def test_what_a_dead_process_left_behind_is_interrupted_and_nothing_else(database: Database, ada: Caller, flow_id: str) -> None:
    before, after = MOMENT - timedelta(seconds=1), MOMENT + timedelta(seconds=1)
    rows = {
        "lease over": run_row(ada, flow_id, lease_owner="gone", lease_expires_at=before),
        "no lease": run_row(ada, flow_id, lease_owner="gone", lease_expires_at=None),
        "no owner": run_row(ada, flow_id, lease_owner=None, lease_expires_at=None),
        "known dead": run_row(ada, flow_id, lease_owner="dead", lease_expires_at=after),
        "queued": run_row(ada, flow_id, state="queued", kind="webhook", lease_owner="gone", lease_expires_at=before),
        "queued for a worker": run_row(ada, flow_id, state="queued", kind="background", lease_owner="gone", lease_expires_at=before),
        "alive": run_row(ada, flow_id, lease_owner="other", lease_expires_at=after),
        "mine": run_row(ada, flow_id, lease_owner="me", lease_expires_at=before),
        "waiting": run_row(ada, flow_id, state="waiting", lease_owner="gone", lease_expires_at=None),
        "completed": run_row(ada, flow_id, state="completed", lease_owner="gone", lease_expires_at=before),
    }
    await add_rows(database, *rows.values())
    async with database.reading() as session:
        assert set(await RunRepository(session).list_lease_owners()) == {"gone", "dead", "other", "me"}
    async with database.transaction() as session:
        ended = await RunRepository(session).interrupt_left_behind(
            lease_owner="me", now=MOMENT, error='{"code": "interrupted"}', queued_kinds=["webhook"], dead_lease_owners=["dead"]
        )
    names = {row.id: name for name, row in rows.items()}
    assert {names[run_id] for run_id in ended} == {"lease over", "no lease", "no owner", "known dead", "queued"}
    for name, row in rows.items():
        expected = "interrupted" if row.id in ended else row.state
        assert await state_of(database, ada, row.id) == expected, name
    async with database.reading() as session:
        found = await RunRepository(session).find(rows["queued"].id, owner_id=ada.user_id)
    assert found is not None
    assert (found.finished_at, found.error, found.lease_expires_at) == (MOMENT, '{"code": "interrupted"}', None)


async def test_the_only_process_interrupts_everything_that_is_not_its_own(database: Database, ada: Caller, flow_id: str) -> None:
    mine = run_row(ada, flow_id, lease_owner="me", lease_expires_at=LATER)
    other = run_row(ada, flow_id, lease_owner="before the restart", lease_expires_at=LATER)
    await add_rows(database, mine, other)
    async with database.transaction() as session:
        ended = await RunRepository(session).interrupt_left_behind(lease_owner="me", now=MOMENT, error="{}", is_only_process=True)
    assert list(ended) == [other.id]
    assert await state_of(database, ada, mine.id) == "running"


async def test_two_processes_starting_at_once_interrupt_each_run_once(database: Database, ada: Caller, flow_id: str) -> None:
    await add_rows(database, *(run_row(ada, flow_id, lease_owner="gone", lease_expires_at=MOMENT) for _ in range(5)))

    async def start(name: str) -> int:
        async with database.transaction() as session:
            return len(await RunRepository(session).interrupt_left_behind(lease_owner=name, now=LATER, error="{}"))

    assert sum(await asyncio.gather(start("a"), start("b"))) == 5
