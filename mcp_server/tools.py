"""tools/list and tools/call: parse, ask `projects/tools.py` one thing, shape the answer. Results are plain wire dicts."""

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolRequestParams, PaginatedRequestParams
from pydantic_core import PydanticSerializationError, to_json
from starlette.requests import Request

from mcp_server.content import content_of
from mcp_server.errors import printable, protocol_error, tool_failure_text, unknown_tool
from mcp_server.middleware import request_id
from mcp_server.visit import visit_of
from projects.engine.context import DEPTH_HEADER
from projects.engine.events import MessageAdded, OnEvent, RunEvent, RunStarted, TokenAdded, VertexFinished, ignore
from projects.errors import HeadwaterError, NotFound
from projects.tools import Tool

logger = logging.getLogger(__name__)

EXCLUDED_FLOWS_KEY = "langflow.org/excluded-flows"
RUN_ID_KEY = "headwater/run-id"
SESSION_ID_KEY = "headwater/session-id"

_SECONDS_BETWEEN_TEXTS = 0.25
_TEXT_SHOWN = 500

_VARIABLE_HEADER = b"x-langflow-global-var-"

Context = ServerRequestContext[Any, Request]


async def list_tools(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    """Every tool on one page, in the order of the kept map that calls are answered from."""
    if params.cursor is not None:
        raise MCPError(INVALID_PARAMS, "Unknown cursor: all tools are on the first page.")
    visit = visit_of(ctx)
    try:
        kept = await visit.services.tools.tool_map(visit.caller, visit.project_id)
    except HeadwaterError as error:
        raise protocol_error(error) from error
    result: dict[str, Any] = {"resultType": "complete", "tools": [_wire_tool(tool) for tool in kept.tools.values()]}
    if kept.excluded and visit.project_id is not None:
        result["_meta"] = {EXCLUDED_FLOWS_KEY: [{"id": id, "reason": reason} for id, reason in kept.excluded.items()]}
    return result


async def call_tool(ctx: Context, params: CallToolRequestParams) -> dict[str, Any]:
    return await run_tool(ctx, params.name, params.arguments or {})


async def run_tool(ctx: Context, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run the flow behind a tool's name. What is wrong with the call is told to the model; only an unknown name is a protocol error."""
    visit = visit_of(ctx)
    if unsendable := _unsendable_argument(arguments):
        return _failure(f"Tool {printable(name)!r} was not run: {unsendable}")
    try:
        result = await visit.services.tools.call_tool(
            visit.caller,
            visit.project_id,
            name,
            arguments,
            request_variables=_request_variables(ctx.request),
            depth=_depth(ctx.request),
            on_event=_progress(ctx),
        )
    except NotFound as error:
        if error.kind == "tool":
            raise unknown_tool(name) from None
        return _failure(tool_failure_text(name, error))
    except HeadwaterError as error:
        return _failure(tool_failure_text(name, error))
    except Exception:
        # A boundary: one call. The model learns that it failed and where to look, never what the inside looks like.
        logger.exception("Tool %r of project %s failed unexpectedly", printable(name), visit.project_id)
        reference = f" (reference {id})" if (id := request_id.get()) else ""
        return _failure(f"Error in tool {printable(name)!r}: the server failed unexpectedly{reference}.")
    return {
        "resultType": "complete",
        "content": content_of(result.outputs),
        "isError": False,
        "_meta": {RUN_ID_KEY: result.run_id, SESSION_ID_KEY: result.session_id},
    }


def _failure(text: str) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": True}


def _wire_tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "annotations": {
            "title": tool.title,
            "readOnlyHint": not tool.writes_world,
            "destructiveHint": tool.writes_world,
            "openWorldHint": tool.reads_world or tool.writes_world,
        },
    }


def _progress(ctx: Context) -> OnEvent:
    """Vertices finished of vertices to run, and between them an agent's tools and its text; only for a client that gave a token."""
    match ctx.params:
        case {"_meta": {"progressToken": str() | int() as token}} if not isinstance(token, bool):
            pass
        case _:
            return ignore
    told = total = between = 0
    said_at = 0.0
    text = ""

    async def tell_between(message: str) -> None:
        """Something happened inside a vertex: each time a smaller part of the way to the next whole number, for it must always grow."""
        nonlocal between
        between += 1
        await ctx.session.report_progress(told + between / (between + 1), total, message)

    async def tell(event: RunEvent) -> None:
        nonlocal told, total, between, said_at, text
        match event:
            case RunStarted(to_run=to_run):
                total = len(to_run)
                await ctx.session.report_progress(0, total)
            case VertexFinished(result=result, finished=finished, total=to_run) if finished > told:
                told, total, between = finished, to_run, 0  # vertices run side by side: a late one must not make the count fall
                await ctx.session.report_progress(finished, to_run, result.display_name)
            case VertexFinished(result=result):
                await tell_between(result.display_name)  # an agent's tool, or a step of a loop
            case MessageAdded(message=message) if message.state == "partial":
                text = message.text
            case TokenAdded(chunk=chunk):
                text = (text + chunk)[-_TEXT_SHOWN:]
                if monotonic() - said_at >= _SECONDS_BETWEEN_TEXTS:
                    said_at = monotonic()
                    await tell_between(text)
            case _:
                pass

    return tell


def _request_variables(request: Request | None) -> dict[str, str]:
    """`X-LANGFLOW-GLOBAL-VAR-NAME: value` of the request that carried this call, by upper-case name."""
    if request is None:
        return {}
    return {
        name[len(_VARIABLE_HEADER) :].decode("latin-1").upper(): value.decode("utf-8", "replace").strip()
        for name, value in request.scope["headers"]
        if name.startswith(_VARIABLE_HEADER)
    }


def _depth(request: Request | None) -> int:
    """How many of our own runs stand behind this call; what is no small number is none."""
    text = request.headers.get(DEPTH_HEADER, "") if request is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def _unsendable_argument(arguments: Mapping[str, Any]) -> str:
    """Why these arguments are no text that can be kept: JSON escapes allow NUL and half of a surrogate pair, UTF-8 and databases do not."""
    for name, value in arguments.items():
        if isinstance(value, str) and name.isascii() and value.isascii() and "\x00" not in value:
            continue
        try:
            has_nul = b"\\u0000" in to_json({name: value}) and _has_nul({name: value})
        except (PydanticSerializationError, ValueError, RecursionError):
            return f"the argument {printable(name)!r} holds text that is not Unicode, or is nested too deeply."
        if has_nul:
            return f"the argument {printable(name)!r} holds a NUL character; leave it out."
    return ""


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
