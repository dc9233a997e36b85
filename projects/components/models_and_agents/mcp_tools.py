"""MCP Tools: the tools of an MCP server, one of them called as a step of the flow or all of them given to an agent.

The one place below `projects` that speaks MCP, and only when a flow needs it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from pydantic_core import from_json

from projects.components.conversion import plain_text
from projects.components.models_and_agents.mcp_servers import CommandServer, HttpServer, Transport, named_server, server_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output, VertexInfo
from projects.engine.context import DEPTH_HEADER, RunContext, ToolServerAccess
from projects.engine.tools import Tool
from projects.engine.values import Data, Row, Table, jsonable
from projects.errors import HeadwaterError

if TYPE_CHECKING:
    import mcp
    import mcp_types

CONNECT_SECONDS = 30.0
CALL_SECONDS = 180.0
MAX_CALL_SECONDS = 3_600.0
MAX_TOOLS = 1_000

_Result = TypeVar("_Result")


class MCPTools(Component):
    """Each listing and each call has a connection of its own, opened, used and closed in one task; nothing stays open behind a run."""

    type: ClassVar[str] = "MCPTools"
    display_name: ClassVar[str] = "MCP Tools"
    description: ClassVar[str] = "Calls a tool of an MCP server, or gives its tools to an agent."
    category: ClassVar[str] = "models_and_agents"
    icon: ClassVar[str] = "Mcp"
    aliases: ClassVar[tuple[str, ...]] = ("MCPToolsComponent",)
    takes_more_fields = True  # the arguments of the chosen tool
    reads_world = True
    writes_world = True
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        Input("mcp_server", InputKind.ANY, "MCP Server", "Name and configuration of the server.", protected=True, field_type="mcp"),
        Input("tool", InputKind.STRING, "Tool", "The tool to call."),
        Input(
            "headers",
            InputKind.MAPPING,
            "Headers",
            "Sent with every request to the server.",
            default={},
            advanced=True,
            protected=True,
            field_type="dict",
        ),
        Input(
            "use_cache", InputKind.BOOLEAN, "Use Cached Server", "Kept for older flows.", default=False, advanced=True, field_type="bool"
        ),
        Input(
            "verify_ssl",
            InputKind.BOOLEAN,
            "Verify SSL Certificate",
            "Refuse a server whose certificate cannot be checked.",
            default=True,
            advanced=True,
            protected=True,
            field_type="bool",
        ),
        Input(
            "tool_execution_timeout",
            InputKind.NUMBER,
            "Tool Timeout",
            "Seconds that one call may take.",
            default=CALL_SECONDS,
            advanced=True,
            field_type="float",
        ),
        Input("tool_placeholder", display_name="Tool Placeholder", info="Kept for older flows.", advanced=True, show=False, tool_mode=True),
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (
        Output("response", "build_output", ("DataFrame", "Table"), "Response", tool_mode=False),
    )

    async def build_output(self) -> Any:
        """What the chosen tool answers, a row for each part of it."""
        wanted = plain_text(self.inputs.get("tool")).strip()
        if not wanted:
            raise ComponentError("No tool is chosen. Choose one of the server's tools, or connect the node to an agent as a tool.")

        async def call(client: mcp.Client) -> mcp_types.CallToolResult:
            tools = await _listed(client)
            chosen = next((tool for tool in tools if tool.name == wanted), None)
            if chosen is None:
                known = ", ".join(tool.name for tool in tools[:20]) or "none"
                raise ComponentError(f"The MCP server has no tool {wanted!r}. Its tools are: {known}.")
            return await client.call_tool(wanted, self._arguments(chosen.input_schema))

        return Table(_rows(await self._connected(call, seconds=self._call_seconds())))

    async def tools(self) -> list[Tool]:
        """All tools of the server, for an agent."""
        tools = await self._connected(_listed, seconds=CONNECT_SECONDS)
        return [
            Tool(
                name=tool.name,
                description=tool.description or tool.title or tool.name,
                parameters=tool.input_schema or {"type": "object", "properties": {}},
                call=self._caller(tool.name),
                node_id=self.vertex.id,
                display_name=tool.title or tool.name,
            )
            for tool in tools
        ]

    def _caller(self, name: str) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        async def call(arguments: Mapping[str, Any]) -> Any:
            result = await self._connected(lambda client: client.call_tool(name, dict(arguments)), seconds=self._call_seconds())
            rows = _rows(result)
            texts = [part.text for part in result.content if part.type == "text"]
            if len(texts) == len(result.content):
                return "\n".join(texts)
            return Data(rows[0]) if len(rows) == 1 else rows

        return call

    async def _connected(self, use: Callable[[mcp.Client], Awaitable[_Result]], *, seconds: float) -> _Result:
        """Connect, use, close. Whatever goes wrong on the way is told as one failure with the server's name."""
        server = await self._server()
        try:
            async with asyncio.timeout(CONNECT_SECONDS + seconds), self._open(server, seconds) as client:
                return await use(client)
        except Exception as error:  # A protocol, its transport and a foreign server can fail in any way; here it gets one shape.
            raise _failure(error, server, seconds) from error

    async def _server(self) -> HttpServer | CommandServer:
        """The server as the node describes it, or as its owner has registered it under the name that the node has."""
        name = named_server(self.inputs)
        config = await self.context.tool_servers.find_config(name) if name else None
        return server_of(self.inputs if config is None else {**self.inputs, "mcp_server": {"name": name, "config": config}})

    @asynccontextmanager
    async def _open(self, server: HttpServer | CommandServer, seconds: float) -> AsyncIterator[mcp.Client]:
        if isinstance(server, CommandServer):
            async with self._open_command(server, seconds) as client:
                yield client
            return
        await self.context.tool_servers.check_address(server.url)
        async with AsyncExitStack() as stack:
            yield await self._first_that_answers(server, seconds, stack)

    async def _first_that_answers(self, server: HttpServer, seconds: float, stack: AsyncExitStack) -> mcp.Client:
        """The transports in their order; only connecting is tried twice, a call never."""
        for transport in server.transports[:-1]:
            attempt = AsyncExitStack()
            try:
                client = await self._enter_http(server, transport, seconds, attempt)
            except Exception as error:
                await attempt.aclose()
                if isinstance(_first(error), TimeoutError | HeadwaterError):
                    raise
                continue
            stack.push_async_exit(attempt)
            return client
        return await self._enter_http(server, server.transports[-1], seconds, stack)

    async def _enter_http(self, server: HttpServer, transport: Transport, seconds: float, stack: AsyncExitStack) -> mcp.Client:
        import mcp
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client

        def http_client(**_: Any) -> Any:  # what the SDK would set is set here
            return self.context.tool_servers.http_client(
                headers={**server.headers, DEPTH_HEADER: str(self.context.depth)},
                timeout_seconds=CONNECT_SECONDS,
                read_timeout_seconds=seconds,
                verify=self.inputs.get("verify_ssl") is not False,
            )

        if transport == "sse":
            streams: Any = sse_client(server.url, httpx_client_factory=cast(Any, http_client))
        else:
            streams = streamable_http_client(server.url, http_client=await stack.enter_async_context(http_client()))
        return await stack.enter_async_context(mcp.Client(streams, read_timeout_seconds=seconds, cache=None))

    @asynccontextmanager
    async def _open_command(self, server: CommandServer, seconds: float) -> AsyncIterator[mcp.Client]:
        if not self.context.tool_servers.is_allowed(server.command_line):
            raise ComponentError(
                f"The MCP server {server.name!r} would be started by a command, and the operator of this server has not allowed it. "
                "Whole command lines are allowed with HEADWATER_ALLOWED_MCP_COMMANDS."
            )
        import mcp
        from mcp.client.stdio import StdioServerParameters, stdio_client

        command, *arguments = server.command_line
        parameters = StdioServerParameters(command=command, args=arguments, env=dict(server.environment))
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 (a device that never waits)
            async with mcp.Client(stdio_client(parameters, errlog=nowhere), read_timeout_seconds=seconds, cache=None) as client:
                yield client

    def _arguments(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The chosen tool's arguments from the node's fields; `a.b` fills what is nested. Empty optional ones are left out."""
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        arguments: dict[str, Any] = {}
        for name, value in self.inputs.items():
            path = name.split(".")
            if name in _OWN_FIELDS or path[0] not in properties:
                continue
            if value is None or (value in ("", [], {}) and path[0] not in required):
                continue
            _put(arguments, path, _typed(value, properties[path[0]] if len(path) == 1 else {}))
        return arguments

    def _call_seconds(self) -> float:
        wanted = self.inputs.get("tool_execution_timeout")
        return min(float(wanted), MAX_CALL_SECONDS) if isinstance(wanted, int | float) and wanted > 0 else CALL_SECONDS


_OWN_FIELDS = frozenset(item.name for item in MCPTools.declared_inputs) | {"tools_metadata"}


@dataclass(frozen=True, slots=True)
class _NoRun:
    """What listing tools needs of a run, for somebody who only wants to know them."""

    tool_servers: ToolServerAccess
    depth: int = 1


async def list_tools(config: Mapping[str, Any], name: str, access: ToolServerAccess) -> list[Tool]:
    """The tools of a server outside of any run. Raises what a node would: ComponentError, AddressRefused."""
    vertex = VertexInfo(id=name, type=MCPTools.type, display_name=name)
    asking = cast(RunContext, _NoRun(access))
    return await MCPTools(vertex=vertex, inputs={"mcp_server": {"name": name, "config": dict(config)}}, context=asking).tools()


async def _listed(client: mcp.Client) -> list[mcp_types.Tool]:
    """Every page of the server's tools."""
    tools: list[mcp_types.Tool] = []
    cursor: str | None = None
    while len(tools) < MAX_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools.extend(page.tools)
        if not page.next_cursor or page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    return tools[:MAX_TOOLS]


def _rows(result: mcp_types.CallToolResult) -> list[Row]:
    """The parts of an answer: JSON texts as their records, everything else as it is. Raises ComponentError when it is an error."""
    if result.is_error:
        text = "\n".join(part.text for part in result.content if part.type == "text")
        raise ComponentError(text or "The tool failed and said nothing about it.")
    rows: list[Row] = []
    for part in result.content:
        rows += _json_rows(part.text) if part.type == "text" else [part.model_dump(mode="json", by_alias=True, exclude_none=True)]
    if not rows and result.structured_content is not None:
        structured = jsonable(result.structured_content)
        rows = [structured if isinstance(structured, dict) else {"result": structured}]
    return rows


def _json_rows(text: str) -> list[Row]:
    try:
        value = from_json(text)
    except ValueError:
        value = None
    match value:
        case dict():
            return [value]
        case [*items] if items and all(isinstance(item, dict) for item in items):
            return items
        case _:
            return [{"type": "text", "text": text}]


def _put(arguments: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        inner = arguments.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        arguments = inner
    arguments[path[-1]] = value


def _typed(value: Any, schema: Any) -> Any:
    """A text of a field as the type that the tool's schema asks for, where it plainly is one."""
    value = jsonable(value)
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not isinstance(value, str) or kind in (None, "string"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _first(error: BaseException) -> BaseException:
    """The failure inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _failure(error: Exception, server: HttpServer | CommandServer, seconds: float) -> Exception:
    cause: BaseException | None = _first(error)
    while cause is not None:  # the guard's refusal, however deep libraries have wrapped it
        if isinstance(cause, HeadwaterError | ComponentError):
            return cause
        cause = cause.__cause__ or cause.__context__
    first = _first(error)
    if isinstance(first, TimeoutError):
        return ComponentError(f"The MCP server {server.name!r} did not answer within {seconds:g} seconds.")
    return ComponentError(f"The MCP server {server.name!r} failed: {str(first) or type(first).__name__}")
