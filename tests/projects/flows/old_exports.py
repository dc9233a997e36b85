"""Exports as older releases wrote them, made up for tests: 1.0 alpha, 1.0, 1.1, 1.3 and 1.4. Each says what is typical of its age."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MODEL = "gpt-3.5-turbo"


def _node(
    id: str, type: str, template: Mapping[str, Any], outputs: Sequence[tuple[str, str, str]] | None, *, kind: str = "Component", **keys: Any
) -> dict[str, Any]:
    """`outputs`: (name, method, type) each; None: that release listed none. A field is its value, or keys of a template field."""
    fields: dict[str, Any] = {
        "_type": kind,
        "code": {"name": "code", "type": "code", "value": "from langflow.custom import Component\n", "show": True},
    }
    for name, given in template.items():
        fields[name] = {"name": name, "type": "str", "show": True, "required": False, "list": False, "advanced": False} | (
            dict(given) if isinstance(given, Mapping) else {"value": given}
        )
    node: dict[str, Any] = {
        "template": fields,
        "display_name": type,
        "description": "",
        "base_classes": ["Text"],
        "documentation": "",
        **keys,
    }
    if outputs is not None:
        node["outputs"] = [
            {
                "name": name,
                "display_name": name,
                "method": method,
                "types": [kind],
                "selected": kind,
                "cache": True,
                "value": "__UNDEFINED__",
            }
            for name, method, kind in outputs
        ]
    return {"id": id, "type": "genericNode", "position": {"x": 0, "y": 0}, "data": {"id": id, "type": type, "node": node}, "width": 384}


def _text(value: str = "", **keys: Any) -> dict[str, Any]:
    return {"type": "str", "value": value, "multiline": True, **keys}


def _other(**keys: Any) -> dict[str, Any]:
    return {"type": "other", "value": "", **keys}


def _edge(source: str, output: str, target: str, field: str, *, gives: Sequence[str] = ("Message",), type: str = "str") -> dict[str, Any]:
    """Since 1.0: objects in `data`, the same as strings beside them."""
    left = {"dataType": source.rpartition("-")[0], "id": source, "name": output, "output_types": list(gives)}
    right = {"fieldName": field, "id": target, "inputTypes": list(gives), "type": type}
    return {
        "id": f"reactflow__edge-{source}{target}",
        "source": source,
        "target": target,
        "sourceHandle": json.dumps(left, separators=(", ", ": ")).replace('"', "œ"),
        "targetHandle": json.dumps(right, separators=(", ", ": ")).replace('"', "œ"),
        "data": {"sourceHandle": left, "targetHandle": right},
        "className": "",
    }


def _alpha_edge(source: str, target: str, field: str, *, classes: Sequence[str] = ("Text", "object", "str")) -> dict[str, Any]:
    """The alphas: no output's name, only every class that the node can be."""
    left = {"baseClasses": list(classes), "dataType": source.rpartition("-")[0], "id": source}
    right = {"fieldName": field, "id": target, "inputTypes": ["Text"], "type": "str"}
    return {
        "id": f"reactflow__edge-{source}{target}",
        "source": source,
        "target": target,
        "sourceHandle": json.dumps(left, sort_keys=True).replace('"', "œ"),
        "targetHandle": json.dumps(right, sort_keys=True).replace('"', "œ"),
        "data": {"sourceHandle": left, "targetHandle": right},
        "className": "stroke-gray-900 stroke-connection",
    }


def _bare_edge(source: str, target: str, field: str) -> dict[str, Any]:
    """Before that: strings joined by bars, and no `data` at all."""
    return {
        "id": f"reactflow__edge-{source}{target}",
        "source": source,
        "target": target,
        "sourceHandle": f"{source.rpartition('-')[0]}|{source}|Text|object|str",
        "targetHandle": f"Text|{field}|{target}",
    }


