"""A project as files that tell clients of it: a bundle to double-click, and a `server.json` for registries. Neither holds a secret."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from client_configs.bundle import MEDIA_TYPE, ListedTool, bundle, bundle_name
from client_configs.connection import Connection
from client_configs.problems import InvalidConnection
from client_configs.project_connection import project_connection, server_names
from client_configs.server_manifest import make_server_manifest
from projects.access.caller import Caller
from projects.access.project_access import AuthType, auth_type_of
from projects.errors import InvalidInput
from projects.lifecycle import Project
from projects.services import ProjectServices
from rest_adapter.downloads import attachment
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "MCP"


class HeaderInput(Wire):
    name: str
    description: str
    isRequired: bool
    isSecret: bool


class Remote(Wire):
    type: str
    url: str
    headers: list[HeaderInput] | None = None


class ServerManifest(Wire):
    """A `server.json` of the schema of 2025-12-11, which is also under `$schema`."""

    name: str
    title: str
    description: str
    version: str
    remotes: list[Remote]


@endpoint("GET", "/api/v1/mcp/project/{project_id}/bundle", Answer(200, media_type=MEDIA_TYPE), Answer(404, Detail), tag=_TAG)
async def download_bundle(
    project_id: UUID, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> Response:
    """The project as an `.mcpb` file, which asks for the key when it is installed."""
    project, connection = await _connected(str(project_id), request, caller, services, information)
    tools = [ListedTool(tool.name, tool.description) for tool in await services.tools.list_tools(caller, project.id)]
    content = bundle(connection, title=project.name, description=project.description or "", version=information.version, tools=tools)
    headers = {"Content-Disposition": attachment(bundle_name(connection)), "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


@endpoint("GET", "/api/v1/mcp/project/{project_id}/server.json", Answer(200, ServerManifest), Answer(404, Detail), tag=_TAG)
async def read_server_manifest(
    project_id: UUID, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> dict[str, Any]:
    """The project as a `server.json`, for registries and for clients that install from one."""
    project, connection = await _connected(str(project_id), request, caller, services, information)
    return make_server_manifest(connection, title=project.name, description=project.description or "", version=information.version)


async def _connected(
    project_id: str, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> tuple[Project, Connection]:
    """The caller's project, and how a client reaches it: by the public address, else by the one that this request came to."""
    project = await services.projects.get(caller, project_id)
    names = server_names([(each.id, each.name) for each in await services.projects.list_projects(caller)])
    base_url = information.public_url or str(request.base_url)
    needs_key = auth_type_of(project.auth_settings) is not AuthType.NONE
    try:
        return project, project_connection(base_url, project.id, names[project.id], needs_key=needs_key)
    except InvalidConnection as problem:
        raise InvalidInput(f"{problem.message} Ask the operator to set HEADWATER_PUBLIC_URL.") from None


ENDPOINTS = (download_bundle, read_server_manifest)
