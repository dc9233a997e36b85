"""The two forms of the realtime protocol, event by event."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.realtime import ConversationItemCreateEvent, ResponseCreateEvent, SessionUpdateEvent
from pydantic import BaseModel

from projects.voice import frames
from projects.voice.realtime_ga import from_ga, to_ga
from tests.realtime_server import GA_NAMES, ga_refusal

PCM = {"type": "audio/pcm", "rate": 24_000}
VAD = {"type": "server_vad", "threshold": 0.1}

# The beta's form, and GA's; each is made of the other.
PAIRS = {
    "a session": (
        {
            "type": "session.update",
            "session": {
                "modalities": ["text", "audio"],
                "voice": "echo",
                "speed": 1.1,
                "input_audio_format": "pcm16",
                "output_audio_format": "g711_ulaw",
                "input_audio_transcription": {"model": "whisper-1", "language": "en"},
                "input_audio_noise_reduction": None,
                "turn_detection": VAD,
                "max_response_output_tokens": "inf",
                "instructions": "Be brief.",
                "tools": [{"type": "function", "name": "f"}],
                "tool_choice": "auto",
            },
        },
        {
            "type": "session.update",
            "session": {
                "type": "realtime",
                "output_modalities": ["audio"],
                "audio": {
                    "input": {
                        "format": PCM,
                        "transcription": {"model": "whisper-1", "language": "en"},
                        "noise_reduction": None,
                        "turn_detection": VAD,
                    },
                    "output": {"format": {"type": "audio/pcmu"}, "voice": "echo", "speed": 1.1},
                },
                "max_output_tokens": "inf",
                "instructions": "Be brief.",
                "tools": [{"type": "function", "name": "f"}],
                "tool_choice": "auto",
            },
        },
    ),
    "a session that only writes": (
        {"type": "transcription_session.update", "event_id": "e1", "session": {"input_audio_format": "pcm16", "turn_detection": None}},
        {
            "type": "session.update",
            "event_id": "e1",
            "session": {"type": "transcription", "audio": {"input": {"format": PCM, "turn_detection": None}}},
        },
    ),
    "a response that is asked for": (
        {
            "type": "response.create",
            "response": {
                "modalities": ["text"],
                "voice": "sage",
                "max_response_output_tokens": 9,
                "conversation": "none",
                "input": [
                    {"type": "item_reference", "id": "i1"},
                    {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "No."}]},
                ],
            },
        },
        {
            "type": "response.create",
            "response": {
                "output_modalities": ["text"],
                "audio": {"output": {"voice": "sage"}},
                "max_output_tokens": 9,
                "conversation": "none",
                "input": [
                    {"type": "item_reference", "id": "i1"},
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
                    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "No."}]},
                ],
            },
        },
    ),
    "something that the model said": (
        {
            "type": "conversation.item.create",
            "item": {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "audio", "transcript": "Hm."}, {"type": "text", "text": ""}],
            },
        },
        {
            "type": "conversation.item.create",
            "item": {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "transcript": "Hm."}, {"type": "output_text", "text": ""}],
            },
        },
    ),
    "fields that neither form has": (
        {
            "type": "session.update",
            "session": {"audio": {"input": {"gain": 2}}, "voice": {"id": "v1"}, "input_audio_format": {"type": "opus"}},
        },
        {
            "type": "session.update",
            "session": {"type": "realtime", "audio": {"input": {"gain": 2, "format": {"type": "opus"}}, "output": {"voice": {"id": "v1"}}}},
        },
    ),
}


@pytest.mark.parametrize("beta, ga", PAIRS.values(), ids=PAIRS)
def test_an_event_is_written_in_either_form_without_a_loss(beta: dict[str, Any], ga: dict[str, Any]) -> None:
    assert to_ga(beta) == ga
    assert from_ga(ga) == beta
    assert from_ga(beta) == beta
    assert to_ga(from_ga(ga)) == ga


@pytest.mark.parametrize(
    "event",
    [
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 7},
        {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1", "output": "{}"}},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i1", "transcript": "Hello."},
        {"type": "response.function_call_arguments.done", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "error", "error": {"type": "invalid_request_error", "event_id": "e1"}},
        {"type": "rate_limits.updated", "rate_limits": []},
        {"type": "conversation.item.done", "item": {"id": "i1", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}},
        {"type": "something.new", "session": 7, "response": None, "item": "i1", "part": []},
        {"type": "response.done", "response": {"id": "r1", "output": None, "audio": "?", "max_output_tokens": 4_096}},
    ],
    ids=lambda event: str(event["type"]),
)
def test_what_both_forms_share_and_what_nobody_knows_stays_the_same_object(event: dict[str, Any]) -> None:
    assert from_ga(event) is event
    assert to_ga(event) is event


@pytest.mark.parametrize(("beta", "ga"), GA_NAMES.items())
def test_events_have_the_names_that_clients_know(beta: str, ga: str) -> None:
    assert from_ga({"type": ga, "event_id": "e1", "delta": "AAAA"}) == {"type": beta, "event_id": "e1", "delta": "AAAA"}


def test_what_the_model_tells_of_sessions_items_and_responses_has_the_shape_that_clients_know() -> None:
    session = {
        "id": "s1",
        "object": "realtime.session",
        "type": "realtime",
        "audio": {"input": {"format": PCM}, "output": {"voice": "ash"}},
    }
    assert from_ga({"type": "session.created", "session": session}) == {
        "type": "session.created",
        "session": {"id": "s1", "object": "realtime.session", "input_audio_format": "pcm16", "voice": "ash"},
    }
    for kind in ("created", "updated"):
        told = from_ga({"type": f"session.{kind}", "session": {"type": "transcription", "audio": {"input": {"turn_detection": VAD}}}})
        assert told == {"type": f"transcription_session.{kind}", "session": {"turn_detection": VAD}}
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hm."}]}
    known = {**item, "content": [{"type": "audio", "transcript": "Hm."}]}
    for kind in ("response.output_item.added", "response.output_item.done", "conversation.item.done", "conversation.item.retrieved"):
        assert from_ga({"type": kind, "item": item}) == {"type": kind, "item": known}
    assert from_ga({"type": "conversation.item.added", "item": item}) == {"type": "conversation.item.created", "item": known}
    part = {"type": "response.content_part.done", "part": {"type": "output_text", "text": "Hm."}}
    assert from_ga(part)["part"] == {"type": "text", "text": "Hm."}
    response = {"id": "r1", "output_modalities": ["audio"], "audio": {"output": {"voice": "ash", "format": PCM}}, "output": [item]}
    assert from_ga({"type": "response.done", "response": {**response, "max_output_tokens": 9}})["response"] == {
        "id": "r1",
        "modalities": ["text", "audio"],
        "voice": "ash",
        "output_audio_format": "pcm16",
        "output": [known],
        "max_output_tokens": 9,
    }


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-live-transcribe"])
def test_a_model_of_several_languages_is_given_a_list(model: str) -> None:
    event = to_ga({"type": "session.update", "session": {"input_audio_transcription": {"model": model, "language": "de"}}})
    assert event["session"]["audio"]["input"]["transcription"] == {"model": model, "languages": ["de"]}


def test_what_ga_has_no_place_for_is_left_out() -> None:
    assert to_ga({"type": "session.update", "session": {"temperature": 0.6, "voice": "ash"}})["session"] == {
        "type": "realtime",
        "audio": {"output": {"voice": "ash"}},
    }
    assert to_ga({"type": "response.create", "response": {"temperature": 0.6}})["response"] == {}


OWN_EVENTS = (
    frames.session_update(frames.tool_session("Repeats.", transcription_model="gpt-transcribe")),
    frames.session_update(frames.changed_session({"voice": "ash", "temperature": 0.6, "turn_detection": None, "instructions": "Sing."})),
    frames.transcription_session("gpt-4o-transcribe"),
    frames.announcement("hello"),
    frames.tool_output("c1", "hello"),
    frames.response_create(is_text_only=True),
)


def test_openais_own_library_knows_every_field_of_what_this_server_says() -> None:
    kinds: dict[str, type[BaseModel]] = {
        "conversation.item.create": ConversationItemCreateEvent,
        "response.create": ResponseCreateEvent,
        "session.update": SessionUpdateEvent,
    }
    for event in map(to_ga, OWN_EVENTS):
        assert list(unknown_fields(kinds[event["type"]].model_validate(event))) == []
        assert ga_refusal(event) == ""  # the tests' server is of the same opinion


def unknown_fields(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for _, inner in value:
            yield from unknown_fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from unknown_fields(inner)


def test_a_model_that_finds_no_ends_of_turns_is_not_asked_for_them() -> None:
    assert frames.transcription_session("gpt-live-transcribe")["session"]["turn_detection"] is None
    assert frames.transcription_session("gpt-transcribe")["session"]["turn_detection"]["type"] == "server_vad"
