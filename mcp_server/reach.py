"""Calls a project's server as a client would: by its address with its key, or by the very command that stands in a client's file."""

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any

from client_configs.connection import Command
from mcp_server.bridge.messages import VERSION_KEY, Message, routing_headers
from mcp_server.bridge.remote import Problem, Refused, Remote, open_http

REVISION = "2026-07-28"
SESSION_REVISION = "2025-11-25"
CLIENT = {"name": "headwater-install", "version": "1"}
COMMAND_SECONDS = 30.0
MAX_PAGES = 1_000
LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reach:
    """`problem` says why it ends where it ends, in words for a person."""

    is_reachable: bool
    is_authorised: bool
    tool_count: int | None = None
    problem: str | None = None

    def __str__(self) -> str:
        if self.tool_count is not None:
            return f"reachable, authorised, {self.tool_count} {'tool' if self.tool_count == 1 else 'tools'}"
        state = "reachable, authorised" if self.is_authorised else "reachable, not authorised" if self.is_reachable else "not reachable"
        return f"{state}. {self.problem}"


async def reach_by_address(url: str, key: str | None, *, version: str) -> Reach:
    """Lists the tools over streamable HTTP."""
    count, cursor = 0, None
    async with open_http(url, version) as http:
        remote = Remote(url, key, http)
        try:
            for _ in range(MAX_PAGES):
                result = await _list(remote, cursor)
                count += len(result.get("tools", []))
                cursor = result.get("nextCursor")
                if cursor is None:
                    break
        except Refused as refused:
            return Reach(True, refused.status not in (401, 403, 404), problem=refused.message)
        except Problem as problem:
            return Reach(False, False, problem=problem.message)
    return Reach(True, True, count)


async def _list(remote: Remote, cursor: str | None) -> Message:
    meta = {VERSION_KEY: REVISION, "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": CLIENT}
    params = {"_meta": meta} | ({"cursor": cursor} if cursor is not None else {})
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
    async with remote.post(message, routing_headers(message, REVISION)) as answer:
        async for received in answer.messages():
            if received.message.get("id") == 1:
                return _result(received.message)
    raise Refused(f"{remote.url} gave no answer.", 200)


async def reach_by_command(command: Command) -> Reach:
    """Starts the command as a client does, with its environment, and lists the tools over its standard input and output."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(command.program, *command.arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | dict(command.environment),
            limit=LINE_BYTES,
        )
    except OSError as error:
        return Reach(False, False, problem=f"{command.program} cannot be started: {error.strerror or error}.")
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            hello = {"protocolVersion": SESSION_REVISION, "capabilities": {}, "clientInfo": CLIENT}
            await _ask(process, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})
            await _say(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            listed = await _ask(process, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        return Reach(True, True, len(listed.get("tools", [])))
    except Refused as refused:
        return Reach(False, False, problem=refused.message)
    except (TimeoutError, OSError, ValueError):
        return Reach(False, False, problem=f"{command.program} did not answer as an MCP server within {COMMAND_SECONDS:.0f} s.")
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _say(process: asyncio.subprocess.Process, message: Message) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    await process.stdin.drain()


async def _ask(process: asyncio.subprocess.Process, message: Message) -> Message:
    assert process.stdout is not None
    await _say(process, message)
    while line := await process.stdout.readline():
        received = json.loads(line)
        if isinstance(received, dict) and received.get("id") == message["id"]:
            return _result(received)
    raise Refused("The command ended without an answer.", 200)


def _result(message: Message) -> Message:
    result: Any = message.get("result")
    if not isinstance(result, dict):
        error = message.get("error")
        raise Refused(str(error.get("message")) if isinstance(error, dict) else "The server's answer has no result.", 200)
    return result
