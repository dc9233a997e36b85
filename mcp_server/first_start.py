"""The first start: the first user, the first project with flows worth calling, a key, and what the person is told about them."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp_server.own_command import OwnCommand
from mcp_server.settings import Settings
from projects import starter_flows
from projects.access.caller import Caller, Credential
from projects.errors import HeadwaterError
from projects.services import ProjectServices


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What was made. Secrets are here in the clear once, to be shown; `password` is None when a setting gave it."""

    username: str
    password: str | None
    api_key: str | None
    project_id: str
    project_name: str


async def make_first_things(services: ProjectServices, settings: Settings, *, with_api_key: bool) -> FirstStart | None:
    """Make them unless there is a superuser already; then None."""
    given = settings.superuser_password
    password = given.get_secret_value() if given is not None else secrets.token_urlsafe(12)
    user, is_new = await services.accounts.ensure_first_user(settings.superuser, password)
    if not is_new:
        return None
    caller = Caller(user_id=user.id, username=user.username, is_superuser=True, via=Credential.LOCAL)
    project = await services.projects.default_project(caller)
    # The drafts name no project, so they go to this default one.
    await services.flows.create_many(caller, starter_flows.drafts())
    key = (await services.api_keys.create(caller, name="First key"))[1] if with_api_key else None
    return FirstStart(user.username, password if given is None else None, key, project.id, project.name)


async def give_everybody_the_environment(services: ProjectServices) -> None:
    """Keep what the operator listed of the environment as credentials of every active user who has none of the name."""
    for user in await services.accounts.list_users():
        if user.is_active:
            await services.variables.import_environment(Caller(user.id, user.username, user.is_superuser, Credential.LOCAL))


async def ways_to_models(services: ProjectServices, settings: Settings, caller: Caller, *, embeddings: bool = False) -> Sequence[Any]:
    """The ways to a model that are open to this person's flows, the default first; each says itself as text."""
    stored = await services.variables.resolve_values(caller.user_id)

    async def resolve(name: str) -> str | None:
        return stored.get(name) or settings.environment_for_flows.get(name)

    return await services.models.ways(resolve, embeddings=embeddings)


async def model_line(services: ProjectServices, settings: Settings) -> str:
    """Which model nodes get that name none, for the start."""
    try:
        ways = await ways_to_models(services, settings, await services.accounts.local_caller(None))
    except HeadwaterError as error:
        return error.message
    if not ways:
        return f"Nodes that name no model have none here. How to get one: {OwnCommand.of(settings).line('models')}"
    return f"Nodes that name no model use {ways[0]}."


def made_without_serving(settings: Settings, first: FirstStart) -> str:
    """For a command that came before the first `headwater serve`, or to another folder than was meant. No secrets: clients log it."""
    made = f"the database was new (data folder {settings.data_dir}); it has the user {first.username} now."
    if first.password is None:
        return made
    return f"{made} To give them a password: {OwnCommand.of(settings).line(f'user set-password {first.username}')}"


def mcp_address(base_url: str, project_id: str) -> str:
    return f"{base_url}/api/v1/mcp/project/{project_id}/streamable"


def told_at_start(settings: Settings, first: FirstStart | None) -> str:
    """`first` when this start was the first one."""
    own = OwnCommand.of(settings)
    return greeting(settings.base_url, own) if first is None else welcome(first, settings.base_url, own)


def welcome(first: FirstStart, base_url: str, own: OwnCommand) -> str:
    """Everything a newcomer needs, once. Plain ASCII: it may land in any terminal or log."""
    address = mcp_address(base_url, first.project_id)
    key = first.api_key or "YOUR-KEY"
    password = first.password if first.password is not None else "(the one in HEADWATER_SUPERUSER_PASSWORD)"
    entry = json.dumps({"mcpServers": {"headwater": {"url": address, "headers": {"x-api-key": key}}}}, indent=2)
    return f"""
Headwater runs at {base_url}

  User       {first.username}
  Password   {password}
  API key    {key}
  MCP        {address}
             the tools of the project "{first.project_name}"

These secrets are shown this once. Keep them.

Connect a client on this machine; it gets a key of its own:

  {own.line("install claude-code", with_address=True)}
  {own.line("install cursor", with_address=True)}
  {own.line("install vs-code", with_address=True)}

All clients, and which of them are here:

  {own.line("install --list", with_address=True)}

What to tell a client by hand is said at {base_url}/connect. Most take this:

{_indented(entry)}

Or call a tool with curl:

{_indented(curl_call(address, key))}

Stop with Ctrl+C.
"""


def curl_call(address: str, key: str) -> str:
    """One tool call without a session, as the protocol's revision 2026-07-28 has it."""
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    parameters = {"name": "evaluate_expression", "arguments": {"input_value": "6 * 7"}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters})
    return f"""curl -s {address} \\
  -H "x-api-key: {key}" -H "content-type: application/json" \\
  -H "accept: application/json, text/event-stream" -H "mcp-protocol-version: 2026-07-28" \\
  -H "mcp-method: tools/call" -H "mcp-name: evaluate_expression" \\
  -d '{body}'"""


def greeting(base_url: str, own: OwnCommand) -> str:
    """What later starts print: no secrets."""
    return f"""Headwater runs at {base_url}
MCP address of all your flows: {base_url}/api/v1/mcp/streamable
Connect a client: {own.line("install --list", with_address=True)}
or in a browser: {base_url}/connect
A new API key: {own.line("key create")}
The address of each project: {own.line("projects", with_address=True)}
"""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
