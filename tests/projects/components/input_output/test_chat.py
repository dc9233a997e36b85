"""Chat Input and Chat Output."""

from datetime import UTC, datetime
from typing import Any

import pytest

from projects.components.input_output.chat_input import ChatInput
from projects.components.input_output.chat_output import ChatOutput
from projects.engine.component import SourceInfo
from projects.engine.values import Data, Message, Source, Table
from tests.fakes import FakeRunContext, build, output_of

FROM_CHAT_INPUT = {"input_value": (SourceInfo("ChatInput-1", "ChatInput", "Chat Input"),)}
FROM_PROMPT = {"input_value": (SourceInfo("Prompt Template-1", "Prompt Template", "My Prompt"),)}


async def test_chat_input_makes_a_stored_message_of_a_person() -> None:
    context = FakeRunContext()
    instance = build(ChatInput, context=context, input_value="hello")
    message = await output_of(instance)
    assert (message.text, message.sender, message.sender_name, message.session_id) == ("hello", "User", "User", "the-run-session")
    assert context.kept == [message]
    assert message.source == Source()
    assert instance.artifact == {"message": "hello", "sender": "User", "sender_name": "User", "files": [], "type": "object"}


async def test_a_message_that_should_not_be_stored_is_not() -> None:
    for component in (ChatInput, ChatOutput):
        context = FakeRunContext()
        message = await output_of(build(component, context=context, input_value="x", should_store_message=False))
        assert context.kept == []
        assert message.flow_id == context.flow_id


async def test_without_a_session_nothing_is_stored() -> None:
    for component in (ChatInput, ChatOutput):
        context = FakeRunContext(session_id="")
        await output_of(build(component, context=context, input_value="x"))
        assert context.kept == []


async def test_chat_input_takes_its_own_sender_session_and_context() -> None:
    fields: dict[str, Any] = {"sender": "Machine", "sender_name": "Bot", "session_id": "mine", "context_id": "c"}
    message = await output_of(build(ChatInput, input_value="x", **fields))
    assert (message.sender, message.sender_name, message.session_id, message.context_id) == ("Machine", "Bot", "mine", "c")


@pytest.mark.parametrize("files", ["f/a.png", ["f/a.png"], [{"path": "f/a.png", "name": "a"}], {"path": "f/a.png"}, ["", "f/a.png", None]])
async def test_files_come_as_paths_or_objects_with_a_path(files: Any) -> None:
    message = await output_of(build(ChatInput, input_value="x", files=files))
    assert message.files == ["f/a.png"]


async def test_chat_output_names_the_vertex_that_feeds_it() -> None:
    context = FakeRunContext()
    message = await output_of(build(ChatOutput, context=context, input_value=Message(text="hi"), fed_by=FROM_PROMPT))
    assert message.source == Source(id="Prompt Template-1", display_name="My Prompt", source="My Prompt")
    assert (message.sender, message.sender_name, message.session_id) == ("Machine", "AI", "the-run-session")
    assert context.kept == [message]


async def test_the_session_is_the_fields_then_the_messages_then_the_runs() -> None:
    incoming = Message(text="x", session_id="of the message")
    own = await output_of(build(ChatOutput, input_value=incoming, session_id="own", fed_by=FROM_PROMPT))
    carried = await output_of(build(ChatOutput, input_value=incoming, fed_by=FROM_PROMPT))
    assert (own.session_id, carried.session_id) == ("own", "of the message")


async def test_a_stored_message_of_an_agent_is_updated_under_its_own_id() -> None:
    stored = Message(text="x", id="row-1", files=["f"], source=Source("Agent-1", "Agent", "a-model"))
    fed_by = {"input_value": (SourceInfo("Agent-1", "Agent", "Agent"),)}
    message = await output_of(build(ChatOutput, input_value=stored, fed_by=fed_by))
    assert (message.id, message.files) == ("row-1", ["f"])
    assert message.source == Source("Agent-1", "Agent", "a-model")
    assert stored.sender == "", "what other vertices hold stays as it was"


async def test_what_a_person_wrote_is_answered_by_a_message_of_its_own() -> None:
    then = datetime(2020, 1, 1, tzinfo=UTC)
    typed = Message(text="x", id="row-1", sender="User", timestamp=then, files=["f"])
    for fed_by in (FROM_CHAT_INPUT, {"input_value": (SourceInfo("Pass-1", "Pass", "Pass"),)}):
        message = await output_of(build(ChatOutput, input_value=typed, fed_by=fed_by))
        assert message.id == "message-1"
        assert message.timestamp > then
        assert typed.sender == "User"


async def test_two_outputs_of_one_message_store_one_each() -> None:
    context, shared = FakeRunContext(), Message(text="x")
    first = await output_of(build(ChatOutput, context=context, input_value=shared, fed_by=FROM_PROMPT))
    second = await output_of(build(ChatOutput, context=context, input_value=shared, fed_by=FROM_PROMPT, sender_name="Other"))
    assert first.id != second.id
    assert [message.sender_name for message in context.kept] == ["AI", "Other"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([Message(text="a"), Message(text="b")], "a\nb"),
        ([Message(text="only")], "only"),
        (Data({"a": 1}), '```json\n{\n  "a": 1\n}\n```'),
        ({"a": 1}, '```json\n{\n  "a": 1\n}\n```'),
        (Table([{"a": 1}]), "|   a |\n|----:|\n|   1 |"),
        (3, "3"),
    ],
)
async def test_every_value_becomes_text(value: Any, text: str) -> None:
    assert (await output_of(build(ChatOutput, input_value=value))).text == text
