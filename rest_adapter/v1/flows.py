"""Flows: create, list, read, change, delete, upload, download, and the report on what an import kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response

from projects import starter_flows
from projects.access.caller import Caller
from projects.errors import AlreadyExists, NotFound
from projects.flows.export_file import write_export
from projects.flows.flow import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    UNSET,
    Access,
    Flow,
    FlowChanges,
    FlowDraft,
    FlowSummary,
    FlowType,
    draft_values,
)
from projects.flows.library import MAX_UPLOADED_FLOWS
from projects.flows.secret_values import without_secrets
from projects.kept_text import refused
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.routing import Answer, Header, OwnerRule, endpoint
from rest_adapter.stored_json import stored_json, write_json
from rest_adapter.v1.flow_files import archive_answer, read_uploaded_flows
from rest_adapter.v1.models import Detail, Ids, Page, Paging, Said, Seconds, Wire, page_of, seconds_text
from rest_adapter.version_tokens import version_in, version_token

_IF_MATCH = Header("If-Match", "The version_token of the state that was seen; a newer one is not overwritten.")

ShortText = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
LongText = Annotated[str, Field(max_length=MAX_DESCRIPTION_LENGTH)]


class FlowCreate(Wire):
    name: ShortText
    description: LongText | None = None
    icon: ShortText | None = None
    icon_bg_color: str | None = Field(default=None, pattern=r"^#[0-9A-Za-z]{6}$")
    gradient: str | None = Field(default=None, max_length=64)
    data: dict[str, Any] | None = None
    is_component: bool | None = False
    endpoint_name: ShortText | None = None
    tags: list[str] | None = None
    locked: bool | None = False
    mcp_enabled: bool | None = False
    action_name: ShortText | None = None
    action_description: LongText | None = None
    access_type: Access = "PRIVATE"
    flow_type: FlowType = "workflow"
    id: UUID | None = None
    folder_id: UUID | None = None


class FlowUpdate(Wire):
    """What may be changed in place. A null leaves the value as it is, except that it clears `endpoint_name`."""

    name: ShortText | None = None
    description: LongText | None = None
    data: dict[str, Any] | None = None
    folder_id: UUID | None = None
    endpoint_name: ShortText | None = None
    mcp_enabled: bool | None = None
    locked: bool | None = None
    action_name: ShortText | None = None
    action_description: LongText | None = None
    access_type: Access | None = None
    flow_type: FlowType | None = None


class FlowRead(Wire):
    name: str
    description: str | None
    icon: str | None
    icon_bg_color: str | None
    gradient: str | None
    data: dict[str, Any] | None
    is_component: bool | None
    updated_at: Seconds
    webhook: bool
    endpoint_name: str | None
    tags: list[str] | None
    locked: bool
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None
    access_type: Access
    flow_type: FlowType
    a2a_enabled: bool
    a2a_card_overrides: dict[str, Any] | None
    id: UUID
    user_id: UUID | None
    folder_id: UUID | None
    workspace_id: UUID | None
    name_key: str | None
    version_token: UUID | None


class FlowHeader(Wire):
    id: UUID
    name: str
    folder_id: UUID | None
    is_component: bool | None
    endpoint_name: str | None
    description: str | None
    data: dict[str, Any] | None
    access_type: Access
    tags: list[str] | None
    mcp_enabled: bool
    flow_type: FlowType
    a2a_enabled: bool
    a2a_card_overrides: dict[str, Any] | None
    action_name: str | None
    action_description: str | None
    updated_at: Seconds


class FlowsQuery(Paging):
    remove_example_flows: bool = False
    components_only: bool = False
    get_all: bool = True
    folder_id: UUID | None = None
    flow_type: FlowType | None = None
    header_flows: bool = False


class UploadQuery(Wire):
    folder_id: UUID | None = None


class FlowBatch(Wire):
    flows: list[FlowCreate] = Field(max_length=MAX_UPLOADED_FLOWS)


class PublicAccess(Wire):
    can_read: bool
    can_execute: bool


class PublicFlowRead(FlowRead):
    public_access: PublicAccess


class FlowExport(Wire):
    """One flow as a file: no secrets, owner or dates in it; code as lists of lines."""

    name: str
    description: str | None
    icon: str | None
    icon_bg_color: str | None
    data: dict[str, Any] | None
    is_component: bool
    webhook: bool
    endpoint_name: str | None
    tags: list[str] | None
    locked: bool
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None
    flow_type: FlowType
    a2a_enabled: bool
    a2a_card_overrides: dict[str, Any] | None
    id: UUID
    workspace_id: UUID | None
    name_key: str | None


class Deleted(Wire):
    deleted: int


class ReportRead(Wire):
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    problems: list[Any]


def flow_read(flow: Flow) -> dict[str, Any]:
    """A flow in the order of keys its clients know."""
    return {
        "name": flow.name,
        "description": flow.description,
        "icon": flow.icon,
        "icon_bg_color": flow.icon_background,
        "gradient": flow.gradient,
        "data": None if flow.document is None else from_json(flow.document),
        "is_component": flow.is_component,
        "updated_at": seconds_text(flow.updated_at),
        "webhook": flow.has_webhook,
        "endpoint_name": flow.endpoint_name,
        "tags": flow.tags,
        "locked": flow.is_locked,
        "mcp_enabled": flow.is_tool,
        "action_name": flow.tool_name,
        "action_description": flow.tool_description,
        "access_type": flow.access,
        "flow_type": flow.flow_type,
        "a2a_enabled": False,
        "a2a_card_overrides": None,
        "id": flow.id,
        "user_id": flow.owner_id,
        "folder_id": flow.project_id,
        "workspace_id": None,
        "name_key": None,
        "version_token": version_token(flow.id, flow.version),
    }


def flow_listed(flow: Flow) -> dict[str, Any]:
    """The same for answers with many flows: the document is its stored text."""
    return flow_read(replace(flow, document=None)) | {"data": None if flow.document is None else stored_json(flow.document)}


def flow_header(flow: FlowSummary, document: str | None) -> dict[str, Any]:
    """The short form, without what only the whole flow needs. `document` is that of a component."""
    return {
        "id": flow.id,
        "name": flow.name,
        "folder_id": flow.project_id,
        "is_component": flow.is_component,
        "endpoint_name": flow.endpoint_name,
        "description": flow.description,
        "data": None if document is None else stored_json(document),
        "access_type": flow.access,
        "tags": None if flow.tags is None else from_json(flow.tags),
        "mcp_enabled": flow.is_tool,
        "flow_type": flow.flow_type,
        "a2a_enabled": False,
        "a2a_card_overrides": None,
        "action_name": flow.tool_name,
        "action_description": flow.tool_description,
        "updated_at": seconds_text(flow.updated_at),
    }


def _expected_version(request: Request, flow_id: UUID) -> int | None:
    """The version an `If-Match` header names; None when the caller does not care."""
    token = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    if token in ("", "*"):
        return None
    try:
        return version_in(token, str(flow_id))
    except ValueError:
        raise BadRequest("If-Match takes the flow's version_token.") from None


def _text(data: dict[str, Any] | None) -> str | None:
    return None if data is None else to_json(data).decode()


def draft_of(body: FlowCreate, *, flow_id: str | None = None) -> FlowDraft:
    return FlowDraft(
        name=body.name,
        description=body.description,
        endpoint_name=body.endpoint_name,
        document=_text(body.data),
        project_id=None if body.folder_id is None else str(body.folder_id),
        id=flow_id or (None if body.id is None else str(body.id)),
        is_component=bool(body.is_component),
        is_locked=bool(body.locked),
        is_tool=bool(body.mcp_enabled),
        tool_name=body.action_name,
        tool_description=body.action_description,
        access=body.access_type,
        flow_type=body.flow_type,
        icon=body.icon,
        icon_background=body.icon_bg_color,
        gradient=body.gradient,
        tags=body.tags,
    )


_CHANGE_NAMES = {
    "name": "name",
    "description": "description",
    "folder_id": "project_id",
    "mcp_enabled": "is_tool",
    "locked": "is_locked",
    "action_name": "tool_name",
    "action_description": "tool_description",
    "access_type": "access",
    "flow_type": "flow_type",
}


def _changes_of(body: FlowUpdate) -> FlowChanges:
    given: dict[str, Any] = {}
    for wire_name, name in _CHANGE_NAMES.items():
        if (value := getattr(body, wire_name)) is not None:
            given[name] = str(value) if isinstance(value, UUID) else value
    if body.data is not None:
        given["document"] = _text(body.data)
    if "endpoint_name" in body.model_fields_set:
        given["endpoint_name"] = body.endpoint_name or None
    return FlowChanges(**given)


def _replacement_of(body: FlowCreate) -> FlowChanges:
    """PUT: everything that a flow has, as the body says; an absent project leaves the flow where it is."""
    draft = draft_of(body)
    return FlowChanges(
        name=draft.name,
        description=draft.description,
        endpoint_name=draft.endpoint_name,
        document=draft.document,
        project_id=UNSET if draft.project_id is None else draft.project_id,
        is_component=draft.is_component,
        is_locked=draft.is_locked,
        is_tool=draft.is_tool,
        tool_name=draft.tool_name,
        tool_description=draft.tool_description,
        access=draft.access,
        flow_type=draft.flow_type,
        icon=draft.icon,
        icon_background=draft.icon_background,
        gradient=draft.gradient,
        tags=draft.tags,
    )


_TAG = "Flows"


@endpoint("POST", "/api/v1/flows/", Answer(201, FlowRead), Answer(400, Detail, "The id is taken or not usable."), tag=_TAG)
async def create_flow(body: FlowCreate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a flow. A taken name gets a number; an unknown project is answered with the default one."""
    return flow_read(await services.flows.create(caller, draft_of(body)))