def _export(name: str, nodes: list[dict[str, Any]], edges: list[dict[str, Any]], **keys: Any) -> dict[str, Any]:
    return {"name": name, "description": "", "data": {"nodes": nodes, "edges": edges, "viewport": {"x": 0, "y": 0, "zoom": 1}}, **keys}


def _openai_fields(**further: Any) -> dict[str, Any]:
    return {
        "input_value": _text(),
        "model_name": {"type": "str", "value": MODEL, "options": [MODEL, "gpt-4o"]},
        "openai_api_key": {"type": "str", "value": "OPENAI_API_KEY", "load_from_db": True, "password": True},
        "openai_api_base": {"type": "str", "value": "", "advanced": True},
        "temperature": {"type": "float", "value": 0.1},
        "max_tokens": {"type": "int", "value": "", "advanced": True},
        "model_kwargs": {"type": "NestedDict", "value": {}, "advanced": True},
        "stream": {"type": "bool", "value": False},
        "system_message": _text(),
        **further,
    }


def alpha() -> dict[str, Any]:
    """1.0 alpha: `Text` and `Record`, nodes without a list of outputs and with `build`, edges without names or without data."""
    chat_input = _node(
        "ChatInput-a1b2c",
        "ChatInput",
        {
            "input_value": _text("Hello"),
            "return_record": {"type": "bool", "value": False},
            "sender": {"type": "str", "value": "User", "options": ["Machine", "User"]},
            "sender_name": _text("User"),
            "session_id": _text(),
        },
        None,
        kind="CustomComponent",
        base_classes=["Text", "str", "object", "Record"],
        output_types=["Text", "Record"],
        custom_fields={"sender": None, "sender_name": None, "input_value": None, "session_id": None, "return_record": None},
    )
    prompt = _node(
        "Prompt-a1b2c",
        "Prompt",
        {
            "template": {"type": "prompt", "value": "Answer as a pirate.\n\nUser: {user_input}\n\nAnswer: "},
            "user_input": {
                "type": "str",
                "value": "",
                "input_types": ["Document", "BaseOutputParser", "Record", "Text"],
                "field_type": "str",
            },
        },
        None,
        kind="CustomComponent",
        base_classes=["object", "str", "Text"],
        output_types=["Text"],
        custom_fields={"template": ["user_input"]},
    )
    model = _node(
        "OpenAIModel-a1b2c",
        "OpenAIModel",
        _openai_fields(),
        None,
        kind="CustomComponent",
        base_classes=["object", "str", "Text"],
        output_types=["Text"],
    )
    chat_output = _node(
        "ChatOutput-a1b2c",
        "ChatOutput",
        {
            "input_value": _text(),
            "record_template": _text("{text}"),
            "return_record": {"type": "bool", "value": False},
            "sender": {"type": "str", "value": "Machine"},
            "sender_name": _text("AI"),
            "session_id": _text(),
        },
        None,
        kind="CustomComponent",
        base_classes=["Text", "str", "object", "Record"],
        output_types=["Text", "Record"],
    )
    return _export(
        "Pirate",
        [chat_input, prompt, model, chat_output],
        [
            _alpha_edge("ChatInput-a1b2c", "Prompt-a1b2c", "user_input", classes=("Text", "str", "object", "Record")),
            _bare_edge("Prompt-a1b2c", "OpenAIModel-a1b2c", "input_value"),
            _alpha_edge("OpenAIModel-a1b2c", "ChatOutput-a1b2c", "input_value"),
        ],
        last_tested_version="1.0.0a18",
        is_component=False,
    )


def _chat_input(id: str, text: str = "") -> dict[str, Any]:
    fields = {
        "input_value": _text(text),
        "should_store_message": {"type": "bool", "value": True},
        "sender": {"type": "str", "value": "User"},
        "sender_name": _text("User"),
        "session_id": _text(),
        "files": {"type": "file", "value": "", "file_path": "", "list": True},
    }
    return _node(id, "ChatInput", fields, [("message", "message_response", "Message")])


