"""Users and what they own, put straight into the database, for tests below the use cases that make them."""

from datetime import UTC, datetime
from typing import Any

from projects.access.caller import Caller, Credential
from storage.database import Database
from storage.ids import new_id
from storage.tables import Base, FlowRow, MessageRow, ProjectRow, RunRow, TransactionRow, UserRow, VertexBuildRow

MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


async def add_owner(database: Database, username: str) -> Caller:
    user_id = new_id()
    await add_rows(
        database,
        UserRow(
            id=user_id,
            username=username,
            username_key=username.casefold(),
            password_hash="-",
            is_active=True,
            created_at=MOMENT,
            updated_at=MOMENT,
        ),
    )
    return Caller(user_id, username, False, Credential.LOCAL)


async def add_rows(database: Database, *rows: Base) -> None:
    async with database.transaction() as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def add_project(database: Database, owner: Caller, name: str = "A project") -> str:
    project_id = new_id()
    await add_rows(database, ProjectRow(id=project_id, owner_id=owner.user_id, name=name, created_at=MOMENT, updated_at=MOMENT))
    return project_id


async def add_flow(database: Database, owner: Caller, name: str = "A flow", *, project_id: str | None = None, **values: Any) -> str:
    flow_id = new_id()
    project_id = project_id or await add_project(database, owner, f"The project of {name}")
    row = FlowRow(id=flow_id, owner_id=owner.user_id, project_id=project_id, name=name, created_at=MOMENT, updated_at=MOMENT, **values)
    await add_rows(database, row)
    return flow_id


def run_row(owner: Caller, flow_id: str, **values: Any) -> RunRow:
    given = {
        "id": new_id(),
        "owner_id": owner.user_id,
        "principal": owner.principal,
        "kind": "call",
        "flow_id": flow_id,
        "flow_version": 1,
        "session_id": flow_id,
        "state": "running",
        "created_at": MOMENT,
        "started_at": MOMENT,
    }
    return RunRow(**given | values)


def message_row(owner: Caller, flow_id: str, text: str, **values: Any) -> MessageRow:
    given = {
        "id": new_id(),
        "owner_id": owner.user_id,
        "flow_id": flow_id,
        "session_id": "a session",
        "context_id": "",
        "sender": "User",
        "sender_name": "Ada",
        "text": text,
        "files": "[]",
        "properties": '{"source": {"id": null, "display_name": null, "source": null}, "state": "complete", "usage": null}',
        "category": "message",
        "content_blocks": "[]",
        "created_at": MOMENT,
    }
    return MessageRow(**given | values)


def build_row(owner: Caller, flow_id: str, vertex_id: str, **values: Any) -> VertexBuildRow:
    given = {
        "id": new_id(),
        "owner_id": owner.user_id,
        "flow_id": flow_id,
        "run_id": new_id(),
        "vertex_id": vertex_id,
        "is_valid": True,
        "data": '{"outputs": {}}',
        "artifacts": "{}",
        "duration_seconds": 0.25,
        "created_at": MOMENT,
    }
    return VertexBuildRow(**given | values)


def transaction_row(owner: Caller, flow_id: str, vertex_id: str, **values: Any) -> TransactionRow:
    given = {
        "id": new_id(),
        "owner_id": owner.user_id,
        "flow_id": flow_id,
        "run_id": new_id(),
        "vertex_id": vertex_id,
        "inputs": '{"input_value": "hello"}',
        "outputs": '{"message": "hello"}',
        "status": "success",
        "created_at": MOMENT,
    }
    return TransactionRow(**given | values)
