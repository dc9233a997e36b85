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
