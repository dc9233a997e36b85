import pytest
from sqlalchemy.exc import InvalidRequestError

from storage.database import Conflict, Database, MissingReference
from storage.flows import FlowRepository
from storage.messages import MessageRepository
from storage.runs import RunRepository
from storage.tables import FlowRow
from storage.transactions import TransactionRepository
from storage.vertex_builds import VertexBuildRepository
from tests.owners import MOMENT, add_flow, add_owner, add_rows, build_row, message_row, run_row, transaction_row


async def test_a_document_that_was_not_asked_for_is_not_loaded(database: Database) -> None:
    ada = await add_owner(database, "ada")
    flow_id = await add_flow(database, ada, document='{"nodes": [], "edges": []}')
    async with database.reading() as session:
        (row,) = await FlowRepository(session).list_owned(owner_id=ada.user_id, with_documents=False)
        assert "document" not in row.__dict__
        with pytest.raises(InvalidRequestError):
            _ = row.document
    async with database.reading() as session:
        flow = await FlowRepository(session).find(flow_id, owner_id=ada.user_id)
        assert flow is not None and flow.document == '{"nodes": [], "edges": []}'


async def test_a_broken_constraint_is_named_the_same_on_both_databases(database: Database) -> None:
    ada = await add_owner(database, "ada")
    project_id = (await _row(database, await add_flow(database, ada, "one", endpoint_name="ep"), ada.user_id)).project_id
    for values, constraint in (
        ({"name": "one"}, "uq_flows_owner_id_name"),
        ({"name": "two", "endpoint_name": "ep"}, "uq_flows_owner_id_endpoint_name"),
    ):
        with pytest.raises(Conflict) as conflict:
            await add_flow(database, ada, project_id=project_id, **values)
        assert conflict.value.constraint == constraint
    with pytest.raises(MissingReference):
        await add_flow(database, ada, "three", project_id="00000000-0000-7000-8000-000000000000")


async def test_a_deleted_flow_takes_everything_of_its_runs_with_it(database: Database) -> None:
    ada = await add_owner(database, "ada")
    flow_id = await add_flow(database, ada)
    run = run_row(ada, flow_id)
    await add_rows(database, run, message_row(ada, flow_id, "x"), build_row(ada, flow_id, "A"), transaction_row(ada, flow_id, "A"))
    async with database.transaction() as session:
        assert await FlowRepository(session).delete_many([flow_id], owner_id="somebody else") == []
        assert await FlowRepository(session).delete_many([flow_id], owner_id=ada.user_id) == [flow_id]
    async with database.reading() as session:
        assert await RunRepository(session).list_owned(owner_id=ada.user_id, limit=10) == ([], 0)
        assert await MessageRepository(session).list_newest(owner_id=ada.user_id, limit=10) == []
        assert await VertexBuildRepository(session).list_newest_of_each_vertex(flow_id, owner_id=ada.user_id) == []
        assert await TransactionRepository(session).page(flow_id, owner_id=ada.user_id, limit=10, offset=0) == ([], 0)
        assert await FlowRepository(session).find_owner(flow_id) is None


async def _row(database: Database, flow_id: str, owner_id: str) -> FlowRow:
    async with database.reading() as session:
        row = await FlowRepository(session).find(flow_id, owner_id=owner_id)
    assert row is not None and row.created_at == MOMENT
    return row
