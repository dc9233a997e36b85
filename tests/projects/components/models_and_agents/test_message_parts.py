"""What of a message a model gets."""

import base64

import pytest

from projects.components.models_and_agents import message_parts
from projects.components.models_and_agents.message_parts import chat_message_of, chat_messages_of
from projects.engine.values import Message
from projects.errors import TooLarge
from projects.models.chat import ChatMessage
from tests.fakes import FakeFiles, FakeRunContext

PNG = b"\x89PNG\r\n\x1a\n and the rest"


def context() -> FakeRunContext:
    return FakeRunContext(files=FakeFiles({"f/a.png": PNG, "f/really.png": b"\xff\xd8\xff jpeg", "f/c.webp": b"RIFF0000WEBP"}))


async def test_images_among_a_persons_files_become_data_addresses_by_what_they_hold() -> None:
    message = Message("Look", sender="User", files=["f/a.png", "f/really.png", "f/c.webp", "https://example.org/x.png"])
    turn = await chat_message_of(message, context())
    assert turn.role == "user" and turn.text == "Look"
    assert turn.images[0] == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert [image.partition(";")[0] for image in turn.images[1:3]] == ["data:image/jpeg", "data:image/webp"]
    assert turn.images[3] == "https://example.org/x.png"


async def test_other_files_are_named_below_the_text() -> None:
    turn = await chat_message_of(Message("Read this", sender="User", files=["f/notes.txt"]), context())
    assert turn == ChatMessage("user", "Read this\n\nAttached files: notes.txt")


async def test_the_role_follows_the_sender_and_answers_carry_no_images() -> None:
    assert await chat_message_of(Message("Hi", sender="Machine", files=["f/a.png"]), context()) == ChatMessage("assistant", "Hi")
    assert (await chat_message_of(Message("Hi"), context())).role == "user"


async def test_a_history_leaves_out_errors_and_empty_messages() -> None:
    history = [Message("a", sender="User"), Message("  "), Message("failed", sender="Agent", error=True), Message("b", sender="Machine")]
    assert await chat_messages_of(history, context()) == [ChatMessage("user", "a"), ChatMessage("assistant", "b")]


async def test_images_are_counted() -> None:
    with pytest.raises(TooLarge):
        await chat_message_of(Message("x", sender="User", files=["f/a.png"] * (message_parts.MAX_IMAGES + 1)), context())
