"""Message History: reading a session in every form, and storing into it."""

from typing import Any

import pytest

from projects.components.models_and_agents.memory import MessageHistory
from projects.components.models_and_agents.store_message import StoreMessage
from projects.engine.component import ComponentError
from projects.engine.values import Message, Source
from tests.fakes import FakeRunContext, build, output_of

SAID = [("User", "Ann", "one"), ("Machine", "AI", "two"), ("User", "Ben", "three"), ("Machine", "AI", "four")]


def after_a_talk() -> FakeRunContext:
    said = [Message(text=text, sender=sender, sender_name=name, session_id="the-run-session") for sender, name, text in SAID]
    return FakeRunContext(history=[*said, Message(text="elsewhere", sender="User", session_id="other")])


async def texts(**fields: Any) -> list[str]:
    table = await output_of(build(MessageHistory, context=after_a_talk(), **fields), "dataframe")
    return [row["text"] for row in table.rows]


async def test_history_is_text_by_a_template() -> None:
    message = await output_of(build(MessageHistory, context=after_a_talk()))
    assert message.text == "Ann: one\nAI: two\nBen: three\nAI: four"
    own = await output_of(build(MessageHistory, context=after_a_talk(), template="[{sender}] {text} {nothing}", n_messages=1))
    assert own.text == "[Machine] four "


async def test_an_empty_session_is_empty_text() -> None:
    assert (await output_of(build(MessageHistory))).text == ""


async def test_the_last_messages_come_in_the_wanted_order() -> None:
    assert await texts(n_messages=2) == ["three", "four"]
    assert await texts(n_messages=2, order="Descending") == ["four", "three"]
    assert await texts(n_messages=0) == []
    assert await texts(session_id="other") == ["elsewhere"]


async def test_one_senders_messages_are_counted_among_themselves() -> None:
    assert await texts(sender_type="User") == ["one", "three"]
    assert await texts(sender_type="Machine", n_messages=1) == ["four"]
    assert await texts(sender_name="Ann", n_messages=1) == ["one"]
    assert await texts(sender_type="Machine and User", n_messages=3) == ["two", "three", "four"]


async def test_storing_keeps_a_message_under_the_nodes_names() -> None:
    context = FakeRunContext()
    fields: dict[str, Any] = {"mode": "Store", "message": Message(text="note"), "sender": "User", "sender_name": "Ann", "session_id": "s"}
    stored = await build(MessageHistory, context=context, **fields).store_message()  # type: ignore[attr-defined]
    assert context.kept == [stored]
    assert (stored.text, stored.sender, stored.sender_name, stored.session_id) == ("note", "User", "Ann", "s")


async def test_the_older_node_stores_for_the_machine_and_the_runs_session() -> None:
    context = FakeRunContext()
    stored = await output_of(build(StoreMessage, context=context, message="plain"))
    assert (stored.sender, stored.sender_name, stored.session_id) == ("Machine", "AI", "the-run-session")
    assert stored.source == Source("StoreMessage-test1", "Message Store", "Message Store")


async def test_what_is_kept_already_is_not_doubled() -> None:
    context = FakeRunContext()
    kept = Message(text="hi", sender="User", sender_name="User", session_id="the-run-session", id="row-1")
    assert await output_of(build(StoreMessage, context=context, message=kept)) is kept
    assert context.kept == []
    renamed = await output_of(build(StoreMessage, context=context, message=kept, sender_name="Ann"))
    assert renamed.id != "row-1" and kept.sender_name == "User"


async def test_nothing_to_store_is_said() -> None:
    with pytest.raises(ComponentError, match="no message to store"):
        await output_of(build(StoreMessage, message=Message()))


def test_older_outputs_have_their_methods() -> None:
    assert MessageHistory.method_for("stored_messages") == "store_message"
    assert MessageHistory.method_for("messages") == "retrieve_messages"
    assert MessageHistory.method_for("other") == ""
