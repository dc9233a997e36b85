"""An agent's conversation as plain values, for a run that waits for a person in the middle of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from projects.models.chat import ChatMessage, ToolCall, Usage

Block: TypeAlias = dict[str, Any]  # a content block of a message


@dataclass(slots=True)
class AgentAnswer:
    """`steps` are the content blocks of the tool calls, in the order the model asked for them."""

    text: str = ""
    model: str = ""
    usage: Usage | None = None
    steps: list[Block] = field(default_factory=list)
    duration_ms: int = 0  # of the last turn
    is_complete: bool = True  # False: the bound on model calls was reached before there was an answer


def kept(
    turns: Sequence[ChatMessage], answer: AgentAnswer, calls: Sequence[ToolCall], texts: Mapping[str, str], *, asked: int
) -> dict[str, Any]:
    """`calls` are those of the last turn and `texts` the answers there are to them, by place; `asked`: how often the model was asked."""
    return {
        "turns": [_turn(turn) for turn in turns],
        "text": answer.text,
        "model": answer.model,
        "usage": None if answer.usage is None else [answer.usage.input_tokens, answer.usage.output_tokens],
        "steps": [dict(step) for step in answer.steps],
        "calls": [_call(call) for call in calls],
        "texts": dict(texts),
        "asked": asked,
    }


def recalled(memory: Mapping[str, Any]) -> tuple[list[ChatMessage], AgentAnswer, list[ToolCall], dict[str, str]]:
    usage = memory["usage"]
    answer = AgentAnswer(memory["text"], memory["model"], None if usage is None else Usage(*usage), memory["steps"])
    turns = [
        ChatMessage(
            turn["role"],
            turn["text"],
            images=tuple(turn["images"]),
            tool_calls=tuple(_called(call) for call in turn["tool_calls"]),
            tool_call_id=turn["tool_call_id"],
        )
        for turn in memory["turns"]
    ]
    return turns, answer, [_called(call) for call in memory["calls"]], memory["texts"]


def _turn(turn: ChatMessage) -> dict[str, Any]:
    return {
        "role": turn.role,
        "text": turn.text,
        "images": list(turn.images),
        "tool_calls": [_call(call) for call in turn.tool_calls],
        "tool_call_id": turn.tool_call_id,
    }


def _call(call: ToolCall) -> list[Any]:
    return [call.id, call.name, dict(call.arguments), call.problem]


def _called(kept: Sequence[Any]) -> ToolCall:
    return ToolCall(*kept)
