"""Projects, and `folders`, their older name."""

from typing import Any
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from projects.access.caller import Caller
from projects.access.project_access import SECRET_MASK, SECRET_SETTING
from projects.errors import AlreadyExists, NotFound
from projects.flows.flow import UNSET
from projects.lifecycle import Project, usable_name
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.flow_files import ZIP_MEDIA_TYPE, archive_answer, read_uploaded_project
from rest_adapter.v1.flows import FlowRead, exported, flow_listed, flow_read
from rest_adapter.v1.models import Detail, Ids, Page, Paging, Wire, page_of

_TAG = "Projects"
_IMPORTED = "Imported Project"


class ProjectCreate(Wire):
    name: str
    description: str | None = None
    auth_settings: dict[str, Any] | None = None
    components_list: Ids | None = None
    flows_list: Ids | None = None


class ProjectPut(Wire):
    name: str
    description: str | None = None
    auth_settings: dict[str, Any] | None = None
    components_list: Ids | None = None
    flows_list: Ids | None = None


class ProjectFile(Wire):
    folder_name: str
    folder_description: str | None
    flows: list[dict[str, Any]]
    is_archive: bool


class ProjectUpdate(Wire):
    name: str | None = None
    description: str | None = None
    parent_id: UUID | None = None
    auth_settings: dict[str, Any] | None = None


class ProjectRead(Wire):
    name: str
    description: str | None
    auth_settings: dict[str, Any] | None
    id: UUID
    parent_id: UUID | None


class ProjectListed(ProjectRead):
    owner_username: str | None
    is_owner: bool


class ProjectWithFlows(ProjectRead):
    flows: list[FlowRead]


class ProjectPage(Wire):
    folder: ProjectRead
    flows: Page[FlowRead]


class ProjectQuery(Wire):
    """One page only when both `page` and `size` are given; the filters belong to the page."""

    page: int | None = Field(default=None, ge=1, le=1_000_000)
    size: int | None = Field(default=None, ge=1, le=100)
    is_component: bool = False
    is_flow: bool = False
    search: str = ""


def project_read(project: Project) -> dict[str, Any]:
    settings = project.auth_settings
    if settings is not None and settings.get(SECRET_SETTING):
        settings = {**settings, SECRET_SETTING: SECRET_MASK}
    return {
        "name": project.name,
        "description": project.description,
        "auth_settings": settings,
        "id": project.id,
        "parent_id": project.parent_id,
    }


