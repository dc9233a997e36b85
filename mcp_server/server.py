"""The one SDK server behind every project: what it announces, and who it says it is."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp_types import SERVER_INFO_META_KEY, CallToolRequestParams, PaginatedRequestParams, SubscriptionsListenRequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_server import tools
from mcp_server.changes import ToolChanges
from mcp_server.tools import Context
from mcp_server.visit import Visit, visit_of

NAME = "headwater"

# Every answer depends on who asks, so no cache may share one; how long a list stays right depends on authors, so not for long.
_CACHE_HINTS: Mapping[Any, CacheHint] = {
    "tools/list": CacheHint(ttl_ms=2_000, scope="private"),
    "server/discover": CacheHint(ttl_ms=60_000, scope="private"),
}

_PLAIN_CALL = frozenset({"name", "arguments", "_meta"})

Lifespan = Callable[[Server[Any]], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def _no_visit(server: Server[Any]) -> AsyncIterator[None]:
    yield None


class ProjectsServer(Server[Any]):
    """The SDK's server, with the change notices it really sends announced to clients of every revision."""

    tells_changes = False

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        # The session manager calls this without arguments, which would announce that nothing ever changes.
        notification_options = notification_options or NotificationOptions(tools_changed=self.tells_changes)
        return super().create_initialization_options(notification_options, experimental_capabilities, extensions)


def build_server(version: str, *, changes: ToolChanges | None = None, lifespan: Lifespan = _no_visit) -> ProjectsServer:
    """`changes` None: nobody in this process would learn of a change, so none is promised."""
    server = ProjectsServer(
        NAME,
        version=version,
        cache_hints=_CACHE_HINTS,
        lifespan=lifespan,
        # Left out, the SDK runs the whole tools/list before each call to look for `x-mcp-header`, which our schemas never use.
        get_tool_input_schema=lambda name: None,
    )
    server.add_request_handler("tools/list", PaginatedRequestParams, tools.list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, tools.call_tool)
    # The SDK's tracing middleware is left out: no exporter is ever installed, and it costs time on every message.
    server.middleware[:] = [_introduce_project(server), _call_directly]
    if changes is not None:
        server.tells_changes = True
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, changes.listen)
        server.middleware.append(changes.watch_sessions)
    return server


def _introduce_project(server: Server[Any]) -> Any:
    """One server object speaks for many projects: its name, title and instructions are put in as each answer leaves."""

    async def introduce(ctx: Context, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.request_id is None or not isinstance(result, dict):
            return result
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and ctx.method != "initialize":
            result["_meta"] = {**(result.get("_meta") or {}), SERVER_INFO_META_KEY: _identity(server, visit_of(ctx))}
        if ctx.method in ("initialize", "server/discover"):
            visit = visit_of(ctx)
            result["instructions"] = _instructions(visit)
            if ctx.method == "initialize":
                result["serverInfo"] = _identity(server, visit)
        return result

    return introduce


async def _call_directly(ctx: Context, call_next: CallNext) -> HandlerResult:
    """The hot path: a plain call of the current revision skips three passes of model validation that could not change its outcome.

    The envelope was checked before we are asked; anything unusual in the parameters takes the long way and is refused there.
    """
    params = ctx.params
    if ctx.method != "tools/call" or params is None or ctx.meta is None or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return await call_next(ctx)
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str) or not (arguments is None or isinstance(arguments, dict)) or not params.keys() <= _PLAIN_CALL:
        return await call_next(ctx)
    return await tools.run_tool(ctx, name, arguments or {})


def _identity(server: Server[Any], visit: Visit) -> dict[str, Any]:
    if visit.project_id is None:
        return {"name": NAME, "version": server.version, "title": "Headwater"}
    return {"name": f"{NAME}-project-{visit.project_id}", "version": server.version, "title": visit.project_name or "Headwater"}


def _instructions(visit: Visit) -> str:
    if visit.project_id is None:
        text = f"Every tool runs one flow of the user {visit.caller.username!r}."
    else:
        text = f"Every tool runs one flow of the project {visit.project_name!r}."
        if visit.project_description:
            text += f" About the project: {visit.project_description[:1_000]}"
    return text + " Calls that pass the same session_id share their chat history; without one each call starts anew."
