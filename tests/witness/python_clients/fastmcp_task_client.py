"""FastMCP's client for tasks: a call that outlasts the server's patience, waited for and cancelled. Arguments: address, key."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp_tasks.client import call_tool_task
from steps import LONG, SLOW


async def main(address: str, key: str) -> None:
    async with Client(StreamableHttpTransport(address, headers={"x-api-key": key})) as client:
        task = await call_tool_task(client, LONG)
        text = (await task.result()).content[0].text
        slow = await call_tool_task(client, SLOW)
        before = (await slow.status()).status
        await slow.cancel()
        after = (await slow.wait()).status
        print(json.dumps({"text": text, "before": before, "after": after}))


asyncio.run(main(*sys.argv[1:]))
