"""The two forms of OpenAI's realtime protocol: the generally available one (GA), which its servers speak, and the beta before it, in which
Langflow's clients and this package speak.

`to_ga` and `from_ga` take one event of either side. What both forms share, and what neither knows, comes back as the same object; an event
that is in the wanted form already does too. Names as in OpenAI's own client library, seen in November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Event = dict[str, Any]
_Convert = Callable[[Event], Event]

# GA: beta.
_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
# GA, of sessions whose type is "transcription": beta.
_TRANSCRIPTION_EVENTS = {
    "session.created": "transcription_session.created",
    "session.update": "transcription_session.update",
    "session.updated": "transcription_session.updated",
}
_CONTENTS = {"output_audio": "audio", "output_text": "text"}

_Place = tuple[str, ...]
# Beta: where it is in GA.
_RESPONSE: Mapping[str, _Place] = {
    "modalities": ("output_modalities",),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
}
_ASKED_RESPONSE: Mapping[str, _Place] = {**_RESPONSE, "max_response_output_tokens": ("max_output_tokens",)}
_SESSION: Mapping[str, _Place] = {
    **_ASKED_RESPONSE,
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "speed": ("audio", "output", "speed"),
    "turn_detection": ("audio", "input", "turn_detection"),
}
# GA has no place for these, and refuses a whole event for one name that it does not know.
_GONE = frozenset(("client_secret", "temperature"))

_FORMATS: Mapping[str, Event] = {
    "g711_alaw": {"type": "audio/pcma"},
    "g711_ulaw": {"type": "audio/pcmu"},
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
}
# These take a list of the languages that may be spoken, where all others take one.
_OF_SEVERAL_LANGUAGES = ("gpt-live-transcribe", "gpt-transcribe")


def to_ga(event: Event) -> Event:
    """An event for a GA server; fields that it does not have are left out."""
    match event["type"]:
        case "session.update":
            return _with_part(event, "session", lambda session: {"type": "realtime", **_moved(session, _SESSION)})
        case "transcription_session.update":
            changed = _with_part(event, "session", lambda session: {"type": "transcription", **_moved(session, _SESSION)})
            return {**changed, "type": "session.update"}
        case "response.create":
            return _with_part(event, "response", _asked_response_to_ga)
        case "conversation.item.create":
            return _with_part(event, "item", _item_to_ga)
        case _:
            return event


def from_ga(event: Event) -> Event:
    """An event of a GA server, or of a client that writes GA, in the beta's form. `type` is a text."""
    kind = event["type"]
    if kind in _EVENTS:
        event = {**event, "type": _EVENTS[kind]}
    if isinstance(session := event.get("session"), dict):
        if session.get("type") == "transcription" and kind in _TRANSCRIPTION_EVENTS:
            event = {**event, "type": _TRANSCRIPTION_EVENTS[kind]}
        event = _with_part(event, "session", _session_from_ga)
    if "response" in event:
        event = _with_part(event, "response", _asked_response_from_ga if kind == "response.create" else _response_from_ga)
    if "item" in event:
        event = _with_part(event, "item", _item_from_ga)
    if "part" in event:
        event = _with_part(event, "part", _content_from_ga)
    return event


# --- the parts of an event


def _session_from_ga(session: Event) -> Event:
    moved = _moved_back(session, _SESSION)
    return _without(moved, ("type",)) if moved.get("type") in ("realtime", "transcription") else moved


def _asked_response_to_ga(response: Event) -> Event:
    return _with_items(_moved(response, _ASKED_RESPONSE), "input", _item_to_ga)


def _asked_response_from_ga(response: Event) -> Event:
    return _with_items(_moved_back(response, _ASKED_RESPONSE), "input", _item_from_ga)


def _response_from_ga(response: Event) -> Event:
    return _with_items(_moved_back(response, _RESPONSE), "output", _item_from_ga)


def _item_to_ga(item: Event) -> Event:
    return _with_items(item, "content", _content_to_ga) if item.get("role") == "assistant" else item


def _item_from_ga(item: Event) -> Event:
    return _with_items(item, "content", _content_from_ga)


def _content_to_ga(content: Event) -> Event:
    return _renamed(content, {beta: ga for ga, beta in _CONTENTS.items()})


def _content_from_ga(content: Event) -> Event:
    return _renamed(content, _CONTENTS)


def _renamed(given: Event, names: Mapping[str, str]) -> Event:
    kind = given.get("type")
    return {**given, "type": names[kind]} if isinstance(kind, str) and kind in names else given


def _with_part(event: Event, name: str, convert: _Convert) -> Event:
    """`event` with its part of this name converted, if it is one."""
    part = event.get(name)
    changed = convert(part) if isinstance(part, dict) else part
    return event if changed is part else {**event, name: changed}


def _with_items(given: Event, name: str, convert: _Convert) -> Event:
    items = given.get(name)
    if not isinstance(items, list):
        return given
    changed = [convert(each) if isinstance(each, dict) else each for each in items]
    return given if all(new is old for new, old in zip(changed, items, strict=True)) else {**given, name: changed}


# --- fields that are elsewhere in the other form


def _moved(given: Event, places: Mapping[str, _Place]) -> Event:
    made = {name: value for name, value in given.items() if name not in places and name not in _GONE}
    for name, place in places.items():
        if name in given:
            made = _with(made, place, _value_to_ga(name, given[name]))
    return made


def _moved_back(given: Event, places: Mapping[str, _Place]) -> Event:
    made = given
    for name, place in places.items():
        inner: Any = given
        for step in place:
            if not isinstance(inner, dict) or step not in inner:
                break
            inner = inner[step]
        else:
            made = {**_without(made, place), name: _value_from_ga(name, inner)}
    return made


def _with(given: Event, place: Sequence[str], value: Any) -> Event:
    first, *rest = place
    inner = given.get(first)
    return {**given, first: _with(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _without(given: Event, place: Sequence[str]) -> Event:
    """What held nothing else goes too."""
    first, *rest = place
    left = _without(given[first], rest) if rest else {}
    others = {name: value for name, value in given.items() if name != first}
    return {**others, first: left} if left else others


def _value_to_ga(name: str, value: Any) -> Any:
    match name:
        case "modalities" if isinstance(value, list):
            return ["audio"] if "audio" in value else ["text"]  # GA takes one, and sound always has its text with it
        case "input_audio_format" | "output_audio_format" if isinstance(value, str):
            return _FORMATS.get(value, value)
        case "input_audio_transcription" if isinstance(value, dict):
            if str(value.get("model")).startswith(_OF_SEVERAL_LANGUAGES) and isinstance(language := value.get("language"), str):
                return {**_without(value, ("language",)), "languages": [language]}
            return value
        case _:
            return value


def _value_from_ga(name: str, value: Any) -> Any:
    match name:
        case "modalities":
            return ["text", "audio"] if value == ["audio"] else value
        case "input_audio_format" | "output_audio_format":
            return next((beta for beta, ga in _FORMATS.items() if value == ga), value)
        case _:
            return value
