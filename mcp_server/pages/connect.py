"""The pages that connect a client: the person's projects, and for each project what every client is told.

Everything from outside is escaped, secrets are placeholders, and who is not logged in sees a form and nothing of anybody. The form logs in
through the API, so there is one door and one count of tries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from html import escape
from importlib.resources import files
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mcp_server.pages.policy import page_headers
from projects.access.caller import Caller
from projects.access.project_access import AuthType, auth_type_of
from projects.errors import CredentialsMissing, HeadwaterError, InvalidApiKey, InvalidToken, NotFound, NotPermitted
from projects.lifecycle import Project
from projects.services import ProjectServices

if TYPE_CHECKING:
    from client_configs.connection import Connection
    from client_configs.installation import Description

LINK_SCHEMES = frozenset({"https", "cursor", "vscode", "lmstudio", "goose"})
PLACE = b"<!--MAIN-->"


def routes(authenticate: Callable[[Request], Awaitable[Caller]], services: ProjectServices, *, public_url: str | None) -> list[BaseRoute]:
    page = files("mcp_server.pages").joinpath("connect.html").read_bytes()
    headers = page_headers(page) | {"cache-control": "no-store"}

    def answered(main: str, status: int = 200) -> Response:
        return Response(page.replace(PLACE, main.encode()), status, media_type="text/html; charset=utf-8", headers=headers)

    def guarded(show: Callable[[Request, Caller], Awaitable[str]]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                return answered(await show(request, await authenticate(request)))
            except (CredentialsMissing, InvalidApiKey, InvalidToken):
                return answered(login_form(base_of(request)), 403)
            except NotFound:
                return answered("<h1>No such project</h1><p>It may have been deleted, or it belongs to somebody else.</p>", 404)
            except NotPermitted as error:
                return answered(f"<h1>Not allowed</h1><p>{escape(error.message)}</p>", 403)
            except HeadwaterError as error:
                return answered(f"<h1>Not now</h1><p>{escape(error.message)}</p>", 503)

        return handle

    def base_of(request: Request) -> str:
        return (public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")

    async def show_projects(request: Request, caller: Caller) -> str:
        return projects_list(await services.projects.list_projects(caller), base_of(request))

    async def show_project(request: Request, caller: Caller) -> str:
        project = await services.projects.get(caller, request.path_params["project_id"])
        everything = await services.projects.list_projects(caller)
        tools = [tool.name for tool in await services.tools.list_tools(caller, project.id)]
        return project_main(project, everything, tools, base_of(request), platform_of(request.headers.get("user-agent", "")))

    return [Route("/connect", guarded(show_projects)), Route("/connect/{project_id}", guarded(show_project))]


def login_form(base_url: str) -> str:
    path = urlsplit(base_url).path
    return f"""<h1>Connect a client</h1>
