"""A project in MCP clients: written into the files of clients on this machine, or described for a person who does it elsewhere.

What knows the clients takes a while to import and few servers are asked, so the functions import it.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from projects.access.caller import Caller
from projects.errors import Conflict, HeadwaterError, NotPermitted
from projects.lifecycle import Project
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Wire

if TYPE_CHECKING:
    from client_configs.connection import Connection
    from client_configs.locations import Machine
    from client_configs.problems import InstallationProblem

_TAG = "MCP"
# Whoever adds one of these to a request speaks for somebody else, who may be anywhere.
_FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip")
_LISTED = ("cursor", "windsurf", "claude")


class Install(Wire):
    client: str = Field(max_length=100, description="cursor, windsurf, claude, or another client's id; see /clients.")
    transport: Literal["sse", "streamablehttp"] | None = Field(default=None, description="By default the one that suits the client best.")


class Installation(Wire):
    """What was done. The key itself is in the client's file and nowhere else."""

    message: str
    path: str
    backup: str | None
    key_id: str
    key_name: str
    notes: list[str]


class InstallState(Wire):
    """`available`: the client is on this server's machine, and the caller may install there."""

    name: str
    installed: bool
    available: bool


class ClientRead(Wire):
    """All it takes to connect one client by hand; words stand where the key belongs."""

    id: str
    name: str
    user_file: str | None
    project_file: str | None
    block: str | None
    install_link: str | None
    web_link: str | None
    command: str | None
    instructions: str | None
    limits: list[str]
    notes: list[str]


class ClientList(Wire):
    server_name: str
    url: str
    clients: list[ClientRead]


class ClientQuery(Wire):
    platform: Literal["linux", "macos", "windows"] = Field(default="linux", description="Where the client runs: the paths follow.")


