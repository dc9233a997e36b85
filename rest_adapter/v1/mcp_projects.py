"""A project as an MCP server: which of its flows are tools, under which names, and how callers prove themselves."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import Field

from projects.access.caller import Caller
from projects.access.project_access import SECRET_MASK, SECRET_SETTING, AuthType, auth_type_of
from projects.flows.flow import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, Flow
from projects.lifecycle import ToolSetting
from projects.prompts import PromptChoice
from projects.services import ProjectServices
from projects.tools import clean_name, server_name
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Said, Wire

_TAG = "MCP"
_ACTION_NAME_LENGTH = 255
_MAX_SETTING_LENGTH = 10_000


class AuthSettings(Wire):
    """Every key is always there; a secret is shown as stars, and stars leave it as it is.

    `none` lets anybody use the tools, without the owner's secrets. With `oauth` tokens of `oauth_server_url` are good, when they are
    made out to this project's address and have the scopes of `oauth_mcp_scope`.
    """

    auth_type: Literal["none", "apikey", "oauth"] | None = None
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


PromptKey: TypeAlias = Annotated[str, Field(max_length=300)]


class McpProjectUpdate(Wire):
    settings: list[ToolSettings] = Field(max_length=10_000)
    auth_settings: AuthSettings | None = None
    expose_prompts: bool | None = Field(default=None, description="Whether MCP clients see every Prompt Template of the tools.")
    prompts: list[PromptKey] | None = Field(
        default=None, max_length=1_000, description="Or only these, each as the flow's id, a colon and the component's id."
    )


class ToolRead(Wire):
    id: UUID
    mcp_enabled: bool
    action_name: str
    action_description: str | None
    name: str
    description: str | None


class NotForGuests(Wire):
    """A tool that is not offered to people without a credential, and why."""

    id: UUID
    name: str
    reason: str


class ExcludedFlow(Wire):
    """A flow that cannot be a tool, and why."""

    id: UUID
    name: str
    reason: str


class PromptRead(Wire):
    """A Prompt Template of one of the tools. `key` is what `prompts` of a change takes, `name` what MCP clients see."""

    key: str
    name: str
    title: str
    arguments: list[str]
    is_exposed: bool


class McpProjectRead(Wire):
    tools: list[ToolRead]
    auth_settings: AuthSettings | None
    server_name: str
    excluded_flows: list[ExcludedFlow] | None = Field(default=None, description="Only there when some flows cannot be tools.")
    prompts: list[PromptRead] | None = Field(default=None, description="Only there when the tools have Prompt Templates.")
    not_for_guests: list[NotForGuests] | None = Field(default=None, description="Only there for projects that guests may use.")


class McpProjectQuery(Wire):
    mcp_enabled: bool = True


def auth_settings_read(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    shown = {name: value if isinstance(value := stored.get(name), str) else None for name in AuthSettings.model_fields}
    if stored.get(SECRET_SETTING):
        shown[SECRET_SETTING] = SECRET_MASK
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


def _prompt_read(choice: PromptChoice) -> dict[str, Any]:
    prompt = choice.prompt
    return {
        "key": prompt.key,
        "name": prompt.name,
        "title": prompt.title,
        "arguments": [argument.name for argument in prompt.arguments],
        "is_exposed": choice.is_shown,
    }


@endpoint("GET", "/api/v1/mcp/project/{project_id}", Answer(200, McpProjectRead), Answer(404, Detail), tag=_TAG)
async def read_mcp_project(project_id: UUID, query: McpProjectQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The project's tools; with `mcp_enabled=false` all its flows that could be tools."""
    project = await services.projects.get(caller, str(project_id))
    flows = await services.flows.list_flows(caller, project_id=project.id, components=False, with_documents=False)
    read: dict[str, Any] = {
        "tools": [_tool_read(flow) for flow in flows if flow.is_tool or not query.mcp_enabled],
        "auth_settings": auth_settings_read(project.auth_settings),
        "server_name": server_name(project.name),
    }
    if reasons := await services.tools.reasons_against_tools(caller, flows):
        read["excluded_flows"] = [{"id": flow.id, "name": flow.name, "reason": reasons[flow.id]} for flow in flows if flow.id in reasons]
    if choices := await services.prompts.list_choices(caller, project.id):
        read["prompts"] = [_prompt_read(choice) for choice in choices]
    if auth_type_of(project.auth_settings) is AuthType.NONE:
        reasons = await services.tools.reasons_against_guests(caller, project.id)
        read["not_for_guests"] = [{"id": flow.id, "name": flow.name, "reason": reasons[flow.id]} for flow in flows if flow.id in reasons]
    return read


@endpoint(
    "PATCH",
    "/api/v1/mcp/project/{project_id}",
    Answer(200, Said),
    Answer(404, Detail),
    Answer(423, Detail, "A flow that would change is locked."),
    tag=_TAG,
)
async def update_mcp_project(project_id: UUID, body: McpProjectUpdate, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Say which flows are tools, how callers prove themselves, and which prompts are shown. Flows of other projects are passed over."""
    settings = [
        ToolSetting(str(each.id), is_tool=bool(each.mcp_enabled), name=each.action_name, description=each.action_description)
        for each in body.settings
    ]
    given = None if body.auth_settings is None else body.auth_settings.model_dump(exclude_none=True)
    shown = await services.prompts.check_choice(caller, str(project_id), show_all=body.expose_prompts, shown=body.prompts)
    count = await services.projects.set_tools(caller, str(project_id), settings, auth_settings=given, mcp_settings=shown)
    return {"message": f"Updated MCP settings for {count} flows and project auth settings"}


ENDPOINTS = (read_mcp_project, update_mcp_project)