def _chat_output(id: str) -> dict[str, Any]:
    fields = {
        "input_value": _text(),
        "data_template": _text("{text}"),
        "sender": {"type": "str", "value": "Machine"},
        "sender_name": _text("AI"),
        "session_id": _text(),
        "should_store_message": {"type": "bool", "value": True},
        "background_color": _text(),
        "chat_icon": _text(),
        "text_color": _text(),
    }
    return _node(id, "ChatOutput", fields, [("message", "message_response", "Message")])


def one_zero() -> dict[str, Any]:
    """1.0: `Message` and `Data`, a node for each provider with `text_output` and `model_output`, Memory, `store_message`."""
    memory = _node(
        "Memory-x1",
        "Memory",
        {
            "memory": _other(),
            "n_messages": {"type": "int", "value": 100},
            "order": {"type": "str", "value": "Ascending"},
            "sender": {"type": "str", "value": "Machine and User"},
            "sender_name": _text(),
            "session_id": _text(),
            "template": _text("{sender_name}: {text}"),
        },
        [("messages", "retrieve_messages", "Data"), ("messages_text", "retrieve_messages_as_text", "Message")],
    )
    prompt = _node(
        "Prompt-x1",
        "Prompt",
        {"template": {"type": "prompt", "value": "{memory}\n---\n{user_message}"}, "memory": _text(), "user_message": _text()},
        [("prompt", "build_prompt", "Message")],
        custom_fields={"template": ["memory", "user_message"]},
    )
    model = _node(
        "OpenAIModel-x1",
        "OpenAIModel",
        _openai_fields(
            json_mode={"type": "bool", "value": False}, seed={"type": "int", "value": 1}, output_schema={"type": "dict", "value": {}}
        ),
        [("text_output", "text_response", "Message"), ("model_output", "build_model", "LanguageModel")],
    )
    return _export(
        "Memory chat",
        [_chat_input("ChatInput-x1"), memory, prompt, model, _chat_output("ChatOutput-x1")],
        [
            _edge("ChatInput-x1", "message", "Prompt-x1", "user_message"),
            _edge("Memory-x1", "messages_text", "Prompt-x1", "memory"),
            _edge("Prompt-x1", "prompt", "OpenAIModel-x1", "input_value"),
            _edge("OpenAIModel-x1", "text_output", "ChatOutput-x1", "input_value"),
        ],
        last_tested_version="1.0.9",
    )


