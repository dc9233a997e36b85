"""tools/list and tools/call: parse, ask `projects/tools.py` one thing, shape the answer. Results are plain wire dicts."""

import logging
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, PaginatedRequestParams
from pydantic_core import PydanticSerializationError, to_json
from starlette.requests import Request

from mcp_server.call_limits import CallLimits
from mcp_server.elicitation import check_shape
from mcp_server.errors import printable, protocol_error, tool_failure_text, unknown_tool
from mcp_server.long_calls import Call, come_back, follow, resume
from mcp_server.pagination import page_of
from mcp_server.progress import progress_of
from mcp_server.request_identity import request_id
from mcp_server.results import GET_RUN, failure
from mcp_server.visit import visit_of
from projects.engine.context import DEPTH_HEADER
from projects.engine.events import ignore
from projects.errors import HeadwaterError, InvalidInput, NotFound
from projects.tools import Tool

logger = logging.getLogger(__name__)

EXCLUDED_FLOWS_KEY = "langflow.org/excluded-flows"

PAGE_SIZE = 200
MAX_ARGUMENTS = 10_000  # each one that is unknown costs a report of its own, and a message has room for hundreds of thousands

_VARIABLE_HEADER = b"x-langflow-global-var-"

Context = ServerRequestContext[Any, Request]


async def list_tools(ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
    """In the order of the kept map that calls are answered from, which is that of the flows' ids."""
    visit = visit_of(ctx)
    try:
        kept = await visit.services.tools.tool_map(visit.caller, visit.project_id)
    except HeadwaterError as error:
        raise protocol_error(error) from error
    listed = tuple(kept.tools.values())
    chosen, following = page_of(listed, kind="tools", cursor=params.cursor, size=PAGE_SIZE, key=lambda tool: tool.flow_id)
    result: dict[str, Any] = {"resultType": "complete", "tools": [_wire_tool(tool) for tool in chosen]}
    if following is not None:
        result["nextCursor"] = following
    if kept.excluded and visit.project_id is not None:
        result["_meta"] = {EXCLUDED_FLOWS_KEY: [{"id": id, "reason": reason} for id, reason in kept.excluded.items()]}
    return result


class ToolCalls:
    """tools/list and tools/call with what a process allows calls; one for every project of a server."""

    def __init__(self, limits: CallLimits | None = None) -> None:
        self._limits = limits or CallLimits()

    async def list_tools(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        result = await list_tools(ctx, params)
        if "nextCursor" not in result and self._limits.answer_after and await _may_outlast_calls(ctx):
            result["tools"].append(_GET_RUN)
        return result

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> dict[str, Any]:
        raw = ctx.params or {}
        return await self.run_tool(ctx, params.name, params.arguments or {}, raw.get("inputResponses"), params.request_state)

    async def run_tool(
        self, ctx: Context, name: str, arguments: Mapping[str, Any], responses: Any = None, state: str | None = None
    ) -> dict[str, Any]:
        """Run the flow behind a tool's name, or go on with the run of an earlier call.

        What is wrong with the call is told to the model; an unknown name and a bad `requestState` are protocol errors.
        """
        if unsendable := _unsendable_argument(arguments):
            return failure(f"Tool {printable(name)!r} was not run: {unsendable}")
        call = Call(ctx, name, arguments, self._limits, progress_of(ctx))
        visit = call.visit
        try:
            if responses is not None:
                call.responses = _checked_responses(responses)
            if state is not None:
                return await resume(call, state)
            if name == GET_RUN:
                return await _get_run(call)
            tool, invocation = await visit.services.tools.prepare_call(
                visit.caller,
                visit.project_id,
                name,
                arguments,
                request_variables=_request_variables(ctx.request),
                depth=_depth(ctx.request),
            )
            call.tool = tool
            on_event = ignore if call.progress is None else call.progress.tell
            handle = await visit.services.invocations.open(visit.caller, tool.prepared, invocation, on_event=on_event)
            return await follow(call, handle, invocation.session_id or "")
        except MCPError:
            raise
        except NotFound as error:
            if error.kind == "tool":
                raise unknown_tool(name) from None
            return failure(tool_failure_text(name, error))
        except HeadwaterError as error:
            return failure(tool_failure_text(name, error))
        except Exception:
            # A boundary: one call. The model learns that it failed and where to look, never what the inside looks like.
            logger.exception("Tool %r of project %s failed unexpectedly", printable(name), visit.project_id)
            reference = f" (reference {id})" if (id := request_id.get()) else ""
            return failure(f"Error in tool {printable(name)!r}: the server failed unexpectedly{reference}.")


def _checked_responses(responses: Any) -> dict[str, Any]:
    try:
        return dict(check_shape(responses))
    except InvalidInput as error:
        raise protocol_error(error) from None


_GET_RUN: Mapping[str, Any] = {
    "name": GET_RUN,
    "title": "Get run",
    "description": (
        "The result of a run that an earlier call left still running or waiting for a person. Waits a while for it; call it again as long "
        "as the run goes on."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {"run_id": {"type": "string", "title": "Run", "description": "The run id that the earlier call gave."}},
        "required": ["run_id"],
        "additionalProperties": False,
    },
    "annotations": {"title": "Get run", "readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False},
}


async def _may_outlast_calls(ctx: Context) -> bool:
    """Whether `get_run` is of use here. Flows that only compute end long before a call's time, and lists should be short."""
    visit = visit_of(ctx)
    kept = await visit.services.tools.tool_map(visit.caller, visit.project_id)
    return any(tool.may_take_long for tool in kept.tools.values())


async def _get_run(call: Call) -> dict[str, Any]:
    """What became of a run of this caller in this project; any other id is unknown."""
    visit, run_id = call.visit, call.arguments.get("run_id")
    if not isinstance(run_id, str) or call.arguments.keys() != {"run_id"}:
        return failure(f"Tool {GET_RUN!r} was not run: it takes one argument, run_id, the text that the earlier call gave.")
    unknown = f"Tool {GET_RUN!r}: there is no run {printable(run_id)!r} of yours in this project."
    try:
        run = await visit.services.runs.get(visit.caller, run_id)
    except NotFound:
        return failure(unknown)
    if visit.project_id is not None and run.project_id != visit.project_id:
        return failure(unknown)
    return await come_back(call, run)


def _wire_tool(tool: Tool) -> dict[str, Any]:
    hints = tool.hints
    wire = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": {
            "title": tool.title,
            "readOnlyHint": hints.is_read_only,
            "destructiveHint": hints.is_destructive,
            "idempotentHint": hints.is_idempotent,
            "openWorldHint": hints.is_open_world,
        },
    }
    return wire | {"icons": tool.icons} if tool.icons else wire


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
    """Why these arguments are too many, or no text that can be kept: JSON escapes allow NUL and half of a surrogate pair, UTF-8 and
    databases do not."""
    if len(arguments) > MAX_ARGUMENTS:
        return f"it was given {len(arguments):,} arguments, and at most {MAX_ARGUMENTS:,} are read."
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
