"""What one vertex looks like in the answer of a run."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Source, Table
from projects.invocation import InvocationResult
from rest_adapter.v1.run_shapes import message_dump, moment_text, run_response, vertex_result

FLOW = "00000000-0000-7000-8000-00000000000f"
RUN = "00000000-0000-7000-8000-00000000000a"
MOMENT = datetime(2026, 11, 22, 0, 6, 50, 7, tzinfo=UTC)
NEUTRAL_PROPERTIES: dict[str, Any] = {
    "text_color": None,
    "background_color": None,
    "edited": False,
    "source": {"id": "ChatInput-1", "display_name": "Chat Input", "source": "Chat Input"},
    "icon": None,
    "allow_markdown": False,
    "positive_feedback": None,
    "state": "complete",
    "targets": [],
    "usage": None,
    "build_duration": None,
}


def stored(text: str, **changes: Any) -> Message:
    given = {
        "sender": "Machine",
        "sender_name": "AI",
        "session_id": "s",
        "timestamp": MOMENT,
        "flow_id": FLOW,
        "run_id": RUN,
        "id": "00000000-0000-7000-8000-000000000001",
        "source": Source("ChatInput-1", "Chat Input", "Chat Input"),
    }
    return Message(text=text, **{**given, **changes})


def chat_output(message: Message) -> VertexResult:
    return VertexResult("ChatOutput-1", "ChatOutput", "Chat Output", outputs={"message": message})


def test_a_timestamp_always_has_six_digits() -> None:
    assert moment_text(MOMENT) == "2026-11-22 00:06:50.000007 UTC"
    assert moment_text(MOMENT.replace(microsecond=0)) == "2026-11-22 00:06:50.000000 UTC"


def test_a_chat_vertex_has_its_message_in_five_places() -> None:
    shown = vertex_result(chat_output(stored("hello")), flow_id=FLOW)
    assert list(shown) == [
        "results",
        "artifacts",
        "outputs",
        "logs",
        "messages",
        "timedelta",
        "duration",
        "component_display_name",
        "component_id",
        "used_frozen_result",
        "token_usage",
    ]
    assert shown["artifacts"] == {"message": "hello", "sender": "Machine", "sender_name": "AI", "files": [], "type": "object"}
    assert shown["outputs"] == {"message": {"message": "hello", "type": "text"}}
    assert shown["logs"] == {"message": []}
    assert shown["messages"] == [
        {
            "message": "hello",
            "sender": "Machine",
            "sender_name": "AI",
            "session_id": "s",
            "stream_url": None,
            "component_id": "ChatOutput-1",
            "files": [],
            "type": "text",
        }
    ]
    assert (shown["timedelta"], shown["duration"], shown["used_frozen_result"], shown["token_usage"]) == (None, None, False, None)


def test_a_stored_message_has_its_fields_twice_in_the_known_order() -> None:
    dump = message_dump(stored("hello"), flow_id=FLOW)
    data = dump["data"]
    assert " ".join(data) == (
        "timestamp sender sender_name session_id context_id text files error edit properties category content_blocks "
        "session_metadata id flow_id run_id duration"
    )
    assert " ".join(dump) == (
        "text_key data default_value sender sender_name files session_id context_id run_id timestamp flow_id error edit "
        "properties category content_blocks duration session_metadata text"
    )
    assert all(dump[name] == data[name] for name in dump if name in data)
    assert dump["properties"] == NEUTRAL_PROPERTIES
    assert dump["session_metadata"] == {"graph_run_id": RUN}


def test_a_message_that_was_not_stored_has_no_sender_and_no_run() -> None:
    message = Message(text="typed", timestamp=MOMENT)
    dump = message_dump(message, flow_id=FLOW)
    assert " ".join(dump["data"]) == (
        "text files sender sender_name session_id context_id run_id timestamp flow_id error edit properties category "
        "content_blocks duration session_metadata"
    )
    assert (dump["sender"], dump["run_id"], dump["session_metadata"], dump["flow_id"]) == (None, None, None, FLOW)


def test_a_text_output_is_shown_under_its_output_name() -> None:
    vertex = VertexResult("TextOutput-1", "TextOutput", "Text Output", outputs={"text": Message(text="typed")})
    shown = vertex_result(vertex, flow_id=FLOW)
    assert shown["results"]["text"]["text"] == "typed"
    assert shown["artifacts"] == {"text": {"repr": "typed", "raw": "typed", "type": "text"}}
    assert [(message["message"], message["sender"], message["session_id"]) for message in shown["messages"]] == [("typed", "Machine", "")]


def test_a_vertex_in_the_middle_shows_its_values_under_outputs_only() -> None:
    vertex = VertexResult("Prompt-1", "Prompt Template", "Prompt", outputs={"prompt": Message(text="shout: hey")})
    shown = vertex_result(vertex, flow_id=FLOW)
    assert shown["results"] == {}
    assert shown["messages"] == []
    assert shown["outputs"] == {"prompt": {"message": "shout: hey", "type": "text"}}
    assert shown["artifacts"] == {"prompt": {"repr": "shout: hey", "raw": "shout: hey", "type": "text"}}


@pytest.mark.parametrize(
    ("value", "word", "shown"),
    [
        (Data({"a": 1}), "object", {"a": 1}),
        (Table([{"a": 1}]), "array", [{"a": 1}]),
        ([1, 2], "array", [1, 2]),
        ("text", "text", "text"),
        (None, "unknown", None),
        (4, "unknown", 4),
    ],
)
def test_each_kind_of_value_has_its_word(value: Any, word: str, shown: Any) -> None:
    output = vertex_result(VertexResult("X-1", "X", "X", outputs={"out": value}), flow_id=FLOW)["outputs"]["out"]
    assert output == {"message": shown, "type": word}


def test_an_empty_message_is_not_listed() -> None:
    shown = vertex_result(chat_output(stored("")), flow_id=FLOW)
    assert shown["messages"] == []
    assert shown["outputs"] == {"message": {"message": "", "type": "text"}}


def test_line_ends_of_a_machine_become_paragraphs_and_those_of_a_person_stay() -> None:
    machine = vertex_result(chat_output(stored("a\nb\n\nc")), flow_id=FLOW)
    assert machine["messages"][0]["message"] == machine["artifacts"]["message"] == "a\n\nb\n\nc"
    assert machine["outputs"]["message"]["message"] == "a\nb\n\nc"
    person = vertex_result(chat_output(stored("a\nb", sender="User")), flow_id=FLOW)
    assert person["messages"][0]["message"] == "a\nb"


def test_loose_tool_calls_are_grouped() -> None:
    call = {"type": "tool_use", "name": "calculate"}
    dump = message_dump(stored("x", content_blocks=[{"type": "text", "text": "x"}, call]), flow_id=FLOW)
    assert dump["content_blocks"] == [{"title": "Agent Steps", "contents": [call], "allow_markdown": True, "media_url": None}]


def test_warnings_are_there_only_when_there_are_any() -> None:
    quiet = InvocationResult(run_id=RUN, flow_id=FLOW, session_id="s", input_value=None, outputs=(), vertices={})
    assert run_response(quiet) == {"session_id": "s", "outputs": [{"inputs": {}, "outputs": []}]}
    warned = replace(quiet, input_value="hi", warnings=("no such node",))
    assert run_response(warned) == {
        "session_id": "s",
        "outputs": [{"inputs": {"input_value": "hi"}, "outputs": []}],
        "warnings": ["no such node"],
    }
