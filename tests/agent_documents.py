"""Flows with an agent, in Langflow's export shape."""

from collections.abc import Mapping
from typing import Any

from tests import flow_documents as flows

MODEL = "gpt-4o-mini"


def agent(id: str = "Agent-a", *, tool_mode: bool = False, **fields: Any) -> dict[str, Any]:
    """An Agent node as exports have had it since 1.8."""
    return flows.node(
        "Agent",
        id,
        {
            "model": {"value": [{"name": MODEL, "provider": "OpenAI"}], "type": "model", "_input_type": "ModelInput"},
            "api_key": {"value": "sk-test", "password": True, "_input_type": "SecretStrInput"},
            "system_prompt": {"value": "Use the tools.", "_input_type": "MultilineInput"},
            "input_value": {"value": "", "_input_type": "MessageInput", "tool_mode": True},
            "tools": {"value": "", "type": "other", "_input_type": "HandleInput", "list": True},
            "n_messages": 10,
            "max_iterations": 5,
            "handle_parsing_errors": True,
            "add_current_date_tool": False,
            "add_calculator_tool": False,
            **fields,
        },
        outputs=("component_as_tool",) if tool_mode else ("response",),
        tool_mode=tool_mode,
    )


def as_tool(type: str, id: str, fields: Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    return flows.node(type, id, fields, outputs=("component_as_tool",), tool_mode=True, **keys)


CALCULATOR = as_tool("CalculatorComponent", "CalculatorComponent-c", {"expression": {"value": "", "tool_mode": True}})


def with_tools(*tools: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Chat input, an agent with these tools, chat output."""
    edges = [
        flows.edge("ChatInput-in", "Agent-a", "input_value"),
        flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
    ]
    edges += [flows.edge(tool["id"], "Agent-a", "tools", output="component_as_tool") for tool in tools]
    document = flows.document([flows.chat_input(), agent(**fields), *tools, flows.chat_output()], edges)
    for node in document["nodes"]:
        for output in node["data"]["node"]["outputs"]:
            methods = {"response": "message_response", "component_as_tool": "to_toolkit"}
            output["method"] = methods.get(output["name"], output["method"])
    return document