def _is_beside(request: Request) -> bool:
    """Whether who asks sits at this very machine: by the peer's address, and nobody in between."""
    if request.client is None or any(name in request.headers for name in _FORWARDING_HEADERS):
        return False
    return _is_loopback(request.client.host) and _is_loopback(request.url.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _machine_for(request: Request, caller: Caller, information: ServerInformation) -> Machine | None:
    """The machine whose files this caller may have changed: they belong to who runs the server, so it takes a superuser beside it."""
    if information.machine is None or not caller.is_superuser or not _is_beside(request):
        return None
    return information.machine()


async def _connection(services: ProjectServices, caller: Caller, project_id: str, base_url: str) -> tuple[Project, Connection]:
    from client_configs.problems import InvalidConnection
    from client_configs.project_connection import project_connection, server_names

    project = await services.projects.get(caller, project_id)
    names = server_names([(each.id, each.name) for each in await services.projects.list_projects(caller)])
    try:
        return project, project_connection(base_url, project.id, names[project.id])
    except InvalidConnection as problem:
        raise BadRequest(f"{problem.message} Set HEADWATER_PUBLIC_URL.") from None


@endpoint(
    "POST",
    "/api/v1/mcp/project/{project_id}/install",
    Answer(200, Installation),
    Answer(400, Detail, "An unknown client, one that is not on this machine, or a file that cannot be changed."),
    Answer(404, Detail),
    Answer(409, Detail, "Another server has the name, or the file was changed meanwhile."),
    tag=_TAG,
)
async def install_project(
    project_id: UUID, body: Install, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> dict[str, Any]:
    """Write the project into a client's file on this server's machine, with a key of its own. Superusers at this machine only."""
    from dataclasses import replace

    from client_configs.connection import Transport
    from client_configs.installation import Applied, Plan, apply, find_key, plan_install
    from client_configs.placement import reaching_transport
    from client_configs.problems import InstallationProblem
    from client_configs.registry import CLIENTS, find_client

    project, connection = await _connection(services, caller, str(project_id), information.base_url)
    machine = _machine_for(request, caller, information)
    if machine is None:
        raise NotPermitted(
            "A project is installed only by a superuser at the server's own machine, without a proxy in between. Elsewhere, "
            "paste what /clients gives, or run `headwater install`."
        )
    client = find_client(body.client)
    if client is None:
        raise BadRequest(f"{body.client!r} is not a client known here: {', '.join(each.id for each in CLIENTS)}.")
    connection = replace(connection, executable=information.executable)
    wanted = {"sse": Transport.SSE, "streamablehttp": Transport.STREAMABLE_HTTP, None: None}[body.transport]
    if wanted is None or wanted not in client.transports:  # those that only start programs get the bridge, whatever was asked for
        wanted = reaching_transport(client, connection, machine)

    def write(key: str) -> tuple[Plan, Applied]:
        plan = plan_install(client, replace(connection, key=key), machine, transport=wanted)
        return plan, apply(plan)

    try:
        held = await asyncio.to_thread(find_key, client, connection, machine)
        (plan, applied), key = await services.installs.install(caller, client.display_name, project.name, held=held, write=write)
    except InstallationProblem as problem:
        raise _refusal(problem) from None
    done = f"reinstalled (replaced: {', '.join(plan.replaced)})" if plan.replaced else "installed"
    return {
        "message": f"{connection.server_name} is {done} in {client.display_name}.",
        "path": str(applied.path),
        "backup": str(applied.backup) if applied.backup is not None else None,
        "key_id": key.id,
        "key_name": key.name,
        "notes": list(plan.notes),
    }


def _refusal(problem: InstallationProblem) -> HeadwaterError:
    from client_configs.problems import FileChanged, NameTaken

    return Conflict(problem.message) if isinstance(problem, (NameTaken, FileChanged)) else BadRequest(problem.message)


@endpoint("GET", "/api/v1/mcp/project/{project_id}/installed", Answer(200, list[InstallState]), Answer(404, Detail), tag=_TAG)
async def read_installed(
    project_id: UUID, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> list[dict[str, Any]]:
    """Which clients on this server's machine have the project. Who may not install there hears of none."""
    from client_configs.installation import Status, find_status
    from client_configs.registry import find_client

    _, connection = await _connection(services, caller, str(project_id), information.base_url)
    machine = _machine_for(request, caller, information)
    if machine is None:
        return [{"name": name, "installed": False, "available": False} for name in _LISTED]

    def look() -> list[tuple[str, Status]]:
        return [(name, find_status(client, connection, machine)) for name in _LISTED if (client := find_client(name)) is not None]

    return [
        {"name": name, "installed": status.is_installed, "available": status.is_available} for name, status in await asyncio.to_thread(look)
    ]


@endpoint("GET", "/api/v1/mcp/project/{project_id}/clients", Answer(200, ClientList), Answer(400, Detail), Answer(404, Detail), tag=_TAG)
async def list_clients(
    project_id: UUID, query: ClientQuery, request: Request, caller: Caller, services: ProjectServices, information: ServerInformation
) -> dict[str, Any]:
    """How each client is told of the project: a block to paste, a link, a command. No secret is in them."""
    from dataclasses import asdict, replace

    from client_configs.installation import describe
    from client_configs.locations import Machine, Platform
    from client_configs.registry import CLIENTS

    # Without a public address, the one by which the caller came: it leads here from where they are, through published ports too.
    address = information.public_url or f"{request.url.scheme}://{request.url.netloc}"
    _, connection = await _connection(services, caller, str(project_id), address)
    if _is_beside(request):
        connection = replace(connection, executable=information.executable)  # elsewhere this path means nothing
    home = PureWindowsPath("%USERPROFILE%") if query.platform == "windows" else PurePosixPath("~")
    machine = Machine(Platform(query.platform), home)
    described = [asdict(describe(client, connection, machine)) for client in CLIENTS]
    clients = [{"id": each.pop("client_id"), "name": each.pop("display_name"), **each} for each in described]
    return {"server_name": connection.server_name, "url": connection.http_url, "clients": clients}


ENDPOINTS = (install_project, read_installed, list_clients)
