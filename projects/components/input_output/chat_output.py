"""Chat Output: whatever arrives, as a message to the person."""

from __future__ import annotations

from projects.components.conversion import shown_text
from projects.components.input_output.chat_input import chat_artifact
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import SENDER_MACHINE, SENDER_USER, Message, Source


class ChatOutput(Component):
    """Exit point of a chat. Lists, records and tables become text; the source is the vertex that feeds it."""

    type = "ChatOutput"
    display_name = "Chat Output"
    description = "Shows a message, record or table in the chat."
    category = "input_output"
    icon = "MessagesSquare"
    is_output = True
    declared_inputs = (
        Input(
            "input_value",
            InputKind.HANDLE,
            "Inputs",
            "What to show.",
            required=True,
            types=("Data", "JSON", "DataFrame", "Table", "Message"),
            field_type="other",
        ),
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
            default=SENDER_MACHINE,
            advanced=True,
            options=(SENDER_MACHINE, SENDER_USER),
        ),
        Input("sender_name", display_name="Sender Name", info="Name of the sender.", default="AI", advanced=True),
        Input("session_id", display_name="Session ID", info="Session of the chat; empty: the message's, then the run's.", advanced=True),
        Input("context_id", display_name="Context ID", info="A further key that separates histories.", advanced=True),
        Input(
            "data_template",
            display_name="Data Template",
            info="Kept for older flows; records are shown whole.",
            default="{text}",
            advanced=True,
        ),
        Input(
            "clean_data",
            InputKind.BOOLEAN,
            "Basic Clean Data",
            "Leave out empty rows of tables.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("message", "message_response", display_name="Output Message"),)

    async def message_response(self) -> Message:
        value = self.inputs.get("input_value")
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        message = self._continued(value) if isinstance(value, Message) else Message(text=shown_text(value))
        message.sender = self.inputs.get("sender") or SENDER_MACHINE
        message.sender_name = self.inputs.get("sender_name") or "AI"
        message.session_id = self.inputs.get("session_id") or message.session_id or self.context.session_id
        message.context_id = self.inputs.get("context_id") or ""
        message.flow_id = self.context.flow_id
        message.run_id = self.context.run_id
        message.source = self._source(message.source)
        if self.inputs.get("should_store_message", True) and message.session_id:
            message = await self.context.keep_message(message)
        self.artifact = chat_artifact(message)
        return message

    def _continued(self, incoming: Message) -> Message:
        """The incoming message under its own id, so that what an agent stored is updated and not doubled.

        What a person wrote keeps its own row: it is answered by a new message. A copy, because other vertices may hold the same one.
        """
        written_by_a_person = incoming.source.id is None and incoming.id is not None
        if written_by_a_person or any(source.type == "ChatInput" for source in self.vertex.fed_by.get("input_value", ())):
            return Message(text=incoming.text, session_id=incoming.session_id)
        return incoming.copy()

    def _source(self, current: Source) -> Source:
        feeding = self.vertex.fed_by.get("input_value", ())
        if not feeding:
            return current
        vertex = feeding[0]
        model = current.source if current.id == vertex.id else None
        return Source(id=vertex.id, display_name=vertex.display_name, source=model or vertex.display_name)
