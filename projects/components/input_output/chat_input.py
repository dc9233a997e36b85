"""Chat Input: the run's text as a message from a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import SENDER_MACHINE, SENDER_USER, Message


class ChatInput(Component):
    """Entry point. `input_value` is the run's text, else what is stored in the node."""

    type = "ChatInput"
    display_name = "Chat Input"
    description = "Takes a chat message into the flow."
    category = "input_output"
    icon = "MessagesSquare"
    is_input = True
    declared_inputs = (
        Input("input_value", display_name="Input Text", info="The message that enters the flow.", multiline=True),
        Input(
            "should_store_message",
            InputKind.BOOLEAN,
            "Store Messages",
            "Keep the message in the history.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "sender",
            InputKind.STRING,
            "Sender Type",
            "Who speaks.",
            default=SENDER_USER,
            advanced=True,
            options=(SENDER_MACHINE, SENDER_USER),
        ),
        Input("sender_name", display_name="Sender Name", info="Name of the sender.", default=SENDER_USER, advanced=True),
        Input("session_id", display_name="Session ID", info="Session of the chat; empty: the run's.", advanced=True),
        Input("context_id", display_name="Context ID", info="A further key that separates histories.", advanced=True),
        Input("files", InputKind.FILE, "Files", "Files sent with the message.", advanced=True, is_list=True, field_type="file"),
    )
    declared_outputs = (Output("message", "message_response", display_name="Chat Message"),)

    async def message_response(self) -> Message:
        message = Message(
            text=plain_text(self.inputs.get("input_value")),
            sender=self.inputs.get("sender") or SENDER_USER,
            sender_name=self.inputs.get("sender_name") or SENDER_USER,
            session_id=self.inputs.get("session_id") or self.context.session_id,
            context_id=self.inputs.get("context_id") or "",
            files=_paths(self.inputs.get("files")),
            flow_id=self.context.flow_id,
            run_id=self.context.run_id,
        )
        if self.inputs.get("should_store_message", True) and message.session_id:
            message = await self.context.keep_message(message)
        self.artifact = chat_artifact(message)
        return message


def chat_artifact(message: Message) -> dict[str, Any]:
    """What the build record of a chat component shows."""
    return {
        "message": message.text,
        "sender": message.sender,
        "sender_name": message.sender_name,
        "files": list(message.files),
        "type": "object",
    }


def _paths(files: Any) -> list[str]:
    """Paths from a path, a list of paths, or objects with a `path`, as clients send all three."""
    if not files:
        return []
    found = files if isinstance(files, list | tuple) else [files]
    paths = [item.get("path") if isinstance(item, Mapping) else item for item in found]
    return [str(path) for path in paths if path]