@endpoint(
    "GET",
    "/api/v1/flows/",
    Answer(200, list[FlowRead] | list[FlowHeader] | Page[FlowRead]),
    Answer(404, Detail, "A page was asked for, of an unknown project."),
    tag=_TAG,
)
async def list_flows(query: FlowsQuery, caller: Caller, services: ProjectServices) -> Any:
    """All flows of the caller; with `get_all=false` one page of one project's."""
    components = True if query.components_only else None
    if not query.get_all:
        project_id = None if query.folder_id is None else str(query.folder_id)
        flows, total = await services.flows.page_flows(
            caller, project_id=project_id, page=query.page, size=query.size, components=components, flow_type=query.flow_type
        )
        return page_of([flow_listed(flow) for flow in flows], total, query)
    if query.header_flows:
        key = (caller.user_id, components, query.flow_type)
        text = await services.flows.kept_texts.get(key, lambda: _headers_text(services, caller, components, query.flow_type))
        return Response(text, media_type="application/json")
    flows = await services.flows.list_flows(caller, components=components, flow_type=query.flow_type)
    return [flow_listed(flow) for flow in flows]


async def _headers_text(services: ProjectServices, caller: Caller, components: bool | None, flow_type: FlowType | None) -> bytes:
    flows = await services.flows.list_headers(caller, components=components, flow_type=flow_type)
    wanted = [flow.id for flow in flows if flow.is_component]
    documents = {flow.id: flow.document for flow in await services.flows.get_many(caller, wanted)} if wanted else {}
    return write_json([flow_header(flow, documents.get(flow.id)) for flow in flows])


