"""The MCP servers that a user's flows may name."""

from typing import Any

from pydantic import ConfigDict, Field

from projects.access.caller import Caller
from projects.errors import AlreadyExists
from projects.kept_text import refused
from projects.services import ProjectServices
from rest_adapter.errors import JsonResponse
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, TooMany, Wire

_TAG = "MCP"


class ServerConfig(Wire):
    """An address or a command, as MCP clients write them; further keys are kept as they are. Stars stand for a secret that is kept."""

    model_config = ConfigDict(extra="allow")

    name: str | None = Field(default=None, description="When given, the same as in the path.")
    command: str | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    url: str | None = None


class ListedServer(Wire):
    """`mode`, `toolsCount` and `error` are known when the servers were asked."""

    name: str
    mode: str | None
    toolsCount: int | None
    error: str | None = None


class ServerQuery(Wire):
    action_count: bool = Field(default=False, description="Ask each server how many tools it has. Commands are not started for it.")


def _config(server_name: str, body: ServerConfig) -> dict[str, Any]:
    if body.name is not None and body.name != server_name:
        raise refused("name", f"The name in the body is {body.name!r}, the one in the path {server_name!r}; they must be the same.")
    return {key: value for key, value in body.model_dump(exclude_unset=True).items() if key != "name"}


@endpoint("GET", "/api/v2/mcp/servers", Answer(200, list[ListedServer]), Answer(429, TooMany), tag=_TAG)
async def list_mcp_servers(query: ServerQuery, caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's MCP servers by name."""
    if not query.action_count:
        return [{"name": name, "mode": None, "toolsCount": None} for name in await services.mcp_servers.list_names(caller)]
    asked = await services.mcp_servers.ask_all(caller, services.tool_servers.for_run(owner_id=caller.user_id))
    return [
        {"name": each.name, "mode": each.mode, "toolsCount": each.tool_count} | ({"error": each.error} if each.error else {})
        for each in asked
    ]


@endpoint("GET", "/api/v2/mcp/servers/{server_name}", Answer(200, dict[str, Any]), Answer(404, Detail), tag=_TAG)
async def read_mcp_server(server_name: str, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """One configuration, with stars in the places of its secrets."""
    return await services.mcp_servers.get(caller, server_name)


@endpoint(
    "POST",
    "/api/v2/mcp/servers/{server_name}",
    Answer(200, dict[str, Any]),
    Answer(403, Detail, "The list is locked."),
    Answer(409, Detail, "The name is taken."),
    tag=_TAG,
    statuses={AlreadyExists: 409},
)
async def create_mcp_server(server_name: str, body: ServerConfig, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Register an MCP server. Nothing is started or called; a command starts in a run, and only when the operator allowed it."""
    config = {key: value for key, value in _config(server_name, body).items() if value is not None}
    return await services.mcp_servers.create(caller, server_name, config)


@endpoint(
    "PATCH", "/api/v2/mcp/servers/{server_name}", Answer(200, dict[str, Any]), Answer(403, Detail, "The list is locked."),
    Answer(404, Detail), tag=_TAG,
)  # fmt: skip
async def update_mcp_server(server_name: str, body: ServerConfig, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Change a configuration: each key that is sent replaces the kept one."""
    return await services.mcp_servers.update(caller, server_name, _config(server_name, body))


@endpoint(
    "DELETE", "/api/v2/mcp/servers/{server_name}", Answer(200, type(None), "Always null."),
    Answer(403, Detail, "The list is locked."), Answer(404, Detail), tag=_TAG,
)  # fmt: skip
async def delete_mcp_server(server_name: str, caller: Caller, services: ProjectServices) -> JsonResponse:
    """Forget an MCP server."""
    await services.mcp_servers.delete(caller, server_name)
    return JsonResponse(None)


ENDPOINTS = (list_mcp_servers, read_mcp_server, create_mcp_server, update_mcp_server, delete_mcp_server)
