"""An echo flow of the size a real export has: chat in, chat out, and the text of their code beside them."""

from typing import Any

CODE = "# The text an export carries with each node; it is kept and never executed.\n" * 150


def echo_flow(project_id: str) -> dict[str, Any]:
    """What `POST /api/v1/flows/` takes."""
    source = {"dataType": "ChatInput", "id": "ChatInput-bench", "name": "message", "output_types": ["Message"]}
    target = {"fieldName": "input_value", "id": "ChatOutput-bench", "inputTypes": ["Data", "DataFrame", "Message"], "type": "other"}
    edge = {
        "id": "xy-edge__bench",
        "source": source["id"],
        "target": target["id"],
        "sourceHandle": _handle(source),
        "targetHandle": _handle(target),
        "data": {"sourceHandle": source, "targetHandle": target},
    }
    nodes = [
        _node("ChatInput", _field("input_value", "str", "MultilineInput", info="What to echo.")),
        _node("ChatOutput", _field("input_value", "other", "HandleInput", input_types=target["inputTypes"])),
    ]
    return {
        "name": "Bench Echo",
        "description": "Answers with what it was sent.",
        "folder_id": project_id,
        "mcp_enabled": True,
        "action_name": "bench_echo",
        "data": {"nodes": nodes, "edges": [edge], "viewport": {"x": 0, "y": 0, "zoom": 1}},
    }


def _node(type_: str, field: dict[str, Any]) -> dict[str, Any]:
    id_ = f"{type_}-bench"
    code = {**_field("code", "code", "CodeInput"), "value": CODE, "advanced": True}
    output = {"name": "message", "display_name": "Message", "method": "message_response", "types": ["Message"], "selected": "Message"}
    node = {
        "display_name": type_,
        "base_classes": ["Message"],
        "template": {"_type": "Component", "code": code, "input_value": field},
        "outputs": [output],
        "field_order": ["input_value"],
    }
    return {"id": id_, "type": "genericNode", "position": {"x": 0, "y": 0}, "data": {"id": id_, "type": type_, "node": node}}


def _field(name: str, type_: str, input_type: str, **more: Any) -> dict[str, Any]:
    common = {"name": name, "display_name": name, "type": type_, "_input_type": input_type, "value": "", "show": True, "advanced": False}
    return {**common, "required": False, "list": False, "info": "", **more}


def _handle(handle: dict[str, Any]) -> str:
    return str(handle).replace("'", "œ")
