"""MCP Tools as exports before 1.4 have it: a command or an address, and all tools as the one output."""

from __future__ import annotations

from projects.components.models_and_agents.mcp_tools import MCPTools
from projects.engine.component import Input, InputKind, Output
from projects.engine.tools import Tool


class MCPToolset(MCPTools):
    """Gives the tools of a server to an agent."""

    type = "MCPStdio"
    display_name = "MCP Toolset"
    description = "Gives the tools of an MCP server to an agent."
    aliases = ("MCPSse", "MCPSseTools", "MCPStdioComponent", "MCPSseComponent")
    legacy = True
    declared_inputs = (
        Input("command", InputKind.STRING, "MCP command", "The command that starts the server.", protected=True),
        Input("url", InputKind.STRING, "MCP SSE URL", "The address of the server.", protected=True),
    )
    declared_outputs = (Output("tools", "build_output", ("Tool",), "Tools", tool_mode=False),)

    async def build_output(self) -> list[Tool]:
        return await self.tools()
