"""Using what a component's code made: a chat model, an embedding model or tools, in LangChain's form."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from projects.custom_code.host import CodeFailed, Handle
from projects.custom_code.surface import langchain
from projects.custom_code.surface.crossing import to_engine
from projects.engine.snapshot import CannotKeep, to_plain

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_MESSAGES = {"user": "HumanMessage", "assistant": "AIMessage", "system": "SystemMessage", "tool": "ToolMessage"}


def is_value(value: Any) -> bool:
    """Whether the value can travel as it is."""
    try:
        to_plain(value)
    except CannotKeep:
        return False
    return True


def handle_for(output: str, made: Any) -> Handle:
    """What stands for an object that is no value."""
    name = type(made).__name__
    if hasattr(made, "invoke") and (hasattr(made, "bind_tools") or hasattr(made, "_generate")):
        return Handle("chat_model", output, name, {"name": model_name(made)}, made)
    if hasattr(made, "embed_documents"):
        return Handle("embeddings", output, name, {"name": model_name(made)}, made)
    tools = made if isinstance(made, list) else [made]
    if tools and all(is_tool(item) for item in tools):
        return Handle("tools", output, name, [tool_spec(item) for item in tools], made)
    return Handle("object", output, name, None, made)


def is_tool(item: Any) -> bool:
    return isinstance(getattr(item, "name", None), str) and hasattr(item, "description") and hasattr(item, "invoke")


def model_name(model: Any) -> str:
    """What the model calls itself; empty when it does not say."""
    return next((text for name in ("model_name", "model") if isinstance(text := getattr(model, name, None), str) and text), "")


def tool_spec(item: Any) -> dict[str, Any]:
    """{"name", "description", "parameters"} of a tool in LangChain's or OpenAI's form, or of a plain function."""
    if isinstance(item, Mapping):
        inner = item.get("function", item)
        return {
            "name": str(inner["name"]),
            "description": str(inner.get("description") or ""),
            "parameters": dict(inner.get("parameters") or {}),
        }
    if not is_tool(item) and callable(item):
        item = langchain.find("langchain_core.tools", "StructuredTool").from_function(item)
    schema = getattr(item, "args_schema", None)
    if hasattr(item, "schema_of_arguments"):
        parameters = item.schema_of_arguments()
    elif isinstance(schema, dict):
        parameters = schema
    elif schema is not None and hasattr(schema, "model_json_schema"):
        parameters = schema.model_json_schema()
    else:
        parameters = {"type": "object", "properties": dict(item.args)}
    return {"name": item.name, "description": str(item.description or ""), "parameters": json.loads(json.dumps(parameters, default=str))}


def message_to_wire(message: Any) -> dict[str, Any]:
    """As `chat_wire.py` has it."""
    content = message.content
    images: list[str] = []
    if not isinstance(content, str):
        texts: list[str] = []
        for part in content:
            if isinstance(part, Mapping) and part.get("type") == "image_url":
                address = part["image_url"]
                images.append(address["url"] if isinstance(address, Mapping) else str(address))
            else:
                texts.append(part if isinstance(part, str) else str(part.get("text", "")))
        content = "".join(texts)
    return {
        "role": _ROLES.get(message.type, "user"),
        "text": content,
        "images": images,
        "tool_calls": [_call_to_wire(call) for call in getattr(message, "tool_calls", None) or ()],
        "tool_call_id": getattr(message, "tool_call_id", None),
    }


def reply_message(answer: Mapping[str, Any]) -> Any:
    """A model's answer as the message that components' code expects."""
    usage = answer.get("usage")
    metadata = None if not usage else {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": usage[0] + usage[1]}
    calls = [
        {"name": call["name"], "args": call["arguments"], "id": call["id"], "type": "tool_call"} for call in answer.get("tool_calls") or ()
    ]
    return _message_class("AIMessage")(content=str(answer.get("text") or ""), tool_calls=calls, usage_metadata=metadata)


async def reply(model: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask a model that a component made."""
    if tools := request.get("tools"):
        model = model.bind_tools([_bound(tool) for tool in tools])
    answer = await model.ainvoke([_message(item) for item in request["messages"]])
    if isinstance(answer, str):
        answer = _message_class("AIMessage")(content=answer)
    wire = message_to_wire(answer)
    usage = getattr(answer, "usage_metadata", None) or {}
    return {
        "text": wire["text"],
        "tool_calls": wire["tool_calls"],
        "usage": [usage.get("input_tokens", 0), usage.get("output_tokens", 0)] if usage else None,
        "model": model_name(model),
        "finish_reason": "tool_calls" if wire["tool_calls"] else "stop",
    }


async def embed(model: Any, texts: Sequence[str]) -> list[list[float]]:
    if hasattr(model, "aembed_documents"):
        found = await model.aembed_documents(list(texts))
    else:
        found = await asyncio.to_thread(model.embed_documents, list(texts))
    return [[float(number) for number in vector] for vector in found]


async def call_tool(tools: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    """The answer of the tool of this name, as an engine value; what has no place there as text."""
    for item in tools if isinstance(tools, list) else [tools]:
        if item.name == name:
            answer = await item.ainvoke(dict(arguments))
            answer = to_engine(await answer if inspect.isawaitable(answer) else answer)
            return answer if is_value(answer) else str(answer)
    raise CodeFailed(f"The component has no tool {name!r}.")


def _message_class(name: str) -> Any:
    return langchain.find("langchain_core.messages", name)


def _message(item: Mapping[str, Any]) -> Any:
    kind = _message_class(_MESSAGES.get(str(item.get("role")), "HumanMessage"))
    content: Any = item.get("text") or ""
    if images := item.get("images"):
        content = [{"type": "text", "text": content}, *({"type": "image_url", "image_url": {"url": address}} for address in images)]
    more: dict[str, Any] = {}
    if item.get("role") == "assistant":
        more["tool_calls"] = [
            {"name": call["name"], "args": call["arguments"], "id": call["id"], "type": "tool_call"}
            for call in item.get("tool_calls") or ()
        ]
    elif item.get("role") == "tool":
        more["tool_call_id"] = item.get("tool_call_id") or ""
    return kind(content=content, **more)


def _bound(tool: Mapping[str, Any]) -> Any:
    def never(**arguments: Any) -> Any:
        raise CodeFailed("A model only names the tools it wants; who asked it calls them.")

    return langchain.find("langchain_core.tools", "StructuredTool")(
        name=tool["name"], description=tool["description"] or tool["name"], args_schema=dict(tool["parameters"]), func=never
    )


def _call_to_wire(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = call.get("args")
    return {
        "id": str(call.get("id") or ""),
        "name": str(call["name"]),
        "arguments": arguments if isinstance(arguments, dict) else {},
        "problem": None,
    }
