"""Looking back: messages, what each vertex produced, and what went in and out of it."""

from typing import Any, Literal
from urllib.parse import unquote
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from projects.access.caller import Caller
from projects.messages import MessageChanges, StoredMessage
from projects.monitoring import VertexBuild, VertexTransaction
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Ids, Instant, Page, Paging, Wire, instant_text, page_of
from rest_adapter.v1.run_shapes import content_groups, message_properties, moment_text, type_word

_TAG = "Monitor"
_MAX_SESSIONS = 500
_ORDERS = ("timestamp", "sender", "sender_name", "session_id", "text")


class MessageRead(Wire):
    id: UUID
    flow_id: UUID | None
    timestamp: str
    sender: str
    sender_name: str
    session_id: str
    context_id: str
    text: str
    files: str = Field(description="A JSON list as text.")
    edit: bool
    duration: float | None
    properties: dict[str, Any]
    category: str
    content_blocks: list[dict[str, Any]]
    session_metadata: dict[str, Any] | None


class MessageUpdate(Wire):
    """What is left out or null stays."""

    text: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    session_id: str | None = None
    context_id: str | None = None
    edit: bool | None = None
    error: bool | None = None
    category: Literal["message", "error", "warning", "info"] | None = None
    content_blocks: list[dict[str, Any]] | None = Field(default=None, max_length=10_000)


class ChangedMessageRead(Wire):
    """A message as a change answers it: unlike in lists, `files` is a list."""

    timestamp: str
    sender: str
    sender_name: str
    session_id: str
    context_id: str
    text: str
    files: list[Any]
    error: bool
    edit: bool
    properties: dict[str, Any]
    category: str
    content_blocks: list[dict[str, Any]]
    session_metadata: dict[str, Any] | None
    id: UUID
    flow_id: UUID | None
    run_id: UUID | None


class RenameQuery(Wire):
    new_session_id: str


class SessionsDeleted(Wire):
    message: str
    deleted_count: int


class MessagesQuery(Wire):
    """The newest `limit` messages that fit, shown in the order asked for."""

    flow_id: UUID | None = None
    session_id: str | None = None
    sender: str | None = None
    sender_name: str | None = None
    order_by: str = "timestamp"
    order: str = "ASC"
    limit: int | None = Field(default=None, ge=1)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)


class SessionsQuery(Wire):
    flow_id: UUID | None = None
    limit: int | None = Field(default=None, ge=1)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)


class FlowQuery(Wire):
    flow_id: UUID


class FlowPageQuery(Paging):
    flow_id: UUID


class BuildRead(Wire):
    timestamp: Instant
    artifacts: Any
    params: str | None
    id: str
    flow_id: UUID
    build_id: UUID
    data: Any
    valid: bool
    job_id: UUID | None


class BuildsRead(Wire):
    vertex_builds: dict[str, list[BuildRead]]


class TransactionRead(Wire):
    id: UUID
    timestamp: Instant
    vertex_id: str
    target_id: str | None
    inputs: Any
    outputs: Any
    status: Literal["success", "error"]


def message_read(stored: StoredMessage) -> dict[str, Any]:
    message = stored.message
    source = message.source
    return {
        "id": stored.id,
        "flow_id": message.flow_id,
        "timestamp": moment_text(message.timestamp),
        "sender": message.sender,
        "sender_name": message.sender_name,
        "session_id": message.session_id,
        "context_id": message.context_id,
        "text": message.text,
        "files": to_json(message.files).decode(),
        "edit": message.edit,
        "duration": message.duration,
        "properties": message_properties(source.id, source.display_name, source.source, message.state, message.usage),
        "category": message.category,
        "content_blocks": content_groups(message.content_blocks),
        "session_metadata": None if message.run_id is None else {"graph_run_id": message.run_id},
    }


@endpoint("GET", "/api/v1/monitor/messages", Answer(200, list[MessageRead]), Answer(400, Detail, "An unknown order."), tag=_TAG)
async def list_messages(query: MessagesQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's messages, filtered and in order."""
    if query.order_by not in _ORDERS or query.order.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"order_by is one of {', '.join(_ORDERS)}; order is ASC or DESC.")
    messages = await services.messages.list_messages(
        caller,
        flow_id=None if query.flow_id is None else str(query.flow_id),
        session_id=None if query.session_id is None else unquote(query.session_id),  # clients encode it once more
        sender=query.sender,
        sender_name=query.sender_name,
        order_by=query.order_by,
        descending=query.order.upper() == "DESC",
        limit=query.limit,
        offset=query.offset,
    )
    return [message_read(stored) for stored in messages]


@endpoint("GET", "/api/v1/monitor/messages/sessions", Answer(200, list[str]), tag=_TAG)
async def list_sessions(query: SessionsQuery, caller: Caller, services: ProjectServices) -> list[str]:
    """Session ids, the one spoken in last first."""
    flow_id = None if query.flow_id is None else str(query.flow_id)
    return await services.messages.list_sessions(caller, flow_id=flow_id, limit=query.limit, offset=query.offset)


