"""Looking back: messages, what each vertex produced, and what went in and out of it."""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from projects.access.caller import Caller
from projects.engine.values import Message
from projects.messages import SHOWN_PROPERTIES, AttachmentRefused, MessageChanges, StoredMessage
from projects.monitoring import VertexBuild, VertexTransaction
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest
from rest_adapter.json_body import read_json
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.build_shapes import build_data, build_params, failed_output
from rest_adapter.v1.models import Detail, Ids, Instant, Page, Paging, Wire, instant_text, page_of
from rest_adapter.v1.run_shapes import artifact, content_groups, message_dump, message_properties, moment_text, type_word

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
    files: list[str] | str | None = Field(default=None, description="Storage paths, also as the JSON text that lists have.")
    edit: bool | None = None
    error: bool | None = None
    properties: dict[str, Any] | None = None
    session_metadata: dict[str, Any] | None = None
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
    end_user_id: str | None = Field(default=None, description="There are no end users here, so nothing is theirs.")


class SharedQuery(Wire):
    source_flow_id: UUID
    session_id: str | None = None
    limit: int | None = Field(default=None, ge=1)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)


class JobQueue(Wire):
    backend: str
    active_jobs: int


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
        "properties": {
            **message_properties(source.id, source.display_name, source.source, message.state, message.usage, icon=message.icon),
            **{name: value for name, value in stored.properties.items() if name in SHOWN_PROPERTIES and value is not None},
        },
        "category": message.category,
        "content_blocks": content_groups(message.content_blocks),
        "session_metadata": _session_metadata(stored),
    }


def _session_metadata(stored: StoredMessage) -> dict[str, Any] | None:
    run_id, kept = stored.message.run_id, stored.properties.get("session_metadata") or {}
    return {**kept, "graph_run_id": run_id} if run_id is not None else kept or None


@endpoint("GET", "/api/v1/monitor/messages", Answer(200, list[MessageRead]), Answer(400, Detail, "An unknown order."), tag=_TAG)
async def list_messages(query: MessagesQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's messages, filtered and in order."""
    if query.order_by not in _ORDERS or query.order.upper() not in ("ASC", "DESC"):
        raise BadRequest(f"order_by is one of {', '.join(_ORDERS)}; order is ASC or DESC.")
    if query.end_user_id:
        return []
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


@endpoint("GET", "/api/v1/monitor/messages/shared", Answer(200, list[MessageRead]), tag=_TAG)
async def list_shared_messages(query: SharedQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """What the caller and a public flow said to each other, oldest first, also when the flow is somebody else's."""
    session_id = None if query.session_id is None else unquote(query.session_id)
    messages, space = await services.builds.list_visit(
        caller, str(query.source_flow_id), session_id=session_id, limit=query.limit, offset=query.offset
    )
    return [{**message_read(stored), "flow_id": space} for stored in messages]


@endpoint("GET", "/api/v1/monitor/job_queue", Answer(200, JobQueue), tag=_TAG)
async def read_job_queue(caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """How many builds of this process are going on."""
    return {"backend": "memory", "active_jobs": services.builds.active_count}


@endpoint("GET", "/api/v1/monitor/messages/sessions", Answer(200, list[str]), tag=_TAG)
async def list_sessions(query: SessionsQuery, caller: Caller, services: ProjectServices) -> list[str]:
    """Session ids, the one spoken in last first."""
    flow_id = None if query.flow_id is None else str(query.flow_id)
    return await services.messages.list_sessions(caller, flow_id=flow_id, limit=query.limit, offset=query.offset)


def _files(given: list[str] | str | None) -> list[str] | None:
    if not isinstance(given, str):
        return given
    read = read_json(given.encode()) if given else []
    if not isinstance(read, list) or not all(isinstance(path, str) for path in read):
        raise BadRequest("files is a list of storage paths.")
    return read


@endpoint(
    "PUT",
    "/api/v1/monitor/messages/{message_id}",
    Answer(200, ChangedMessageRead),
    Answer(400, Detail, "A file that is not the flow's."),
    Answer(404, Detail),
    tag=_TAG,
    statuses={AttachmentRefused: 400},
)
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
        files=_files(body.files),
        properties=body.properties,
        session_metadata=body.session_metadata,
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
    said = await services.messages.list_of_runs(caller, {build.run_id for build in builds})
    messages = {(message.run_id, message.sender, message.text): message for message in said}
    return {"vertex_builds": {build.vertex_id: [_build_read(build, messages)] for build in builds}}


@endpoint("DELETE", "/api/v1/monitor/builds", Answer(204), tag=_TAG)
async def delete_builds(query: FlowQuery, caller: Caller, services: ProjectServices) -> None:
    """Forget the builds of a flow."""
    await services.monitoring.delete_builds(caller, str(query.flow_id))


@endpoint("GET", "/api/v1/monitor/transactions", Answer(200, Page[TransactionRead]), tag=_TAG)
async def list_transactions(query: FlowPageQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """What went into each vertex of a flow and came out, newest first."""
    found, total = await services.monitoring.list_transactions(caller, str(query.flow_id), page=query.page, size=query.size)
    return page_of([_transaction_read(transaction) for transaction in found], total, query)


def _build_read(build: VertexBuild, messages: Mapping[tuple[str | None, str, str], Message]) -> dict[str, Any]:
    """As the build told it, except that results of other than chat components are under `outputs` only.

    `messages` are what the runs have stored, by run, sender and text.
    """
    values = build.data.get("outputs", {})
    outputs = {name: {"message": value, "type": type_word(value)} for name, value in values.items()}
    if not build.is_valid:
        outputs[build.data.get("failed_output", "error")] = failed_output(build.params or "")
    artifacts = build.artifacts or {name: artifact(value) for name, value in values.items()}
    logs: dict[str, list[Any]] = {name: [] for name in outputs}
    if build.data.get("logs"):
        logs.setdefault(next(iter(logs), ""), []).extend(build.data["logs"])
    results: dict[str, Any] = {}
    if "sender" in artifacts and isinstance(text := values.get("message"), str):
        message = messages.get((build.run_id, artifacts["sender"] or "", text))
        results = {} if message is None else {"message": message_dump(message, flow_id=build.flow_id)}
    return {
        "timestamp": instant_text(build.created_at),
        "artifacts": artifacts,
        "params": build.params or build_params(artifacts),
        "id": build.vertex_id,
        "flow_id": build.flow_id,
        "build_id": build.id,
        "data": build_data(results, outputs, logs, artifacts, seconds=build.duration_seconds),
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
    list_shared_messages,
    list_sessions,
    delete_sessions,
    rename_session,
    delete_session,
    update_message,
    list_builds,
    delete_builds,
    list_transactions,
    read_job_queue,
)
