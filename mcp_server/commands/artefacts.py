"""`headwater bundle` and `headwater manifest`: a project as a file that tells clients of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from client_configs.bundle import ListedTool, bundle, bundle_name
from client_configs.connection import Connection
from client_configs.problems import InvalidConnection
from client_configs.project_connection import project_connection, server_names
from client_configs.server_manifest import make_server_manifest
from mcp_server.own_command import OwnCommand
from projects.access.project_access import AuthType, auth_type_of
from projects.errors import InvalidInput

if TYPE_CHECKING:
    from projects.access.caller import Caller
    from projects.lifecycle import Project
    from projects.services import ProjectServices


async def write_bundle(
    services: ProjectServices, caller: Caller, project_id: str, *, base_url: str, version: str, output: Path | None, own: OwnCommand
) -> None:
    """Write the `.mcpb` file and say where; `output` may be a folder. Raises InvalidInput when it cannot be written."""
    project, connection = await _connected(services, caller, project_id, base_url)
    tools = [ListedTool(tool.name, tool.description) for tool in await services.tools.list_tools(caller, project.id)]
    content = bundle(connection, title=project.name, description=project.description or "", version=version, tools=tools)
    path = output or Path(bundle_name(connection))
    if path.is_dir():
        path = path / bundle_name(connection)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from None
    click.echo(f"{path}: {project.name!r} at {connection.http_url}, {len(tools)} {'tool' if len(tools) == 1 else 'tools'}.")
    asks = f" It asks for an API key. To make one: {own.line('key create')}" if connection.needs_key else ""
    click.echo(f"Open it with Claude Desktop.{asks}")


async def print_manifest(services: ProjectServices, caller: Caller, project_id: str, *, base_url: str, version: str) -> None:
    project, connection = await _connected(services, caller, project_id, base_url)
    manifest = make_server_manifest(connection, title=project.name, description=project.description or "", version=version)
    click.echo(json.dumps(manifest, indent=2, ensure_ascii=False))


async def _connected(services: ProjectServices, caller: Caller, project_id: str, base_url: str) -> tuple[Project, Connection]:
    project = await services.projects.get(caller, project_id)
    names = server_names([(each.id, each.name) for each in await services.projects.list_projects(caller)])
    needs_key = auth_type_of(project.auth_settings) is not AuthType.NONE
    try:
        return project, project_connection(base_url, project.id, names[project.id], needs_key=needs_key)
    except InvalidConnection as problem:
        raise InvalidInput(f"{problem.message} Set HEADWATER_PUBLIC_URL.") from None
