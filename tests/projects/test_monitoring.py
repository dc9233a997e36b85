from datetime import timedelta
from uuid import uuid4

import pytest

from projects.access.caller import Caller
from projects.errors import InvalidInput, NotFound
from projects.monitoring import MonitoringService
from storage.database import Database
from tests.owners import MOMENT, add_flow, add_owner, add_rows, build_row, run_row, transaction_row


@pytest.fixture
async def ada(database: Database) -> Caller:
    return await add_owner(database, "ada")


@pytest.fixture
async def bob(database: Database) -> Caller:
    return await add_owner(database, "bob")


@pytest.fixture
async def flow_id(database: Database, ada: Caller) -> str:
    return await add_flow(database, ada)


@pytest.fixture
def service(database: Database) -> MonitoringService:
    return MonitoringService(database)


async def test_a_run_is_read_with_its_result_by_its_owner_only(
    service: MonitoringService, database: Database, ada: Caller, bob: Caller, flow_id: str
) -> None:
    row = run_row(ada, flow_id, state="failed", error='{"code": "x"}', warnings='["w"]', finished_at=MOMENT)
    await add_rows(database, row)
    run = await service.get_run(ada, row.id)
    assert (run.state, run.error, run.result, run.warnings, run.finished_at) == ("failed", {"code": "x"}, None, ["w"], MOMENT)
    for run_id in (row.id, str(uuid4()), "no id", "\x00"):
        with pytest.raises(NotFound) as refusal:
            await service.get_run(bob, run_id)
        assert (refusal.value.kind, refusal.value.identifier) == ("run", run_id)
    assert await service.list_runs(bob) == await service.list_runs(bob, flow_id=flow_id) == ([], 0)


async def test_runs_are_listed_newest_first_and_filtered(service: MonitoringService, database: Database, ada: Caller, flow_id: str) -> None:
    rows = [
        run_row(ada, flow_id, session_id=f"s{number}", state=state, created_at=MOMENT + timedelta(seconds=number))
        for number, state in enumerate(("completed", "running", "failed"))
    ]
    await add_rows(database, *rows)
    runs, total = await service.list_runs(ada, size=2)
    assert ([run.session_id for run in runs], total) == (["s2", "s1"], 3)
    assert [run.session_id for run in (await service.list_runs(ada, size=2, page=2))[0]] == ["s0"]
    assert [run.session_id for run in (await service.list_runs(ada, states=["failed", "completed"]))[0]] == ["s2", "s0"]
    assert [run.session_id for run in (await service.list_runs(ada, session_id="s1", flow_id=flow_id))[0]] == ["s1"]
    assert await service.list_runs(ada, project_id="no id") == await service.list_runs(ada, session_id="\x00") == ([], 0)
    for page, size in ((0, 50), (1, 0), (1, 101)):
        with pytest.raises(InvalidInput):
            await service.list_runs(ada, page=page, size=size)


async def test_the_newest_build_of_each_vertex_is_listed(
    service: MonitoringService, database: Database, ada: Caller, bob: Caller, flow_id: str
) -> None:
    await add_rows(
        database,
        build_row(ada, flow_id, "A", params="old"),
        build_row(ada, flow_id, "B", params="b", created_at=MOMENT + timedelta(seconds=1)),
        build_row(ada, flow_id, "A", params="new", created_at=MOMENT + timedelta(seconds=2)),
        build_row(ada, await add_flow(database, ada, "Another"), "A", params="other flow"),
    )
    builds = await service.list_builds(ada, flow_id)
    assert [(build.vertex_id, build.params, build.data) for build in builds] == [("B", "b", {"outputs": {}}), ("A", "new", {"outputs": {}})]
    assert await service.list_builds(bob, flow_id) == await service.list_builds(ada, "no id") == []
    assert await service.delete_builds(bob, flow_id) == 0
    assert await service.delete_builds(ada, flow_id) == 3
    assert await service.list_builds(ada, flow_id) == []


async def test_transactions_come_in_pages_newest_first(
    service: MonitoringService, database: Database, ada: Caller, bob: Caller, flow_id: str
) -> None:
    rows = [transaction_row(ada, flow_id, f"V{number}", created_at=MOMENT + timedelta(seconds=number)) for number in range(3)]
    await add_rows(database, *rows)
    first, total = await service.list_transactions(ada, flow_id, size=2)
    second, _ = await service.list_transactions(ada, flow_id, size=2, page=2)
    assert ([entry.vertex_id for entry in first], [entry.vertex_id for entry in second], total) == (["V2", "V1"], ["V0"], 3)
    assert (first[0].inputs, first[0].outputs, first[0].status) == ({"input_value": "hello"}, {"message": "hello"}, "success")
    assert await service.list_transactions(bob, flow_id) == await service.list_transactions(ada, "\x00") == ([], 0)
