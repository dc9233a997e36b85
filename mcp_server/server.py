"""The one SDK server behind every project: what it announces, and who it says it is."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp_types import (
    SERVER_INFO_META_KEY,
    CallToolRequestParams,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SubscriptionsListenRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_server import completion, prompts, resources, tasks
from mcp_server.call_limits import CallLimits
from mcp_server.changes import ListChanges
from mcp_server.long_calls import TASKS
from mcp_server.middleware import MAX_TRACE_PARENT
from mcp_server.request_identity import REQUEST_ID_KEY, TRACE_PARENT_KEY, request_id, trace_parent
from mcp_server.tools import Context, ToolCalls
from mcp_server.visit import Visit, visit_of
from projects.errors import HeadwaterError

NAME = "headwater"

# Every answer depends on who asks, so no cache may share one; how long a list stays right depends on authors, so not for long.
_CACHE_HINTS: Mapping[Any, CacheHint] = {
    "tools/list": CacheHint(ttl_ms=2_000, scope="private"),
    "prompts/list": CacheHint(ttl_ms=2_000, scope="private"),
    "resources/list": CacheHint(ttl_ms=2_000, scope="private"),
    "resources/templates/list": CacheHint(ttl_ms=60_000, scope="private"),
    "resources/read": CacheHint(ttl_ms=2_000, scope="private"),
    "server/discover": CacheHint(ttl_ms=60_000, scope="private"),
}

_PLAIN_CALL = frozenset({"name", "arguments", "_meta", "inputResponses", "requestState"})

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
        is_told = self.tells_changes
        notification_options = notification_options or NotificationOptions(is_told, is_told, is_told)
        return super().create_initialization_options(notification_options, experimental_capabilities, extensions)


def build_server(
    version: str, *, changes: ListChanges | None = None, lifespan: Lifespan = _no_visit, limits: CallLimits | None = None
) -> ProjectsServer:
    """`changes` None: nobody in this process would learn of a change, so none is promised."""
    server = ProjectsServer(
        NAME,
        version=version,
        cache_hints=_CACHE_HINTS,
        lifespan=lifespan,
        # Left out, the SDK runs the whole tools/list before each call to look for `x-mcp-header`, which our schemas never use.
        get_tool_input_schema=lambda name: None,
    )
    calls = ToolCalls(limits)
    server.add_request_handler("tools/list", PaginatedRequestParams, calls.list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, calls.call_tool)
    server.extensions[TASKS] = {}
    server.add_request_handler("tasks/get", tasks.TaskParams, tasks.get_task)
    server.add_request_handler("tasks/update", tasks.TaskUpdateParams, tasks.update_task)
    server.add_request_handler("tasks/cancel", tasks.TaskParams, tasks.cancel_task)
    server.add_request_handler("resources/list", PaginatedRequestParams, resources.list_resources)
    server.add_request_handler("resources/templates/list", PaginatedRequestParams, resources.list_templates)
    server.add_request_handler("resources/read", ReadResourceRequestParams, resources.read_resource)
    server.add_request_handler("prompts/list", PaginatedRequestParams, prompts.list_prompts)
    server.add_request_handler("prompts/get", GetPromptRequestParams, prompts.get_prompt)
    server.add_request_handler("completion/complete", CompleteRequestParams, completion.complete)
    # The SDK's tracing middleware is left out: no exporter is ever installed, and it costs time on every message.
    server.middleware[:] = [_introduce_project(server), _calling_directly(calls)]
    if changes is not None:
        server.tells_changes = True
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, changes.listen)
        server.middleware.append(changes.watch_sessions)
    return server


def _trace_of(ctx: Context) -> str:
    """What the message says of its trace (SEP-414), else its request's header: one connection may carry messages of several traces."""
    match ctx.params:
        case {"_meta": {"traceparent": str() as told}} if len(told) <= MAX_TRACE_PARENT:
            return told
        case _:
            return "" if ctx.request is None else str(ctx.request.scope.get(TRACE_PARENT_KEY, ""))


def _introduce_project(server: Server[Any]) -> Any:
    """One server object speaks for many projects: its name, title and instructions are put in as each answer leaves."""

    async def introduce(ctx: Context, call_next: CallNext) -> HandlerResult:
        if ctx.request is not None:  # messages of a session are served by the session's task, not by their request's
            request_id.set(ctx.request.scope.get(REQUEST_ID_KEY, ""))
        trace_parent.set(_trace_of(ctx))
        result = await call_next(ctx)
        if ctx.request_id is None or not isinstance(result, dict):
            return result
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and ctx.method != "initialize":
            result["_meta"] = {**(result.get("_meta") or {}), SERVER_INFO_META_KEY: _identity(server, visit_of(ctx))}
        if ctx.method in ("initialize", "server/discover"):
            visit = visit_of(ctx)
            result["instructions"] = _instructions(visit)
            result["capabilities"] = await _capabilities(visit, result["capabilities"])
            if ctx.method == "initialize":
                result["serverInfo"] = _identity(server, visit)
        return result

    return introduce


async def _capabilities(visit: Visit, capabilities: dict[str, Any]) -> dict[str, Any]:
    """Of what the server can do in general, what there is on this visit."""
    shown = dict(capabilities)
    if "resources" in shown:
        # Nothing here changes under the address it has, so there is nothing to subscribe to.
        shown["resources"] = {**shown["resources"], "subscribe": False}
    try:
        has_prompts = bool(await visit.services.prompts.list_prompts(visit.caller, visit.project_id))
    except HeadwaterError:
        has_prompts = False
    if not has_prompts:
        shown.pop("prompts", None)
    if not has_prompts and not visit.services.resources.list_templates(visit.caller, visit.project_id):
        shown.pop("completions", None)
    return shown


def _calling_directly(calls: ToolCalls) -> Any:
    """The hot path: a plain call of the current revision skips three passes of model validation that could not change its outcome.

    The envelope was checked before we are asked; anything unusual in the parameters takes the long way and is refused there.
    """

    async def call_directly(ctx: Context, call_next: CallNext) -> HandlerResult:
        params = ctx.params
        if ctx.method != "tools/call" or params is None or ctx.meta is None or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await call_next(ctx)
        name, arguments, state = params.get("name"), params.get("arguments"), params.get("requestState")
        is_plain = isinstance(name, str) and isinstance(arguments, dict | None) and isinstance(state, str | None)
        if not is_plain or not params.keys() <= _PLAIN_CALL:
            return await call_next(ctx)
        return await calls.run_tool(ctx, str(name), arguments or {}, params.get("inputResponses"), state)

    return call_directly


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
