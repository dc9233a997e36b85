"""Flow documents for tests, in Langflow's export shape, written down in a few words each."""

import json
from collections.abc import Mapping
from typing import Any

FieldSpec = Any  # a plain value, or a mapping with template keys (value, type, show, advanced …)

_WORDS = {str: "str", bool: "bool", int: "int", float: "float", dict: "dict", list: "table"}


def template_field(name: str, spec: FieldSpec) -> dict[str, Any]:
    """A template field as an export has it; a mapping with a `value` key overrides any key."""
    given = dict(spec) if isinstance(spec, Mapping) and "value" in spec else {"value": spec}
    return {
        "name": name,
        "display_name": name.replace("_", " ").title(),
        "type": _WORDS.get(type(given["value"]), "str"),
        "show": True,
        "advanced": False,
        "required": False,
        "list": False,
        "info": "",
        **given,
    }


def node(
    type: str, id: str, fields: Mapping[str, FieldSpec] | None = None, *, outputs: tuple[str, ...] = ("message",), **keys: Any
) -> dict[str, Any]:
    """A node `<type>` with id `<id>`; `keys` go into `data.node` (display_name, edited, frozen …)."""
    template: dict[str, Any] = {
        "_type": "Component",
        "code": {"name": "code", "type": "code", "value": f"class {type.replace(' ', '')}: ...", "show": True},
    }
    template.update({name: template_field(name, spec) for name, spec in (fields or {}).items()})
    return {
        "id": id,
        "type": "genericNode",
        "position": {"x": 0, "y": 0},
        "data": {
            "id": id,
            "type": type,
            "node": {
                "display_name": type,
                "description": "",
                "template": template,
                "outputs": [
                    {"name": name, "display_name": name, "method": name, "types": ["Message"], "selected": "Message", "cache": True}
                    for name in outputs
                ],
                "base_classes": ["Message"],
                "edited": False,
                "frozen": False,
                "tool_mode": False,
                "metadata": {},
                **keys,
            },
        },
    }


def edge(source: str, target: str, field: str, *, output: str = "message", data_type: str = "") -> dict[str, Any]:
    source_handle = {"dataType": data_type or source.partition("-")[0], "id": source, "name": output, "output_types": ["Message"]}
    target_handle = {"fieldName": field, "id": target, "inputTypes": ["Message"], "type": "str"}
    return {
        "id": f"xy-edge__{source}-{target}-{field}",
        "source": source,
        "target": target,
        "sourceHandle": json.dumps(source_handle, sort_keys=True).replace('"', "œ"),
        "targetHandle": json.dumps(target_handle, sort_keys=True).replace('"', "œ"),
        "data": {"sourceHandle": source_handle, "targetHandle": target_handle},
    }


def document(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[str, Any]:
    return {"nodes": nodes, "edges": edges, "viewport": {"x": 0, "y": 0, "zoom": 1}}


def chat_input(id: str = "ChatInput-in", *, text: str = "", **fields: FieldSpec) -> dict[str, Any]:
    return node(
        "ChatInput",
        id,
        {
            "input_value": {"value": text, "_input_type": "MultilineInput", "multiline": True},
            "should_store_message": {"value": True, "advanced": True},
            "sender": {"value": "User", "advanced": True, "options": ["Machine", "User"]},
            "sender_name": {"value": "User", "advanced": True},
            "session_id": {"value": "", "advanced": True},
            **fields,
        },
        display_name="Chat Input",
    )


def chat_output(id: str = "ChatOutput-out", **fields: FieldSpec) -> dict[str, Any]:
    return node(
        "ChatOutput",
        id,
        {
            "input_value": {"value": "", "type": "other", "_input_type": "HandleInput"},
            "should_store_message": {"value": True, "advanced": True},
            "sender": {"value": "Machine", "advanced": True, "options": ["Machine", "User"]},
            "sender_name": {"value": "AI", "advanced": True},
            "session_id": {"value": "", "advanced": True},
            **fields,
        },
        display_name="Chat Output",
    )


def text_input(id: str = "TextInput-in", *, text: str = "", name: str = "Text Input", **fields: FieldSpec) -> dict[str, Any]:
    return node(
        "TextInput", id, {"input_value": {"value": text, "_input_type": "MultilineInput"}, **fields}, outputs=("text",), display_name=name
    )


def text_output(id: str = "TextOutput-out") -> dict[str, Any]:
    return node(
        "TextOutput", id, {"input_value": {"value": "", "_input_type": "MultilineInput"}}, outputs=("text",), display_name="Text Output"
    )


def prompt(id: str, template: str, *variables: str, type: str = "Prompt Template") -> dict[str, Any]:
    fields: dict[str, FieldSpec] = {"template": {"value": template, "type": "prompt", "_input_type": "PromptInput"}}
    fields.update({name: {"value": "", "input_types": ["Message"]} for name in variables})
    return node(type, id, fields, outputs=("prompt",), custom_fields={"template": list(variables)})


def echo() -> dict[str, Any]:
    """Chat input straight into chat output."""
    return document([chat_input(), chat_output()], [edge("ChatInput-in", "ChatOutput-out", "input_value")])


def loop(id: str, **keys: Any) -> dict[str, Any]:
    """A Loop node; connect its way back with `edge_back`."""
    made = node(
        "LoopComponent",
        id,
        {"data": {"value": "", "type": "other", "_input_type": "HandleInput"}},
        outputs=("item", "done"),
        display_name="Loop",
        **keys,
    )
    outputs = made["data"]["node"]["outputs"]
    outputs[0] |= {"types": ["Data"], "allows_loop": True, "loop_types": ["Message"]}
    outputs[1] |= {"types": ["DataFrame"], "allows_loop": False}
    return made


def edge_back(source: str, loop: str, *, output: str = "message") -> dict[str, Any]:
    """An edge that feeds a loop back into its `item` output."""
    made = edge(source, loop, "item", output=output)
    made["data"]["targetHandle"] = {"dataType": "LoopComponent", "id": loop, "name": "item", "output_types": ["Data", "Message"]}
    made["targetHandle"] = json.dumps(made["data"]["targetHandle"], sort_keys=True).replace('"', "œ")
    return made


def run_flow(id: str, flow_name: str, *, flow_id: str = "", **fields: FieldSpec) -> dict[str, Any]:
    """A Run Flow node over a flow with one chat input and one chat output, as `chat_input` and `chat_output` name them."""
    return node(
        "RunFlow",
        id,
        {
            "flow_name_selected": {"value": flow_name, "_input_type": "DropdownInput", "options": [flow_name]},
            "flow_id_selected": {"value": flow_id, "show": False, "override_skip": True},
            "session_id": {"value": "", "advanced": True},
            "ChatInput-in~input_value": {"value": "", "_input_type": "MultilineInput", "input_types": ["Message"]},
            **fields,
        },
        outputs=("ChatOutput-out~message",),
        display_name="Run Flow",
    )


def running(flow_name: str, **keys: Any) -> dict[str, Any]:
    """A chat whose text goes through another flow."""
    return document(
        [chat_input(), run_flow("RunFlow-r", flow_name, **keys), chat_output()],
        [
            edge("ChatInput-in", "RunFlow-r", "ChatInput-in~input_value"),
            edge("RunFlow-r", "ChatOutput-out", "input_value", output="ChatOutput-out~message"),
        ],
    )
