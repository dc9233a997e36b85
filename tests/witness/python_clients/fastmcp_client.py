"""FastMCP's client. Arguments: address, key, transport (http or sse), mode (auto or legacy)."""

import asyncio
import sys

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from steps import QUICK, SLOW, STEPS, cancel_after_start, report


async def main(address: str, key: str, transport: str, mode: str) -> None:
    kind = SSETransport if transport == "sse" else StreamableHttpTransport
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with Client(kind(address, headers={"x-api-key": key}), mode=mode) as client:
        tools = [tool.name for tool in await client.list_tools()]
        text = (await client.call_tool(QUICK)).content[0].text
        await client.call_tool(STEPS, progress_handler=progress)
        await cancel_after_start(client.call_tool(SLOW), address, key)
        report(tools, text, seen)


asyncio.run(main(*sys.argv[1:]))
