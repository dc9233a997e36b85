"""pydantic-ai's MCP toolset. Arguments: address, key."""

import asyncio
import sys

from pydantic_ai.mcp import MCPToolset
from steps import QUICK, SLOW, STEPS, cancel_after_start, report


async def main(address: str, key: str) -> None:
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with MCPToolset(address, headers={"x-api-key": key}, progress_handler=progress) as toolset:
        tools = [tool.name for tool in await toolset.list_tools()]
        text = str(await toolset.direct_call_tool(QUICK, {}))
        seen.clear()  # it follows every call
        await toolset.direct_call_tool(STEPS, {})
        steps = list(seen)
        await cancel_after_start(toolset.direct_call_tool(SLOW, {}), address, key)
        report(tools, text, steps)


asyncio.run(main(*sys.argv[1:]))
