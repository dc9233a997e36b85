"""Chat messages, tools and replies as JSON types, as they cross between the server and the place where code runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from projects.models.chat import ChatMessage, ChatOptions, Reply, ToolCall, ToolSpec, Usage


def request(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], options: ChatOptions | None = None) -> dict[str, Any]:
    options = options or ChatOptions()
    return {
        "messages": [message_to_json(message) for message in messages],
        "tools": [{"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)} for tool in tools],
        "options": {"temperature": options.temperature, "max_tokens": options.max_tokens, "json_mode": options.json_mode},
    }


def message_to_json(message: ChatMessage) -> dict[str, Any]:
    return {
        "role": message.role,
        "text": message.text,
        "images": list(message.images),
        "tool_calls": [_call_to_json(call) for call in message.tool_calls],
        "tool_call_id": message.tool_call_id,
    }


def messages_of(request: Mapping[str, Any]) -> list[ChatMessage]:
    """Raises KeyError, TypeError for what is no request."""
    return [
        ChatMessage(
            role=str(item["role"]),
            text=str(item.get("text") or ""),
            images=tuple(map(str, item.get("images") or ())),
            tool_calls=tuple(_call_from_json(call) for call in item.get("tool_calls") or ()),
            tool_call_id=item.get("tool_call_id"),
        )
        for item in request["messages"]
    ]


def tools_of(request: Mapping[str, Any]) -> list[ToolSpec]:
    return [
        ToolSpec(str(item["name"]), str(item.get("description") or ""), dict(item.get("parameters") or {}))
        for item in request.get("tools") or ()
    ]


def options_of(request: Mapping[str, Any]) -> ChatOptions:
    given = request.get("options") or {}
    return ChatOptions(temperature=given.get("temperature"), max_tokens=given.get("max_tokens"), json_mode=given.get("json_mode") is True)


def reply_to_json(reply: Reply) -> dict[str, Any]:
    usage = reply.usage
    return {
        "text": reply.text,
        "tool_calls": [_call_to_json(call) for call in reply.tool_calls],
        "usage": None if usage is None else [usage.input_tokens, usage.output_tokens],
        "model": reply.model,
        "finish_reason": reply.finish_reason,
    }


def reply_from_json(answer: Mapping[str, Any]) -> Reply:
    usage = answer.get("usage")
    return Reply(
        text=str(answer.get("text") or ""),
        tool_calls=tuple(_call_from_json(call) for call in answer.get("tool_calls") or ()),
        usage=Usage(int(usage[0]), int(usage[1])) if usage else None,
        model=str(answer.get("model") or ""),
        finish_reason=str(answer.get("finish_reason") or "stop"),
    )


def _call_to_json(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": dict(call.arguments), "problem": call.problem}


def _call_from_json(call: Mapping[str, Any]) -> ToolCall:
    arguments = call.get("arguments")
    return ToolCall(str(call["id"]), str(call["name"]), arguments if isinstance(arguments, dict) else {}, call.get("problem"))