@endpoint("POST", "/api/v1/projects/", Answer(201, ProjectRead), Answer(423, Detail, "A flow that would move is locked."), tag=_TAG)
async def create_project(body: ProjectCreate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Make a project; the flows it lists move into it. A taken name gets a number."""
    flow_ids = [str(id) for id in (*(body.flows_list or ()), *(body.components_list or ()))]
    project = await services.projects.create(
        caller, name=body.name, description=body.description, auth_settings=body.auth_settings, flow_ids=flow_ids
    )
    return project_read(project)


@endpoint("GET", "/api/v1/projects/", Answer(200, list[ProjectListed]), tag=_TAG)
async def list_projects(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's projects, the default one first."""
    projects = await services.projects.list_projects(caller)
    return [{**project_read(project), "owner_username": caller.username, "is_owner": True} for project in projects]


@endpoint("GET", "/api/v1/projects/{project_id}", Answer(200, ProjectWithFlows | ProjectPage), Answer(404, Detail), tag=_TAG)
async def read_project(project_id: UUID, query: ProjectQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """A project with its flows, all of them or one page."""
    project = await services.projects.get(caller, str(project_id))
    if query.page is None or query.size is None:
        flows = await services.flows.list_flows(caller, project_id=project.id)
        return {**project_read(project), "flows": [flow_listed(flow) for flow in flows]}
    flows, total = await services.flows.page_flows(
        caller,
        project_id=project.id,
        page=query.page,
        size=query.size,
        components=True if query.is_component else False if query.is_flow else None,
        search=query.search,
    )
    paging = Paging(page=query.page, size=query.size)
    return {"folder": project_read(project), "flows": page_of([flow_listed(flow) for flow in flows], total, paging)}


@endpoint(
    "PATCH",
    "/api/v1/projects/{project_id}",
    Answer(200, ProjectRead),
    Answer(404, Detail),
    Answer(409, Detail, "The name is taken."),
    tag=_TAG,
    statuses={AlreadyExists: 409},
)
async def update_project(project_id: UUID, body: ProjectUpdate, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Rename or describe a project; what is not sent stays."""
    changes = body.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return project_read(await services.projects.update(caller, str(project_id), **changes))


@endpoint(
    "PUT",
    "/api/v1/projects/{project_id}",
    Answer(200, ProjectRead),
    Answer(201, ProjectRead, "It did not exist and was created with this id."),
    Answer(400, Detail, "Lists of flows for a project that is there already."),
    Answer(404, Detail),
    Answer(409, Detail, "The name is taken."),
    Answer(423, Detail, "A flow that would move is locked."),
    tag=_TAG,
    statuses={AlreadyExists: 409},
)
async def put_project(project_id: UUID, body: ProjectPut, caller: Caller, services: ProjectServices) -> JsonResponse:
    """Replace what a project says of itself, or create it with this id; only a new one takes lists of flows."""
    id, flow_ids = str(project_id), [str(id) for id in (*(body.flows_list or ()), *(body.components_list or ()))]
    settings = UNSET if body.auth_settings is None else body.auth_settings
    try:
        await services.projects.get(caller, id)
    except NotFound:
        made = await services.projects.create_with_id(
            caller, id, name=body.name, description=body.description, auth_settings=body.auth_settings, flow_ids=flow_ids
        )
        return JsonResponse(project_read(made), 201)
    if body.flows_list is not None or body.components_list is not None:
        raise BadRequest("flows_list and components_list are taken when a project is made; move a flow by its folder_id instead.")
    changed = await services.projects.update(caller, id, name=body.name, description=body.description, auth_settings=settings)
    return JsonResponse(project_read(changed))


@endpoint(
    "POST",
    "/api/v1/projects/upload/",
    Answer(201, list[FlowRead]),
    Answer(400, Detail, "No file, or one that is no project."),
    tag=_TAG,
    body_media_types=("multipart/form-data",),
    read_body=read_uploaded_project,
    statuses={AlreadyExists: 422},
)
async def upload_project(body: ProjectFile, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """Import a project, all or nothing: JSON with `folder_name` and `flows`, or a ZIP of flows, which is named by its file."""
    name = usable_name(body.folder_name, otherwise=_IMPORTED) if body.is_archive else body.folder_name
    flows = await services.projects.import_project(caller, services.flows, name=name, description=body.folder_description, flows=body.flows)
    return [flow_read(flow) for flow in flows]


@endpoint(
    "GET",
    "/api/v1/projects/download/{project_id}",
    Answer(200, media_type=ZIP_MEDIA_TYPE),
    Answer(404, Detail, "No such project, or one without flows."),
    tag=_TAG,
)
async def download_project(project_id: UUID, caller: Caller, services: ProjectServices) -> Response:
    """The flows of a project as a ZIP for others, without secrets."""
    project = await services.projects.get(caller, str(project_id))
    flows = await services.flows.list_flows(caller, project_id=project.id)
    if not flows:
        raise NotFound("flow", f"the project {project.name} has none")
    return archive_answer(await exported(flows, caller, services), f"{project.name}_flows")


@endpoint("DELETE", "/api/v1/projects/{project_id}", Answer(204), Answer(404, Detail), tag=_TAG)
async def delete_project(project_id: UUID, caller: Caller, services: ProjectServices) -> None:
    """Delete a project and its flows."""
    await services.projects.delete(caller, str(project_id))


_ANY_METHOD = "GET POST PUT PATCH DELETE"
_PROJECTS = "/api/v1/projects/, where it redirects"


def _to_projects(request: Request) -> RedirectResponse:
    path = request.url.path.replace("/api/v1/folders", "/api/v1/projects", 1)
    return RedirectResponse(path + (f"?{request.url.query}" if request.url.query else ""), 307)


@endpoint(_ANY_METHOD, "/api/v1/folders/", Answer(307), owner=OwnerRule.PUBLIC, tag=_TAG, replaced_by=_PROJECTS, is_listed=False)
async def redirect_folders(request: Request) -> RedirectResponse:
    """The older address of `/projects/`."""
    return _to_projects(request)


@endpoint(_ANY_METHOD, "/api/v1/folders/{rest:path}", Answer(307), owner=OwnerRule.PUBLIC, tag=_TAG, replaced_by=_PROJECTS, is_listed=False)
async def redirect_folder(request: Request) -> RedirectResponse:
    """The older addresses below `/projects/`."""
    return _to_projects(request)


ENDPOINTS = (
    create_project,
    list_projects,
    upload_project,
    download_project,
    read_project,
    update_project,
    put_project,
    delete_project,
    redirect_folders,
    redirect_folder,
)
