"""What `/run` answers, as plain dicts: this is the hot path, so nothing is validated on the way out.

Names, nesting and order of the keys are Langflow's (seen with 1.13): clients read them by path.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from projects.engine.events import VertexResult
from projects.engine.values import SENDER_MACHINE, Data, Message, Table, jsonable
from projects.invocation import InvocationResult

_CHAT_TYPES: Final = frozenset({"ChatInput", "ChatOutput"})
# Vertices whose values Langflow shows under `results`; what other vertices made is under `outputs` and `artifacts` only.
_INTERFACE_TYPES: Final = _CHAT_TYPES | {"TextInput", "TextOutput", "DataOutput", "Webhook"}


def run_response(result: InvocationResult) -> dict[str, Any]:
    """The whole answer: one entry for the one input of a run."""
    response: dict[str, Any] = {
        "session_id": result.session_id,
        "outputs": [
            {
                "inputs": {} if result.input_value is None else {"input_value": result.input_value},
                "outputs": [vertex_result(vertex, flow_id=result.flow_id) for vertex in result.outputs],
            }
        ],
    }
    if result.warnings:
        response["warnings"] = list(result.warnings)
    return response


def vertex_result(vertex: VertexResult, *, flow_id: str) -> dict[str, Any]:
    """One vertex: results, artifacts, outputs, logs, messages."""
    outputs = vertex.outputs
    message = outputs.get("message") if vertex.component_type in _CHAT_TYPES else None
    if isinstance(message, Message):
        results: dict[str, Any] = {"message": message_dump(message, flow_id=flow_id)}
        artifacts: Any = _chat_artifacts(message)
        messages = _messages(message, vertex.vertex_id)
    else:
        is_interface = vertex.component_type in _INTERFACE_TYPES
        results = {name: _result_value(value, flow_id=flow_id) for name, value in outputs.items()} if is_interface else {}
        artifacts = {name: artifact(value) for name, value in outputs.items()}
        text = outputs.get("text") if is_interface else None
        messages = [] if text is None else _messages(text if isinstance(text, Message) else Message(text=str(text)), vertex.vertex_id)
    return {
        "results": results,
        "artifacts": artifacts,
        "outputs": {name: {"message": jsonable(value), "type": type_word(value)} for name, value in outputs.items()},
        "logs": _logs(vertex),
        "messages": messages,
        "timedelta": None,
        "duration": None,
        "component_display_name": vertex.display_name,
        "component_id": vertex.vertex_id,
        "used_frozen_result": vertex.used_frozen_result,
        "token_usage": vertex.token_usage,
    }


def message_dump(message: Message, *, flow_id: str) -> dict[str, Any]:
    """A message with its fields twice, under `data` and beside it, as clients of either layer expect."""
    timestamp = moment_text(message.timestamp)
    source = message.source
    properties = message_properties(source.id, source.display_name, source.source, message.state, message.usage, icon=message.icon)
    blocks = content_groups(message.content_blocks)
    sender, sender_name = message.sender or None, message.sender_name or None
    flow = message.flow_id or flow_id
    metadata = run_id = None  # a message that was not stored belongs to no run
    if message.id is not None:
        run_id = message.run_id
        metadata = {"graph_run_id": run_id}
        data: dict[str, Any] = {
            "timestamp": timestamp,
            "sender": sender,
            "sender_name": sender_name,
            "session_id": message.session_id,
            "context_id": message.context_id,
            "text": message.text,
            "files": message.files,
            "error": message.error,
            "edit": message.edit,
            "properties": properties,
            "category": message.category,
            "content_blocks": blocks,
            "session_metadata": metadata,
            "id": message.id,
            "flow_id": flow,
            "run_id": run_id,
            "duration": message.duration,
        }
    else:
        data = {
            "text": message.text,
            "files": message.files,
            "sender": sender,
            "sender_name": sender_name,
            "session_id": message.session_id,
            "context_id": message.context_id,
            "run_id": run_id,
            "timestamp": timestamp,
            "flow_id": flow,
            "error": message.error,
            "edit": message.edit,
            "properties": properties,
            "category": message.category,
            "content_blocks": blocks,
            "duration": message.duration,
            "session_metadata": None,
        }
    if message.data:
        data = {**message.data, **data}
    return {
        "text_key": "text",
        "data": data,
        "default_value": "",
        "sender": sender,
        "sender_name": sender_name,
        "files": message.files,
        "session_id": message.session_id,
        "context_id": message.context_id,
        "run_id": run_id,
        "timestamp": timestamp,
        "flow_id": flow,
        "error": message.error,
        "edit": message.edit,
        "properties": properties,
        "category": message.category,
        "content_blocks": blocks,
        "duration": message.duration,
        "session_metadata": metadata,
        "text": message.text,
    }


def message_properties(
    source_id: str | None,
    source_display_name: str | None,
    source: str | None,
    state: str,
    usage: Mapping[str, Any] | None,
    *,
    icon: str | None = None,
) -> dict[str, Any]:
    """The `properties` of every message; what we never set is there with its neutral value."""
    return {
        "text_color": None,
        "background_color": None,
        "edited": False,
        "source": {"id": source_id, "display_name": source_display_name, "source": source},
        "icon": icon,
        "allow_markdown": False,
        "positive_feedback": None,
        "state": state,
        "targets": [],
        "usage": usage,
        "build_duration": None,
    }


def moment_text(moment: datetime) -> str:
    """`2026-11-22 00:06:50.123456 UTC`, always with six digits."""
    return f"{moment.isoformat(' ', 'microseconds')[:26]} UTC"


def content_groups(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks as groups: loose tool calls, turns and what has a heading under one title; other loose texts are in the message's text."""
    groups = [block for block in blocks if "contents" in block]
    loose = [_step(block) for block in blocks if "contents" not in block and (block.get("type") != "text" or _is_step(block))]
    if loose:
        groups.append({"title": "Agent Steps", "contents": loose, "allow_markdown": True, "media_url": None})
    return groups


