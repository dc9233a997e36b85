"""openai-agents' MCP servers. Arguments: address, key, transport (http or sse)."""

import asyncio
import sys
from typing import Any

from agents.mcp import MCPServerSse, MCPServerStreamableHttp
from steps import QUICK, SLOW, STEPS, cancel_after_start, report


async def main(address: str, key: str, transport: str) -> None:
    kind = MCPServerSse if transport == "sse" else MCPServerStreamableHttp
    params: Any = {"url": address, "headers": {"x-api-key": key}}
    async with kind(params=params, client_session_timeout_seconds=30) as server:
        tools = [tool.name for tool in await server.list_tools()]
        text = (await server.call_tool(QUICK, {})).content[0].text
        # It has no way to be told of progress.
        await server.call_tool(STEPS, {})
        await cancel_after_start(server.call_tool(SLOW, {}), address, key)
        report(tools, text, [])


asyncio.run(main(*sys.argv[1:]))
