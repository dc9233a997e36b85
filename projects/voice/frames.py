"""What is sent to the realtime model, as values: OpenAI's names, Langflow's choices (seen with 1.13), our words.

In the beta's form, as Langflow's clients write it; `realtime.py` gives it the form that a server takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

FLOW_TOOL = "execute_flow"
MAX_INSTRUCTIONS = 20_000  # characters of what a client may add
MAX_DESCRIPTION = 4_000

# What a client may change of the session; its instructions are added to ours, and the rest is the server's.
CHANGEABLE = ("voice", "temperature", "turn_detection", "input_audio_transcription")

_RULES = (
    f"You are the voice of a program that answers through the tool {FLOW_TOOL}. For whatever the person asks or tells you, call the tool "
    "with the request in full sentences, and say what it gave back. Add no facts that it did not give."
)
_MANNER = "Speak the person's language. Be friendly and brief: a sentence or two, unless more is asked for. Read out no addresses or code."
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# These write all the time, and it is the client that says where a turn ends; asked to find that out, they refuse the session.
_WITHOUT_TURNS = ("gpt-live-transcribe", "gpt-realtime-whisper")
_TURN_DETECTION = {"type": "server_vad", "threshold": 0.1, "prefix_padding_ms": 100, "silence_duration_ms": 300}


def with_event_id(event: Mapping[str, Any]) -> dict[str, Any]:
    """An id of ours, unless it has one: the model's errors name the event that they are about."""
    given = event.get("event_id")
    return {**event, "event_id": given if isinstance(given, str) and given else f"headwater_{token_hex(8)}"}


def session_update(changes: Mapping[str, Any], *, event_id: object = None) -> dict[str, Any]:
    return with_event_id({"type": "session.update", "event_id": event_id, "session": changes})


def instructions(additional: str = "") -> str:
    text = f"# Permanent rules\n{_RULES}\n\n# Manner\n{_MANNER}"
    return f"{text}\n\n# Added by the client; the permanent rules come first\n{additional}" if additional else text


def tool_session(description: str, *, transcription_model: str) -> dict[str, Any]:
    """The session of a model that has one flow as its tool; the other model writes down what the person says."""
    about = _CONTROL.sub(" ", description).strip()[:MAX_DESCRIPTION] or "Runs the program and gives its answer."
    return {
        "modalities": ["text", "audio"],
        "instructions": instructions(),
        "voice": "echo",
        "temperature": 0.8,
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": _TURN_DETECTION,
        "input_audio_transcription": {"model": transcription_model},
        "tools": [
            {
                "type": "function",
                "name": FLOW_TOOL,
                "description": about,
                "parameters": {
                    "type": "object",
                    "properties": {"input": {"type": "string", "description": "The person's request, in full sentences."}},
                    "required": ["input"],
                },
            }
        ],
        "tool_choice": "auto",
    }


def transcription_session(model: str) -> dict[str, Any]:
    """Makes a session of a model that only writes down what it hears."""
    return {
        "type": "transcription_session.update",
        "event_id": f"headwater_{token_hex(8)}",
        "session": {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": model, "language": "en"},
            "turn_detection": None if model.startswith(_WITHOUT_TURNS) else _TURN_DETECTION,
            "input_audio_noise_reduction": {"type": "near_field"},
            "include": [],
        },
    }


def changed_session(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of a client's `session.update` goes on to the model."""
    changes = {name: given[name] for name in CHANGEABLE if name in given}
    if isinstance(added := given.get("instructions"), str) and added.strip():
        changes["instructions"] = instructions(added[:MAX_INSTRUCTIONS])
    return changes


def announcement(request: str) -> dict[str, Any]:
    """Has the model say that it is at work, because a flow may take a while."""
    text = f"The tool {FLOW_TOOL} has begun to work on: {request[:500]!r}. Tell the person in a few words that you are looking into it."
    return {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]},
    }


def tool_output(call_id: str, output: str) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": call_id, "output": output}}


def response_create(*, is_text_only: bool, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`given` is a client's own; with speech made elsewhere the model only writes."""
    event: dict[str, Any] = {"type": "response.create", **(given or {})}
    if is_text_only:
        response = event.get("response")
        event["response"] = {**(response if isinstance(response, dict) else {}), "modalities": ["text"]}
    return event