def _is_step(text: dict[str, Any]) -> bool:
    """Whether a text has a heading or, as what a model said in one of its turns, took its time."""
    header = text.get("header")
    return isinstance(header, dict) and bool(header.get("title") or text.get("duration") is not None)


def _step(block: dict[str, Any]) -> dict[str, Any]:
    """A tool call whose output has every key that a client of Langflow may look for."""
    output = block.get("output")
    if block.get("type") != "tool_use" or not isinstance(output, dict):
        return block
    filled: dict[str, Any] = {"content": "", "additional_kwargs": {}, "response_metadata": {}, "type": "tool", "name": block.get("name")}
    return {**block, "output": {**filled, "id": output.get("tool_call_id"), **output}}


def type_word(value: Any) -> str:
    """What kind of value an output carries, in the API's word for it."""
    match value:
        case str() | Message():
            return "text"
        case Data() | dict():
            return "object"
        case Table() | list() | tuple():
            return "array"
        case _:
            return "unknown"


def _result_value(value: Any, *, flow_id: str) -> Any:
    return message_dump(value, flow_id=flow_id) if isinstance(value, Message) else jsonable(value)


def artifact(value: Any) -> dict[str, Any]:
    raw = jsonable(value)
    return {"repr": raw if isinstance(raw, str) else str(raw), "raw": raw, "type": type_word(value)}


def _chat_artifacts(message: Message) -> dict[str, Any]:
    return {
        "message": _markdown_text(message),
        "sender": message.sender or None,
        "sender_name": message.sender_name or None,
        "files": _files(message),
        "type": "object",
    }


def _messages(message: Message, vertex_id: str) -> list[dict[str, Any]]:
    """The message in short; an empty one is left out."""
    if not message.text:
        return []
    return [
        {
            "message": _markdown_text(message),
            "sender": message.sender or SENDER_MACHINE,
            "sender_name": message.sender_name or "AI",
            "session_id": message.session_id,
            "stream_url": None,
            "component_id": vertex_id,
            "files": _files(message),
            "type": "text",
        }
    ]


def _markdown_text(message: Message) -> str:
    """A machine's line ends become paragraphs, so that markdown shows them."""
    if message.sender not in ("", SENDER_MACHINE, "AI"):
        return message.text
    return message.text.replace("\n\n", "\n").replace("\n", "\n\n")


def _files(message: Message) -> list[dict[str, str]]:
    names = ((path, path.rpartition("/")[2]) for path in message.files)
    return [{"path": path, "name": name, "type": name.rpartition(".")[2] if "." in name else ""} for path, name in names]


def _logs(vertex: VertexResult) -> dict[str, list[Any]]:
    """Log lines under the output they were written for; lines of no output go to the first."""
    logs: dict[str, list[Any]] = {name: [] for name in vertex.outputs}
    for entry in vertex.logs:
        name = entry.get("output") or next(iter(logs), "")
        logs.setdefault(name, []).append({key: value for key, value in entry.items() if key != "output"})
    return logs
