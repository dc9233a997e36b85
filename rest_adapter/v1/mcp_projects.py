"""A project as an MCP server: which of its flows are tools, under which names, and how callers prove themselves."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from projects.access.caller import Caller
from projects.errors import FieldProblem, InvalidInput
from projects.flows.flow import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, Flow
from projects.lifecycle import SECRET_SETTING, ToolSetting
from projects.services import ProjectServices
from projects.tools import clean_name, server_name
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Said, Wire

_TAG = "MCP"
_MASK = "*" * 7
_ACTION_NAME_LENGTH = 255
_MAX_SETTING_LENGTH = 10_000


class AuthSettings(Wire):
    """Every key is always there; a secret is shown as stars, and stars leave it as it is."""

    auth_type: Literal["none", "apikey", "oauth"] | None = "none"
    oauth_host: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_port: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_server_url: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_callback_path: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_callback_url: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_client_id: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_client_secret: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_auth_url: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_token_url: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_mcp_scope: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)
    oauth_provider_scope: str | None = Field(default=None, max_length=_MAX_SETTING_LENGTH)


class ToolSettings(Wire):
    """All three are set as given; what is left out is cleared."""

    id: UUID
    mcp_enabled: bool | None = None
    action_name: str | None = Field(default=None, max_length=MAX_NAME_LENGTH)
    action_description: str | None = Field(default=None, max_length=MAX_DESCRIPTION_LENGTH)


class McpProjectUpdate(Wire):
    settings: list[ToolSettings] = Field(max_length=10_000)
    auth_settings: AuthSettings | None = None


class ToolRead(Wire):
    id: UUID
    mcp_enabled: bool
    action_name: str
    action_description: str | None
    name: str
    description: str | None


class McpProjectRead(Wire):
    tools: list[ToolRead]
    auth_settings: AuthSettings | None
    server_name: str


class McpProjectQuery(Wire):
    mcp_enabled: bool = True


def auth_settings_read(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    shown = {name: value if isinstance(value := stored.get(name), str) else None for name in AuthSettings.model_fields}
    if stored.get(SECRET_SETTING):
        shown[SECRET_SETTING] = _MASK
    return shown


def _tool_read(flow: Flow) -> dict[str, Any]:
    return {
        "id": flow.id,
        "mcp_enabled": flow.is_tool,
        "action_name": clean_name(flow.tool_name or flow.name, length=_ACTION_NAME_LENGTH),
        "action_description": flow.tool_description or flow.description,
        "name": flow.name,
        "description": flow.description,
    }


@endpoint("GET", "/api/v1/mcp/project/{project_id}", Answer(200, McpProjectRead), Answer(404, Detail), tag=_TAG)
async def read_mcp_project(project_id: UUID, query: McpProjectQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The project's tools; with `mcp_enabled=false` all its flows that could be tools."""
    project = await services.projects.get(caller, str(project_id))
    flows = await services.flows.list_flows(caller, project_id=project.id, components=False, with_documents=False)
    return {
        "tools": [_tool_read(flow) for flow in flows if flow.is_tool or not query.mcp_enabled],
        "auth_settings": auth_settings_read(project.auth_settings),
        "server_name": server_name(project.name),
    }


@endpoint(
    "PATCH",
    "/api/v1/mcp/project/{project_id}",
    Answer(200, Said),
    Answer(404, Detail),
    Answer(423, Detail, "A flow that would change is locked."),
    tag=_TAG,
)
async def update_mcp_project(project_id: UUID, body: McpProjectUpdate, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Say which flows are tools, and how callers prove themselves. Flows of other projects are passed over."""
    settings = [
        ToolSetting(str(each.id), is_tool=bool(each.mcp_enabled), name=each.action_name, description=each.action_description)
        for each in body.settings
    ]
    count = await services.projects.set_tools(caller, str(project_id), settings, auth_settings=_checked(body.auth_settings))
    return {"message": f"Updated MCP settings for {count} flows and project auth settings"}


def _checked(given: AuthSettings | None) -> dict[str, Any] | None:
    """What is to be stored; a secret that came back as stars is left out, which keeps the one there is."""
    if given is None:
        return None
    if given.auth_type != "apikey":
        message = f"Every MCP address here wants an API key; auth_type {given.auth_type!r} is not offered. Send 'apikey'."
        raise InvalidInput(message, problems=[FieldProblem(("auth_settings", "auth_type"), message, "auth_type_unavailable")])
    settings = given.model_dump(exclude_none=True)
    if settings.get(SECRET_SETTING) == _MASK:
        del settings[SECRET_SETTING]
    return settings


ENDPOINTS = (read_mcp_project, update_mcp_project)
