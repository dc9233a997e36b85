"""mcp-proxy on stdio, driven by the Python SDK's first generation. Arguments: address, key, transport (streamablehttp or sse)."""

import asyncio
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    ClientRequest,
)
from steps import QUICK, SLOW, STEPS, newest_run, report, until_another_runs


async def main(address: str, key: str, transport: str) -> None:
    proxy = str(Path(sys.executable).with_name("mcp-proxy"))
    parameters = StdioServerParameters(
        command=proxy, args=["--transport", transport, "-H", "x-api-key", key, address], env=dict(os.environ)
    )
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with stdio_client(parameters) as (incoming, outgoing), ClientSession(incoming, outgoing) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        text = (await session.call_tool(QUICK)).content[0].text
        await session.call_tool(STEPS, progress_callback=progress)
        request = ClientRequest(CallToolRequest(params=CallToolRequestParams(name=SLOW, arguments={})))
        number = session._request_id
        before = await newest_run(address, key)
        call = asyncio.ensure_future(session.send_request(request, CallToolResult))
        await until_another_runs(before, address, key)
        cancelled = CancelledNotification(params=CancelledNotificationParams(requestId=number))
        await session.send_notification(ClientNotification(cancelled))
        await asyncio.wait([call], timeout=2)
        call.cancel()
        report(tools, text, seen)


asyncio.run(main(*sys.argv[1:]))