<form data-login="{escape(path)}/api/v1/login">
<label>Name <input name="username" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button> <span id="said" role="status"></span>
</form>
<p class="quiet">On the server's own machine <code>headwater install CLIENT</code> does all this without a login, and
<code>headwater user set-password NAME</code> replaces a lost password.</p>"""


def projects_list(projects: Sequence[Project], base_url: str) -> str:
    path = escape(urlsplit(base_url).path)
    items = "\n".join(f'<li><a href="{path}/connect/{escape(project.id)}">{escape(project.name)}</a></li>' for project in projects)
    return f"<h1>Connect a client</h1>\n<p>Each project is an MCP server of its own.</p>\n<ul>\n{items}\n</ul>"


def project_main(project: Project, everything: Sequence[Project], tools: Sequence[str], base_url: str, platform: str) -> str:
    # What knows the clients takes a while to import, and few pages are looked at.
    from client_configs.installation import describe
    from client_configs.locations import Machine, Platform
    from client_configs.problems import InvalidConnection
    from client_configs.project_connection import project_connection, server_names
    from client_configs.registry import CLIENTS

    name = server_names([(each.id, each.name) for each in everything])[project.id]
    needs_key = auth_type_of(project.auth_settings) is not AuthType.NONE
    try:
        connection = project_connection(base_url, project.id, name, needs_key=needs_key)
    except InvalidConnection as problem:
        return f"<h1>{escape(project.name)}</h1>\n<p>{escape(problem.message)} Set HEADWATER_PUBLIC_URL.</p>"
    home = PureWindowsPath("%USERPROFILE%") if platform == "windows" else PurePosixPath("~")
    machine = Machine(Platform(platform), home)
    clients = "\n".join(client_section(describe(client, connection, machine)) for client in CLIENTS)
    return f"{project_head(project, tools, connection, base_url)}\n<h2>Clients</h2>\n{clients}"


def project_head(project: Project, tools: Sequence[str], connection: Connection, base_url: str) -> str:
    prefix = escape(urlsplit(base_url).path)
    path = f"{prefix}/api/v1/mcp/project/{escape(project.id)}"
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in tools) or "none yet: <code>headwater import FILE --tool</code> adds one."
    return f"""<p><a href="{prefix}/connect">All projects</a></p>
<h1>{escape(project.name)}</h1>
<p>Address <code>{escape(connection.http_url)}</code></p>
<p>Tools {listed}</p>
{key_maker(prefix) if connection.needs_key else "<p>This project needs no key.</p>"}
<ul>
<li><a href="{path}/bundle">{escape(connection.server_name)}.mcpb</a>: double-click it, and Claude Desktop installs it.</li>
<li><a href="{path}/server.json">server.json</a>: for registries, and clients that install from one.</li>
</ul>"""


def key_maker(prefix: str) -> str:
    """The API makes the key, with its own rules on who may ask; the page never holds one until then."""
    from client_configs.connection import PLACEHOLDER

    return f"""<p>Where an entry says <code>{PLACEHOLDER}</code> or names <code>HEADWATER_API_KEY</code>, put in a key of yours.
<code>headwater key create</code> makes one, and so does this:</p>
<p><button type="button" data-keys="{prefix}/api/v1/api_key/" data-word="{PLACEHOLDER}">Make a key</button>
<span id="said" role="status"></span></p>
<div id="made" hidden><pre></pre><button type="button" data-copies>Copy</button></div>"""


def client_section(described: Description) -> str:
    parts = [f'<details id="{escape(described.client_id)}"><summary>{escape(described.display_name)}</summary>']
    links = [("Install", described.install_link), ("Install through its website", described.web_link)]
    shown = [f'<a href="{escape(link)}">{text}</a>' for text, link in links if link is not None and is_safe(link)]
    if shown:
        parts.append(f"<p>{' · '.join(shown)}</p>")
    if described.instructions is not None:
        parts.append(f"<p>{escape(described.instructions)}</p>")
    if described.command is not None:
        parts.append(f"<p>Or run:</p>{copied(described.command)}" if shown else f"<p>Run:</p>{copied(described.command)}")
    if described.block is not None:
        # The key comes into it, so it is not for a project's file, which others read too.
        into = f"<code>{escape(described.user_file)}</code>" if described.user_file is not None else "its settings"
        parts.append(f"<p>Put this into {into}:</p>{copied(described.block.strip())}")
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in (*described.notes, *described.limits))
    parts.append(f'<ul class="quiet">{remarks}</ul></details>' if remarks else "</details>")
    return "\n".join(parts)


def copied(text: str) -> str:
    return f'<pre>{escape(text)}</pre><button type="button" data-copies>Copy</button>'


def is_safe(link: str) -> bool:
    return link.partition(":")[0] in LINK_SCHEMES


def platform_of(user_agent: str) -> str:
    """Where the browser runs, and so most likely the client."""
    if "Windows" in user_agent:
        return "windows"
    return "macos" if "Mac OS X" in user_agent or "Macintosh" in user_agent else "linux"