def one_one() -> dict[str, Any]:
    """1.1: Agent with `agent_llm`, a tool node and a node in tool mode, If-Else, a note."""
    agent = _node(
        "Agent-y1",
        "Agent",
        {
            "agent_llm": {"type": "str", "value": "OpenAI", "options": ["OpenAI", "Anthropic", "Custom"]},
            "model_name": {"type": "str", "value": MODEL},
            "api_key": {"type": "str", "value": "OPENAI_API_KEY", "load_from_db": True, "password": True},
            "openai_api_base": {"type": "str", "value": ""},
            "temperature": {"type": "float", "value": 0.1},
            "system_prompt": _text("You are a helpful assistant."),
            "tools": _other(list=True),
            "input_value": _text(),
            "handle_parsing_errors": {"type": "bool", "value": True},
            "max_iterations": {"type": "int", "value": 15},
            "add_current_date_tool": {"type": "bool", "value": False},
            "memory": _other(),
            "agent_description": _text("A helper.", advanced=True),
            "verbose": {"type": "bool", "value": True},
        },
        [("response", "message_response", "Message")],
    )
    calculator = _node(
        "CalculatorTool-y1",
        "CalculatorTool",
        {"expression": _text()},
        [("api_run_model", "run_model", "Data"), ("api_build_tool", "build_tool", "Tool")],
    )
    combine = _node(
        "CombineText-y1",
        "CombineText",
        {
            "text1": _text(tool_mode=True),
            "text2": _text(tool_mode=True),
            "delimiter": _text("+"),
            "tools_metadata": {
                "type": "table",
                "value": [{"name": "join_words", "description": "Joins two words.", "tags": ["combine_texts"]}],
            },
        },
        [("component_as_tool", "to_toolkit", "Tool")],
        tool_mode=True,
    )
    router = _node(
        "ConditionalRouter-y1",
        "ConditionalRouter",
        {
            "input_text": _text(),
            "operator": {"type": "str", "value": "contains"},
            "match_text": _text("please"),
            "case_sensitive": {"type": "bool", "value": False},
            "message": _text(),
            "max_iterations": {"type": "int", "value": 10},
            "default_route": {"type": "str", "value": "false_result"},
        },
        [("true_result", "true_response", "Message"), ("false_result", "false_response", "Message")],
    )
    note = {"id": "note-y1", "type": "noteNode", "data": {"id": "note-y1", "type": "note", "node": {"description": "# Ask politely"}}}
    return _export(
        "Polite agent",
        [
            _chat_input("ChatInput-y1"),
            router,
            agent,
            calculator,
            combine,
            note,
            _chat_output("ChatOutput-y1"),
            _chat_output("ChatOutput-y2"),
        ],
        [
            _edge("ChatInput-y1", "message", "ConditionalRouter-y1", "input_text"),
            _edge("ConditionalRouter-y1", "true_result", "Agent-y1", "input_value"),
            _edge("ConditionalRouter-y1", "false_result", "ChatOutput-y2", "input_value"),
            _edge("CalculatorTool-y1", "api_build_tool", "Agent-y1", "tools", gives=("Tool",), type="other"),
            _edge("CombineText-y1", "component_as_tool", "Agent-y1", "tools", gives=("Tool",), type="other"),
            _edge("Agent-y1", "response", "ChatOutput-y1", "input_value"),
        ],
        last_tested_version="1.1.1",
        endpoint_name=None,
    )


def one_three() -> dict[str, Any]:
    """1.1.5 to 1.3: `StructuredOutputComponent` fed by a provider node's `model_output`, `parser`, `DataFrame`."""
    model = _node(
        "OpenAIModel-z1",
        "OpenAIModel",
        _openai_fields(),
        [("text_output", "text_response", "Message"), ("model_output", "build_model", "LanguageModel")],
    )
    structured = _node(
        "StructuredOutputComponent-z1",
        "StructuredOutputComponent",
        {
            "llm": _other(),
            "input_value": _text(),
            "schema_name": _text("city"),
            "output_schema": {
                "type": "table",
                "value": [
                    {"name": "city", "description": "Name", "type": "str", "multiple": "False"},
                    {"name": "people", "description": "How many", "type": "int", "multiple": "False"},
                ],
            },
            "multiple": {"type": "bool", "value": False, "show": False},
        },
        [("structured_output", "build_structured_output", "Data"), ("structured_output_dataframe", "as_dataframe", "DataFrame")],
    )
    parser = _node(
        "parser-z1",
        "parser",
        {"input_data": _other(), "mode": {"type": "tab", "value": "Parser"}, "pattern": _text("{city}: {people}"), "sep": _text("; ")},
        [("parsed_text", "parse_combined_text", "Message")],
    )
    return _export(
        "Cities",
        [_chat_input("ChatInput-z1"), model, structured, parser, _chat_output("ChatOutput-z1")],
        [
            _edge("ChatInput-z1", "message", "StructuredOutputComponent-z1", "input_value"),
            _edge("OpenAIModel-z1", "model_output", "StructuredOutputComponent-z1", "llm", gives=("LanguageModel",), type="other"),
            _edge(
                "StructuredOutputComponent-z1", "structured_output_dataframe", "parser-z1", "input_data", gives=("DataFrame",), type="other"
            ),
            _edge("parser-z1", "parsed_text", "ChatOutput-z1", "input_value"),
        ],
        last_tested_version="1.3.4",
    )


