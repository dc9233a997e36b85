"""An MCP server on loopback whose tools tests call: over streamable HTTP, over SSE, and by `python -m tests.tool_server` over stdio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.loopback import serving


@dataclass
class ToolServer:
    """`calls` are the calls it got, `hung` those that were cancelled while they hung."""

    port: int = 0
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    hung: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def sse_address(self) -> str:
        return f"http://127.0.0.1:{self.port}/sse"

    async def list_tools(self, ctx: Any, params: Any) -> types.ListToolsResult:
        """In two pages, as large servers list them."""
        if params is None or not params.cursor:
            return types.ListToolsResult(tools=[_tool("add", a="integer", b="integer")], next_cursor="more")
        return types.ListToolsResult(tools=[_tool("fail"), _tool("hang"), _tool("say", text="string")])

    async def call_tool(self, ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = dict(params.arguments or {})
        self.calls.append((params.name, arguments))
        if getattr(ctx, "request", None) is not None:
            self.headers.append(dict(ctx.request.headers))
        match params.name:
            case "add":
                return _text(json.dumps({"sum": arguments["a"] + arguments["b"]}))
            case "say":
                return _text(str(arguments.get("text")))
            case "hang":
                self.started.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.hung += 1
        return types.CallToolResult(content=[types.TextContent(type="text", text="It is out of order.")], is_error=True)

    def server(self) -> Server[Any]:
        return Server("tools-of-a-test", on_list_tools=self.list_tools, on_call_tool=self.call_tool)


def _tool(name: str, **arguments: str) -> types.Tool:
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in arguments.items()}, "required": list(arguments)}
    return types.Tool(name=name, description=f"Does {name}.", input_schema=schema)


def _text(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


@asynccontextmanager
async def tool_server() -> AsyncIterator[ToolServer]:
    served = ToolServer()
    server = served.server()
    manager = StreamableHTTPSessionManager(server)
    sse = SseServerTransport("/messages/")

    async def open_stream(request: Request) -> Response:
        async with sse.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        await manager.handle_request(scope, receive, send)

    routes = [Route("/sse", open_stream), Mount("/messages/", app=sse.handle_post_message), Mount("/", app=handle)]
    is_there, is_over = asyncio.Event(), asyncio.Event()

    async def serve() -> None:  # a task of its own: fixtures are set up and torn down in different ones
        async with manager.run(), serving(Starlette(routes=routes), lifespan="off", ws="none") as served.port:
            is_there.set()
            await is_over.wait()

    running = asyncio.create_task(serve())
    await is_there.wait()
    try:
        yield served
    finally:
        is_over.set()
        await running


async def _over_stdio() -> None:
    from mcp.server.stdio import stdio_server

    server = ToolServer().server()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(_over_stdio())
