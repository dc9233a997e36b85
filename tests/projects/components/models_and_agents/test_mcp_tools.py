"""MCP Tools: other servers' tools as a step and for agents, over every transport, within what the operator allows."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from projects.components.models_and_agents.mcp_servers import CommandServer, HttpServer, server_of
from projects.components.models_and_agents.mcp_tools import MCPTools
from projects.components.models_and_agents.mcp_toolset import MCPToolset
from projects.engine.component import Component, ComponentError
from projects.engine.values import Table
from projects.errors import AddressRefused
from projects.outgoing.guard import Guard
from projects.outgoing.tool_servers import ToolServers
from tests.fakes import FakeRunContext, build, output_of
from tests.tool_server import ToolServer, tool_server
from tests.web_server import web_server

COMMAND = (sys.executable, "-m", "tests.tool_server")


@pytest.fixture
async def server() -> AsyncIterator[ToolServer]:
    async with tool_server() as running:
        yield running


def allowing(*commands: str) -> FakeRunContext:
    """A run on a server whose operator allows calls to loopback, and these commands."""
    return FakeRunContext(tool_servers=ToolServers(Guard(["127.0.0.1"]), allowed_commands=commands))


def node(config: dict[str, Any], *, context: FakeRunContext | None = None, type: type[Component] = MCPTools, **fields: Any) -> Any:
    return build(type, context=context or allowing(), mcp_server={"name": "test", "config": config}, **fields)


@pytest.mark.parametrize("transport", ["streamable", "sse"])
async def test_one_tool_is_called_with_the_nodes_fields(server: ToolServer, transport: str) -> None:
    address = server.address if transport == "streamable" else server.sse_address
    instance = node({"url": address}, tool="add", a="2", b=3, unrelated="x", headers={"x-token": "secret"})
    assert await output_of(instance) == Table([{"sum": 5}])
    assert server.calls == [("add", {"a": 2, "b": 3})]
    if transport == "streamable":
        assert server.headers[0]["x-token"] == "secret"


async def test_every_page_of_tools_becomes_an_agents_tools(server: ToolServer) -> None:
    tools = await node({"url": server.address}).tools()
    assert [tool.name for tool in tools] == ["add", "fail", "hang", "say"]
    assert tools[0].parameters["properties"] == {"a": {"type": "integer"}, "b": {"type": "integer"}}
    assert (tools[0].description, tools[0].node_id) == ("Does add.", "MCPTools-test1")
    answers = await asyncio.gather(tools[0].call({"a": 1, "b": 2}), tools[3].call({"text": "hi"}))
    assert list(answers) == ['{"sum": 3}', "hi"]


async def test_a_tool_that_fails_says_so_in_its_own_words(server: ToolServer) -> None:
    (_, fail, *_) = await node({"url": server.address}).tools()
    with pytest.raises(ComponentError, match=r"^It is out of order\.$"):
        await fail.call({})


async def test_a_tool_that_hangs_is_given_up_after_its_time(server: ToolServer) -> None:
    instance = node({"url": server.address}, tool="hang", tool_execution_timeout=0.2)
    with pytest.raises(ComponentError, match="test"):
        await output_of(instance)


async def test_cancelling_a_call_leaves_nothing_running(server: ToolServer) -> None:
    (*_, hang, _) = await node({"url": server.address}).tools()
    calling = asyncio.create_task(hang.call({}))
    await server.started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert not [task for task in asyncio.all_tasks() if "mcp.client" in repr(task.get_coro())]


async def test_an_unknown_tool_is_named_with_those_that_are_there(server: ToolServer) -> None:
    with pytest.raises(ComponentError, match=r"no tool 'subtract'\. Its tools are: add, fail, hang, say\."):
        await output_of(node({"url": server.address}, tool="subtract"))
    with pytest.raises(ComponentError, match="No tool is chosen"):
        await output_of(node({"url": server.address}))


async def test_a_server_on_loopback_is_not_reached_unless_the_operator_allows_it() -> None:
    async with web_server() as canary:
        for address in (canary.address, f"http://2130706433:{canary.port}/sse", f"http://[::ffff:127.0.0.1]:{canary.port}/"):
            with pytest.raises(AddressRefused):
                await node({"url": address}, context=FakeRunContext()).tools()
        assert canary.hits == [] and canary.connections == 0


async def test_a_server_that_is_not_there_is_named() -> None:
    async with web_server() as gone:
        address = gone.address
    with pytest.raises(ComponentError, match="The MCP server 'test' failed"):
        await node({"url": address}).tools()


async def test_a_command_starts_only_when_the_operator_allowed_the_whole_line(server: ToolServer) -> None:
    config = {"command": COMMAND[0], "args": list(COMMAND[1:])}
    with pytest.raises(ComponentError, match="has not allowed it"):
        await node(config).tools()
    with pytest.raises(ComponentError, match="has not allowed it"):
        await node({**config, "args": [*COMMAND[1:], "--more"]}, context=allowing(shlex.join(COMMAND))).tools()
    instance = node(config, context=allowing(shlex.join(COMMAND)), tool="say", text="over stdio")
    assert await output_of(instance) == Table([{"type": "text", "text": "over stdio"}])


async def test_older_nodes_name_a_command_or_an_address(server: ToolServer) -> None:
    by_address = build(MCPToolset, context=allowing(), url=server.sse_address)
    assert [tool.name for tool in await output_of(by_address)] == ["add", "fail", "hang", "say"]
    by_command = build(MCPToolset, context=allowing(), command=shlex.join(COMMAND))
    with pytest.raises(ComponentError, match="has not allowed it"):
        await output_of(by_command)


def test_servers_are_read_from_the_fields_of_every_age() -> None:
    def configured(config: Any) -> HttpServer | CommandServer:
        return server_of({"mcp_server": {"name": "s", "config": config}, "headers": [{"key": "x-a", "value": "1"}]})

    assert configured({"url": "https://a.example/mcp"}) == HttpServer("s", "https://a.example/mcp", {"x-a": "1"})
    assert configured({"url": "https://a.example/sse"}) == HttpServer("s", "https://a.example/sse", {"x-a": "1"}, ("sse", "streamable"))
    assert configured({"url": "https://a.example/x", "type": "sse", "headers": {"x-b": "2"}}) == HttpServer(
        "s", "https://a.example/x", {"x-b": "2", "x-a": "1"}, ("sse",)
    )
    assert configured({"command": "npx -y", "args": ["server"], "env": {"API_KEY": "k"}}) == CommandServer(
        "s", ("npx", "-y", "server"), {"API_KEY": "k"}
    )
    proxy = ["--with", "mcp~=1.28", "mcp-proxy", "--transport", "streamablehttp", "--headers", "x-api-key", "sk", "http://host/streamable"]
    assert configured({"command": "uvx", "args": proxy}) == HttpServer(
        "s", "http://host/streamable", {"x-api-key": "sk", "x-a": "1"}, ("streamable",)
    )
    assert server_of({"mode": "SSE", "sse_url": "http://host/x", "command": "uvx y"}) == HttpServer(
        "http://host/x", "http://host/x", {}, ("sse",)
    )
    assert server_of({"mode": "Stdio", "sse_url": "", "command": "uvx y"}) == CommandServer("uvx y", ("uvx", "y"))
    for fields, problem in (
        ({}, "No MCP server is chosen"),
        ({"mcp_server": {"name": "s"}}, "not where it is"),
        ({"mcp_server": {"name": "s", "config": {"command": "x", "env": {"LD_PRELOAD": "evil.so"}}}}, "may not set LD_PRELOAD"),
        ({"mcp_server": {"name": "s", "config": {"url": "file:///etc/passwd"}}}, "must begin with http"),
    ):
        with pytest.raises(ComponentError, match=problem):
            server_of(fields)