@endpoint("DELETE", "/api/v1/flows/", Answer(200, Deleted), Answer(423, Detail, "One of them is locked; none was deleted."), tag=_TAG)
async def delete_flows(body: Ids, caller: Caller, services: ProjectServices) -> dict[str, int]:
    """Delete several flows; ids that are not the caller's are passed over."""
    return {"deleted": await services.flows.delete_many(caller, [str(id) for id in body])}


@endpoint(
    "POST",
    "/api/v1/flows/upload/",
    Answer(201, list[FlowRead]),
    Answer(400, Detail, "No file, or one that cannot be read."),
    Answer(409, Detail, "A name is taken."),
    Answer(413, Detail),
    Answer(423, Detail, "A flow in the file is locked here."),
    tag=_TAG,
    body_media_types=("multipart/form-data",),
    read_body=read_uploaded_flows,
    statuses={AlreadyExists: 409},
)
async def upload_flows(query: UploadQuery, body: list[dict[str, Any]], caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """Import a file: one flow, `{"flows": […]}`, or a ZIP of flows. A flow that is already the caller's is replaced."""
    project_id = None if query.folder_id is None else str(query.folder_id)
    return [flow_read(flow) for flow in await services.flows.upload(caller, body, project_id=project_id)]


@endpoint(
    "POST",
    "/api/v1/flows/batch/",
    Answer(201, list[FlowRead]),
    Answer(409, Detail, "A name or endpoint name is taken; none was made."),
    tag=_TAG,
    statuses={AlreadyExists: 409},
)
async def create_flows(body: FlowBatch, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """Keep several flows, all or none. Unlike with one, a taken name is refused."""
    try:
        made = await services.flows.create_many(caller, [draft_of(flow) for flow in body.flows])
    except AlreadyExists as error:
        if error.field == "id":
            raise refused("id", error.message) from None
        raise
    return [flow_read(flow) for flow in made]


@endpoint(
    "POST",
    "/api/v1/flows/download/",
    Answer(200, FlowExport),
    Answer(404, Detail, "None of them is the caller's."),
    tag=_TAG,
)
async def download_flows(body: Ids, caller: Caller, services: ProjectServices) -> Response:
    """Flows as files for others, without secrets: one as JSON, several as a ZIP. Ids that are not the caller's are passed over."""
    flows = await services.flows.get_many(caller, [str(id) for id in body])
    if not flows:
        raise NotFound("flow", ", ".join(str(id) for id in body[:3]) or "none was named")
    exports = await exported(flows, caller, services)
    return JsonResponse(exports[0]) if len(exports) == 1 else archive_answer(exports, "langflow_flows")


async def exported(flows: Sequence[Flow], caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """Each flow as its file; fields bound to the caller's own variables keep the names of these."""
    names = {variable.name for variable in await services.variables.list_variables(caller)}
    return await asyncio.to_thread(lambda: [write_export(flow, variable_names=names) for flow in flows])


@endpoint("GET", "/api/v1/flows/basic_examples/", Answer(200, list[FlowRead]), owner=OwnerRule.PUBLIC, tag=_TAG)
async def list_examples() -> Response:
    """Flows to begin with; they belong to nobody and can be copied."""
    return Response(_examples_text(), media_type="application/json")


@cache
def _examples_text() -> bytes:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    examples = []
    for draft in starter_flows.examples():
        values = draft_values(draft) | {"id": starter_flows.example_id(draft.name), "owner_id": "", "project_id": ""}
        flow = Flow(**values, version=1, has_webhook=False, created_at=moment, updated_at=moment)
        examples.append(flow_read(flow) | {"user_id": None, "folder_id": None, "version_token": None})
    return to_json(examples)


@endpoint("GET", "/api/v1/flows/public_flow/{flow_id}", Answer(200, PublicFlowRead), Answer(404, Detail), owner=OwnerRule.PUBLIC, tag=_TAG)
async def read_public_flow(flow_id: UUID, services: ProjectServices) -> dict[str, Any]:
    """A flow that its owner opened to everybody, without its secrets. A private one answers as a missing one."""
    flow = await services.flows.get_public(str(flow_id))
    read = flow_read(flow)
    if read["data"] is not None:
        read["data"] = without_secrets(read["data"])
    return {**read, "public_access": {"can_read": True, "can_execute": await services.builds.can_visit(flow)}}


@endpoint("GET", "/api/v1/flows/{flow_id}", Answer(200, FlowRead), Answer(404, Detail), tag=_TAG)
async def read_flow(flow_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """One flow with its document."""
    return flow_read(await services.flows.get(caller, str(flow_id)))


@endpoint(
    "PATCH",
    "/api/v1/flows/{flow_id}",
    Answer(200, FlowRead),
    Answer(400, Detail, "The name or endpoint name is taken, or an If-Match that is no version."),
    Answer(404, Detail),
    Answer(409, Detail, "If-Match names an older version."),
    Answer(423, Detail, "The flow is locked."),
    tag=_TAG,
    request_headers=(_IF_MATCH,),
)
async def update_flow(flow_id: UUID, body: FlowUpdate, caller: Caller, services: ProjectServices, request: Request) -> dict[str, Any]:
    """Change some of a flow. An `If-Match` header with its version_token refuses to overwrite somebody else's change."""
    changed = await services.flows.update(caller, str(flow_id), _changes_of(body), expected_version=_expected_version(request, flow_id))
    return flow_read(changed)


@endpoint(
    "PUT",
    "/api/v1/flows/{flow_id}",
    Answer(200, FlowRead),
    Answer(201, FlowRead, "It did not exist and was created with this id."),
    Answer(400, Detail, "An unknown project, or an If-Match that is no version."),
    Answer(404, Detail),
    Answer(409, Detail, "The name or endpoint name is taken, or If-Match names an older version."),
    Answer(423, Detail, "The flow is locked."),
    tag=_TAG,
    statuses={AlreadyExists: 409},
    request_headers=(_IF_MATCH,),
)
async def put_flow(flow_id: UUID, body: FlowCreate, caller: Caller, services: ProjectServices, request: Request) -> JsonResponse:
    """Replace a flow, or create it with this id."""
    if body.folder_id is not None and str(body.folder_id) not in {project.id for project in await services.projects.list_projects(caller)}:
        raise BadRequest("Folder not found: folder_id names none of your projects.")
    expected = _expected_version(request, flow_id)
    try:
        changed = await services.flows.update(caller, str(flow_id), _replacement_of(body), expected_version=expected)
    except NotFound:
        return JsonResponse(flow_read(await _create_with_id(body, str(flow_id), caller, services)), 201)
    return JsonResponse(flow_read(changed))


async def _create_with_id(body: FlowCreate, flow_id: str, caller: Caller, services: ProjectServices) -> Flow:
    """Unlike POST, a taken name is refused. An id that somebody else has is answered as a missing one."""
    try:
        (flow,) = await services.flows.create_many(caller, [draft_of(body, flow_id=flow_id)])
    except AlreadyExists as error:
        if error.field == "id":
            raise NotFound("flow", flow_id) from None
        raise
    return flow


@endpoint(
    "DELETE",
    "/api/v1/flows/{flow_id}",
    Answer(200, Said),
    Answer(400, Detail, "An If-Match that is no version."),
    Answer(404, Detail),
    Answer(409, Detail, "If-Match names an older version."),
    Answer(423, Detail, "The flow is locked."),
    tag=_TAG,
    request_headers=(_IF_MATCH,),
)
async def delete_flow(flow_id: UUID, caller: Caller, services: ProjectServices, request: Request) -> dict[str, str]:
    """Delete a flow with its runs, messages and files."""
    await services.flows.delete(caller, str(flow_id), expected_version=_expected_version(request, flow_id))
    return {"message": "Flow deleted successfully"}


@endpoint("GET", "/api/v1/flows/{flow_id}/report", Answer(200, ReportRead), Answer(404, Detail), tag=_TAG)
async def read_report(flow_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """What the import kept: every node and edge, what stands behind it, and what to do where nothing does."""
    return (await services.reports.report(caller, str(flow_id))).to_dict()


ENDPOINTS = (
    create_flow,
    list_flows,
    delete_flows,
    upload_flows,
    create_flows,
    download_flows,
    list_examples,
    read_public_flow,
    read_flow,
    update_flow,
    put_flow,
    delete_flow,
    read_report,
)
