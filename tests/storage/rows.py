"""Rows for tests of storage: the least that a table accepts."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from storage.ids import new_id
from storage.run_writer import RunBatch
from storage.tables import ApiKeyRow, FlowRow, MessageRow, ProjectRow, RunRow, TransactionRow, UserRow, VertexBuildRow

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


def a_user(username: str = "ada", **values: Any) -> UserRow:
    given = {"id": new_id(), "username": username, "username_key": username, "password_hash": "x", "is_active": True} | values
    return UserRow(created_at=NOW, updated_at=NOW, **given)


async def add_flow(session: AsyncSession) -> tuple[str, str]:
    """A user with a project with a flow; the ids of user and flow."""
    user = a_user(f"user {new_id()}")
    session.add(user)
    await session.flush()
    project = ProjectRow(id=new_id(), owner_id=user.id, name="project", created_at=NOW, updated_at=NOW)
    session.add(project)
    await session.flush()
    flow = FlowRow(id=new_id(), owner_id=user.id, project_id=project.id, name="flow", created_at=NOW, updated_at=NOW)
    session.add(flow)
    await session.flush()
    return user.id, flow.id


def a_key(user_id: str, **values: Any) -> ApiKeyRow:
    return ApiKeyRow(**({"id": new_id(), "user_id": user_id, "key_hash": new_id(), "prefix": "sk-12345", "created_at": NOW} | values))


def a_run(owner_id: str, flow_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "owner_id": owner_id,
        "principal": "api_key:1",
        "kind": "tool",
        "flow_id": flow_id,
        "flow_version": 1,
        "session_id": "session",
        "state": "completed",
        "created_at": NOW,
        "started_at": None,
    } | values


def a_message(owner_id: str, flow_id: str, run_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "owner_id": owner_id,
        "flow_id": flow_id,
        "run_id": run_id,
        "session_id": "session",
        "sender": "User",
        "sender_name": "User",
        "text": "hello",
        "files": "[]",
        "properties": "{}",
        "category": "message",
        "content_blocks": "[]",
        "created_at": NOW,
    } | values


def a_whole_run(owner_id: str, flow_id: str, **run: Any) -> RunBatch:
    """What a call of a flow with two vertices leaves behind: seven rows."""
    values = a_run(owner_id, flow_id, **run)
    record = {"owner_id": owner_id, "flow_id": flow_id, "run_id": values["id"], "vertex_id": "ChatInput-1", "created_at": NOW}
    build = record | {"is_valid": True, "data": "{}", "artifacts": "{}", "duration_seconds": 0.25}
    transaction = record | {"inputs": "{}", "outputs": "{}", "status": "success"}
    return RunBatch(
        inserts=[
            (RunRow, values),
            *((MessageRow, a_message(owner_id, flow_id, values["id"])) for _ in range(2)),
            *((VertexBuildRow, build | {"id": new_id()}) for _ in range(2)),
            *((TransactionRow, transaction | {"id": new_id()}) for _ in range(2)),
        ]
    )
