"""What our figures stand beside: the SDK's low-level server and a Starlette route, each doing nothing but echo.

python -m tests.bench.bare_servers sdk|starlette
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SCHEMA = {"type": "object", "properties": {"input_value": {"type": "string"}}}


def sdk_app() -> Starlette:
    async def list_tools(ctx: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="bench_echo", input_schema=SCHEMA)])

    async def call_tool(ctx: ServerRequestContext[Any, Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(text=(params.arguments or {})["input_value"])])

    # Without `get_tool_input_schema` the SDK lists the tools once more for each call, and the figure would flatter us.
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda name: None)
    manager = StreamableHTTPSessionManager(server)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=lifespan)


def starlette_app() -> Starlette:
    async def echo(request: Request) -> Response:
        return Response(to_json({"text": from_json(await request.body())["input_value"]}), media_type="application/json")

    return Starlette(routes=[Route("/run", echo, methods=["POST"])])


async def serve(app: Starlette) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, loop="none", http="httptools", ws="none", log_level="error", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    import uvloop

    chosen = {"sdk": sdk_app, "starlette": starlette_app}[sys.argv[1]]()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(chosen))
