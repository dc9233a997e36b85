"""Flow as Tool: another flow for an agent to call, in flows from before tool mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text
from projects.components.flow_controls import child_flow
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.tool_mode import name_of
from projects.engine.tools import Tool, ToolFailed


class FlowTool(Component):
    """The tool takes one text, the other flow's chat input, and answers with its outputs."""

    type = "FlowTool"
    display_name = "Flow as Tool"
    description = "Offers another flow to an agent as a tool."
    category = "flow_controls"
    icon = "hammer"
    legacy = True
    reads_world = True
    writes_world = True
    declared_inputs = (
        Input("flow_name", InputKind.STRING, "Flow Name", "The name of the flow.", required=True),
        Input("tool_name", InputKind.STRING, "Name", "What the agent calls the tool."),
        Input("tool_description", InputKind.STRING, "Description", "What the tool is for."),
        Input(
            "return_direct", InputKind.BOOLEAN, "Return Direct", "Kept for older exports.", default=False, advanced=True, field_type="bool"
        ),
    )
    declared_outputs = (Output("api_build_tool", "build_tool", ("Tool",), "Tool", tool_mode=False),)

    async def build_tool(self) -> list[Tool]:
        child = await child_flow.find(self.context, self.inputs.get("flow_name"))

        async def call(arguments: Mapping[str, Any]) -> Any:
            text = arguments.get("input_value")
            if not isinstance(text, str):
                raise ToolFailed("The argument 'input_value' is missing: the text for the flow.")
            result = await self.context.flows.run_flow(child.id, input_value=text, values={}, session_id=self.context.session_id)
            return "\n".join(plain_text(value) for value in child_flow.all_values(result))

        return [
            Tool(
                name=name_of(str(self.inputs.get("tool_name") or child.name)),
                description=str(self.inputs.get("tool_description") or "") or child.description or f"Runs the flow {child.name!r}.",
                parameters={
                    "type": "object",
                    "properties": {"input_value": {"type": "string", "description": "The text for the flow."}},
                    "required": ["input_value"],
                    "additionalProperties": False,
                },
                call=call,
                node_id=self.vertex.id,
                display_name=self.vertex.display_name,
            )
        ]
