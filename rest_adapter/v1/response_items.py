"""What `/responses` answers with: OpenAI's response object and its items, made from a run's result.

Keys of the object, of messages and of tool calls are those that Langflow 1.13 sends; `call_id` is what OpenAI's own clients also look for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from projects.engine.values import Message, jsonable
from projects.invocation import InvocationResult

_COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def created_at(run_id: str) -> int:
    """Seconds since 1970 of the run's beginning, which its id tells; so a repeated answer has the same moment."""
    return (UUID(run_id).int >> 80) // 1_000


def response_object(
    *,
    id: str,
    model: str,
    moment: int,
    output: Sequence[Mapping[str, Any]],
    previous_response_id: str | None,
    usage: Mapping[str, int] | None,
    status: str = "completed",
    error: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`id` is also the session: sent as `previous_response_id` it goes on with the conversation."""
    return {
        "id": id,
        "object": "response",
        "created_at": moment,
        "status": status,
        "error": error,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if usage is None else {name: usage.get(name, 0) for name in _COUNTS},
        "user": None,
        "metadata": {},
    }


def message_item(response_id: str, text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": f"msg_{response_id}", "status": "completed", "role": "assistant", "content": [part]}


def tool_item(block: Mapping[str, Any], place: int, *, with_results: bool) -> dict[str, Any]:
    """A tool call; `place` counts the calls of one response from 1."""
    name, arguments, error = str(block.get("name") or ""), block.get("tool_input") or {}, block.get("error")
    status = "completed" if error is None else "failed"
    item: dict[str, Any]
    if with_results:
        output = block.get("output")
        item = {
            "id": f"{name}_{place}",
            "type": "tool_call",
            "tool_name": name,
            "queries": list(arguments.values()) if isinstance(arguments, Mapping) else [arguments],
            "results": [] if output is None else jsonable(output),
            "status": status,
        }
    else:
        item = {
            "id": f"fc_{place}",
            "type": "function_call",
            "status": status,
            "name": name,
            "arguments": json.dumps(jsonable(arguments), ensure_ascii=False),
            "call_id": f"call_{place}",
        }
    return item if error is None else item | {"error": jsonable(error)}


def tool_calls(message: Message) -> Iterator[Mapping[str, Any]]:
    """The tool calls of a message that have ended, in order."""
    for block in message.content_blocks:
        for part in block.get("contents", (block,)):
            if part.get("type") == "tool_use" and (part.get("output") is not None or part.get("error") is not None):
                yield part


def answer_of(result: InvocationResult) -> Message:
    """What the flow says in the end: its first Chat Output that says anything."""
    said = [vertex.outputs.get("message") for vertex in result.outputs if vertex.component_type == "ChatOutput"]
    messages = [message for message in said if isinstance(message, Message)]
    return next((message for message in messages if message.text or message.content_blocks), Message())