@endpoint("PUT", "/api/v1/monitor/messages/{message_id}", Answer(200, ChangedMessageRead), Answer(404, Detail), tag=_TAG)
async def update_message(message_id: UUID, body: MessageUpdate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Correct a message; another text marks it as edited."""
    changes = MessageChanges(
        text=body.text,
        sender=body.sender,
        sender_name=body.sender_name,
        session_id=body.session_id,
        context_id=body.context_id,
        category=body.category,
        is_error=body.error,
        is_edited=body.edit,
        content_blocks=body.content_blocks,
    )
    stored = await services.messages.update_message(caller, str(message_id), changes)
    read, message = message_read(stored), stored.message
    shown = {**read, "files": message.files, "error": message.error, "run_id": message.run_id}
    return {name: shown[name] for name in ChangedMessageRead.model_fields}


@endpoint(
    "PATCH",
    "/api/v1/monitor/messages/session/{session_id}",
    Answer(200, list[MessageRead]),
    Answer(404, Detail, "No message of the caller's in this session."),
    tag=_TAG,
)
async def rename_session(session_id: str, query: RenameQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """Give a session another id; answers its newest messages."""
    moved = await services.messages.rename_session(caller, session_id, query.new_session_id)
    return [message_read(stored) for stored in moved]


@endpoint(
    "DELETE",
    "/api/v1/monitor/messages/sessions",
    Answer(200, SessionsDeleted),
    Answer(400, Detail, "Too many sessions at once."),
    tag=_TAG,
)
async def delete_sessions(body: list[str], caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Forget the messages of several sessions; those that are not the caller's are passed over."""
    if len(body) > _MAX_SESSIONS:
        raise BadRequest(f"At most {_MAX_SESSIONS} sessions are deleted at once; these are {len(body)}.")
    count = await services.messages.delete_sessions(caller, body)
    return {
        "message": f"Messages deleted successfully for {len(body)} session{'' if len(body) == 1 else 's'}",
        "deleted_count": count,
    }


@endpoint("DELETE", "/api/v1/monitor/messages", Answer(204), tag=_TAG)
async def delete_messages(body: Ids, caller: Caller, services: ProjectServices) -> None:
    """Forget messages; ids that are not the caller's are passed over."""
    await services.messages.delete_messages(caller, [str(id) for id in body])


@endpoint("DELETE", "/api/v1/monitor/messages/session/{session_id}", Answer(204), tag=_TAG)
async def delete_session(session_id: str, caller: Caller, services: ProjectServices) -> None:
    """Forget the messages of one session."""
    await services.messages.delete_session(caller, session_id)


@endpoint("GET", "/api/v1/monitor/builds", Answer(200, BuildsRead), tag=_TAG)
async def list_builds(query: FlowQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The newest build of each vertex of a flow."""
    builds = await services.monitoring.list_builds(caller, str(query.flow_id))
    return {"vertex_builds": {build.vertex_id: [_build_read(build)] for build in builds}}


@endpoint("DELETE", "/api/v1/monitor/builds", Answer(204), tag=_TAG)
async def delete_builds(query: FlowQuery, caller: Caller, services: ProjectServices) -> None:
    """Forget the builds of a flow."""
    await services.monitoring.delete_builds(caller, str(query.flow_id))


@endpoint("GET", "/api/v1/monitor/transactions", Answer(200, Page[TransactionRead]), tag=_TAG)
async def list_transactions(query: FlowPageQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """What went into each vertex of a flow and came out, newest first."""
    found, total = await services.monitoring.list_transactions(caller, str(query.flow_id), page=query.page, size=query.size)
    return page_of([_transaction_read(transaction) for transaction in found], total, query)


def _build_read(build: VertexBuild) -> dict[str, Any]:
    outputs = {name: {"message": value, "type": type_word(value)} for name, value in build.data.get("outputs", {}).items()}
    return {
        "timestamp": instant_text(build.created_at),
        "artifacts": build.artifacts,
        "params": build.params,
        "id": build.vertex_id,
        "flow_id": build.flow_id,
        "build_id": build.id,
        "data": {
            "results": {},
            "outputs": outputs,
            "logs": {name: [] for name in outputs} | ({"": build.data["logs"]} if build.data.get("logs") else {}),
            "message": build.artifacts,
            "artifacts": build.artifacts,
            "timedelta": build.duration_seconds,
            "duration": f"{build.duration_seconds * 1_000:.0f} ms",
            "used_frozen_result": False,
            "token_usage": None,
        },
        "valid": build.is_valid,
        "job_id": build.run_id,
    }


def _transaction_read(transaction: VertexTransaction) -> dict[str, Any]:
    return {
        "id": transaction.id,
        "timestamp": instant_text(transaction.created_at),
        "vertex_id": transaction.vertex_id,
        "target_id": transaction.target_id,
        "inputs": transaction.inputs,
        "outputs": {name: {"message": value, "type": type_word(value)} for name, value in transaction.outputs.items()},
        "status": transaction.status,
    }


ENDPOINTS = (
    list_messages,
    delete_messages,
    list_sessions,
    delete_sessions,
    rename_session,
    delete_session,
    update_message,
    list_builds,
    delete_builds,
    list_transactions,
)
