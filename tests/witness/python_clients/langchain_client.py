"""langchain-mcp-adapters. Arguments: address, key, transport (streamable_http or sse)."""

import asyncio
import sys
from typing import Any

from langchain_mcp_adapters.callbacks import CallbackContext, Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from steps import QUICK, SLOW, STEPS, cancel_after_start, report


async def main(address: str, key: str, transport: str) -> None:
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None, context: CallbackContext) -> None:
        seen.append(progress)

    callbacks = Callbacks(on_progress=progress)
    connection: Any = {"transport": transport, "url": address, "headers": {"x-api-key": key}}
    client = MultiServerMCPClient({"witness": connection}, callbacks=callbacks)
    async with client.session("witness") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session, callbacks=callbacks, server_name="witness")}
        answer = await tools[QUICK].ainvoke({})
        seen.clear()  # it follows every call
        await tools[STEPS].ainvoke({})
        steps = list(seen)
        await cancel_after_start(tools[SLOW].ainvoke({}), address, key)
        report(list(tools), answer[0]["text"] if isinstance(answer, list) else answer, steps)


asyncio.run(main(*sys.argv[1:]))