def one_four() -> dict[str, Any]:
    """1.4: `ParserComponent`, `MCPTools`, `lf_version`, a Loop whose `done` is a DataFrame and whose body feeds back by MessagetoData."""
    split = _node(
        "SplitText-w1",
        "SplitText",
        {
            "data_inputs": _other(list=True),
            "separator": _text(","),
            "chunk_size": {"type": "int", "value": 1},
            "chunk_overlap": {"type": "int", "value": 0},
            "text_key": _text("text"),
        },
        [("chunks", "split_text", "Data"), ("dataframe", "as_dataframe", "DataFrame")],
        lf_version="1.4.2",
    )
    loop = _node(
        "LoopComponent-w1",
        "LoopComponent",
        {"data": _other()},
        [("item", "item_output", "Data"), ("done", "done_output", "DataFrame")],
        lf_version="1.4.2",
    )
    loop["data"]["node"]["outputs"][0]["allows_loop"] = True
    body = _node(
        "ParserComponent-w1",
        "ParserComponent",
        {"input_data": _other(), "mode": {"type": "tab", "value": "Parser"}, "pattern": _text("Shout: {text}"), "sep": _text("\\n")},
        [("parsed_text", "parse_combined_text", "Message")],
        lf_version="1.4.2",
    )
    model = _node(
        "OpenAIModel-w1",
        "OpenAIModel",
        _openai_fields(),
        [("text_output", "text_response", "Message"), ("model_output", "build_model", "LanguageModel")],
        lf_version="1.4.2",
    )
    back = _node(
        "MessagetoData-w1", "MessagetoData", {"message": _text()}, [("data", "convert_message_to_data", "Data")], lf_version="1.4.2"
    )
    end = _node(
        "ParserComponent-w2",
        "ParserComponent",
        {"input_data": _other(), "mode": {"type": "tab", "value": "Parser"}, "pattern": _text("{text}"), "sep": _text(" ")},
        [("parsed_text", "parse_combined_text", "Message")],
        lf_version="1.4.2",
    )
    mcp = _node(
        "MCPTools-w1",
        "MCPTools",
        {"mcp_server": {"type": "mcp", "value": {"name": "", "config": {}}}, "tool": {"type": "str", "value": ""}},
        [("response", "build_output", "DataFrame")],
        lf_version="1.4.2",
    )
    feedback = _edge("MessagetoData-w1", "data", "LoopComponent-w1", "item", gives=("Data",))
    feedback["data"]["targetHandle"] = {"dataType": "LoopComponent", "id": "LoopComponent-w1", "name": "item", "output_types": ["Data"]}
    feedback["targetHandle"] = json.dumps(feedback["data"]["targetHandle"]).replace('"', "œ")
    return _export(
        "Shout each",
        [_chat_input("ChatInput-w1"), split, loop, body, model, back, end, mcp, _chat_output("ChatOutput-w1")],
        [
            _edge("ChatInput-w1", "message", "SplitText-w1", "data_inputs", type="other"),
            _edge("SplitText-w1", "chunks", "LoopComponent-w1", "data", gives=("Data",), type="other"),
            _edge("LoopComponent-w1", "item", "ParserComponent-w1", "input_data", gives=("Data",), type="other"),
            _edge("ParserComponent-w1", "parsed_text", "OpenAIModel-w1", "input_value"),
            _edge("OpenAIModel-w1", "text_output", "MessagetoData-w1", "message"),
            feedback,
            _edge("LoopComponent-w1", "done", "ParserComponent-w2", "input_data", gives=("DataFrame",), type="other"),
            _edge("ParserComponent-w2", "parsed_text", "ChatOutput-w1", "input_value"),
        ],
        last_tested_version="1.4.2",
    )


EVERY_AGE = {"1.0 alpha": alpha, "1.0": one_zero, "1.1": one_one, "1.3": one_three, "1.4": one_four}
