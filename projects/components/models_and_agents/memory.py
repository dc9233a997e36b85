"""Message History: what was said in a session, as text or a table; or one more message for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from projects.components import placeholders
from projects.components.conversion import message_record, plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import SENDER_MACHINE, SENDER_USER, Data, Message, Source, Table

DEFAULT_LIMIT = 100
SEARCHED = 5_000  # how far back messages of one sender are looked for

_BOTH = "Machine and User"
_NEWEST_FIRST = "descending"


class MessageHistory(Component):
    """Reads what earlier runs of this flow left in the session. Messages of the run itself are not history yet."""

    type = "Memory"
    display_name = "Message History"
    description = "Reads the messages of a session, or stores one."
    category = "models_and_agents"
    icon = "message-square-more"
    writes_world = True
    only_adds = True
    only_reads_with: ClassVar[Mapping[str, Collection[Any]]] = {"mode": ("Retrieve",)}
    stays_home = True
    aliases: ClassVar[tuple[str, ...]] = ("MessageHistory", "MemoryComponent")
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        Input("mode", InputKind.STRING, "Mode", "Read or write.", default="Retrieve", options=("Retrieve", "Store"), field_type="tab"),
        Input("message", InputKind.MESSAGE, "Message", "What to store.", types=("Message",), tool_mode=True),
        Input(
            "n_messages",
            InputKind.INTEGER,
            "Number of Messages",
            "How many messages to read; 0 for none.",
            default=DEFAULT_LIMIT,
            advanced=True,
            field_type="int",
        ),
        Input(
            "order",
            InputKind.STRING,
            "Order",
            "Oldest or newest first.",
            default="Ascending",
            advanced=True,
            options=("Ascending", "Descending"),
            tool_mode=True,
        ),
        Input(
            "sender_type",
            InputKind.STRING,
            "Sender Type",
            "Whose messages to read.",
            default=_BOTH,
            advanced=True,
            options=(SENDER_MACHINE, SENDER_USER, _BOTH),
        ),
        Input("sender", display_name="Sender", info="Who speaks: Machine or User.", advanced=True),
        Input("sender_name", display_name="Sender Name", info="Name of the sender.", advanced=True),
        Input("session_id", display_name="Session ID", info="Session of the chat; empty: the run's.", advanced=True),
        Input("context_id", display_name="Context ID", info="A further key that separates histories.", advanced=True),
        Input(
            "template",
            display_name="Template",
            info="One message as text. Knows {text}, {sender}, {sender_name} and the other parts of a message.",
            default="{sender_name}: {text}",
            advanced=True,
            multiline=True,
        ),
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (
        Output("messages_text", "retrieve_messages_as_text", display_name="Message"),
        Output("dataframe", "retrieve_messages_dataframe", ("DataFrame", "Table"), "Table"),
    )

    _found: list[Message] | None = None

    @classmethod
    def method_for(cls, output: str) -> str:
        return {"stored_messages": "store_message", "messages": "retrieve_messages"}.get(output, "")

    async def retrieve_messages_as_text(self) -> Message:
        if self._stores():
            return await self.store_message()
        template = plain_text(self.inputs.get("template")) or "{text}"
        return Message(text="\n".join(_templated(template, message) for message in await self._retrieved()))

    async def retrieve_messages_dataframe(self) -> Table:
        if self._stores():
            return Table([message_record(await self.store_message())])
        return Table([message_record(message) for message in await self._retrieved()])

    async def retrieve_messages(self) -> list[Data]:
        """As exports before tables have it."""
        return [Data(message_record(message)) for message in await self._retrieved()]

    async def store_message(self) -> Message:
        message = self._to_store()
        # What another node already keeps under the same names is not doubled.
        incoming = self.inputs.get("message")
        if isinstance(incoming, Message) and incoming.id is not None and _is_same(incoming, message):
            return incoming
        return await self.context.keep_message(message)

    def _to_store(self) -> Message:
        incoming = self.inputs.get("message")
        message = incoming.copy(id=None) if isinstance(incoming, Message) else Message(text=plain_text(incoming))
        if not message.text.strip() and not message.files:
            raise ComponentError("There is no message to store: connect one or type a text.")
        message.sender = self._text("sender") or message.sender or SENDER_MACHINE
        message.sender_name = self._text("sender_name") or message.sender_name or ("User" if message.sender == SENDER_USER else "AI")
        message.session_id = self._session()
        message.context_id = self._text("context_id") or message.context_id
        if message.sender != SENDER_USER and message.source.id is None:
            message.source = Source(self.vertex.id, self.vertex.display_name, self.vertex.display_name)
        return message

    async def _retrieved(self) -> list[Message]:
        """The last messages that match, in the wanted order; read once for both outputs."""
        if self._found is None:
            self._found = await self._read()
        return self._found

    async def _read(self) -> list[Message]:
        limit = self.inputs.get("n_messages")
        if not isinstance(limit, int):
            limit = DEFAULT_LIMIT
        if limit <= 0:
            return []
        sender = self._text("sender_type") or self._text("sender")
        names = {sender} if sender in (SENDER_MACHINE, SENDER_USER) else set()
        sender_name = self._text("sender_name")
        found = await self.context.read_messages(
            session_id=self._session(),
            limit=max(limit, SEARCHED) if names or sender_name else limit,
            context_id=self._text("context_id"),
        )
        matching = [
            message
            for message in found
            if (not names or message.sender in names) and (not sender_name or message.sender_name == sender_name)
        ][-limit:]
        return matching[::-1] if self._text("order").lower() == _NEWEST_FIRST else matching

    def _stores(self) -> bool:
        return self._text("mode").lower() == "store"

    def _session(self) -> str:
        return self._text("session_id") or self.context.session_id

    def _text(self, name: str) -> str:
        return plain_text(self.inputs.get(name)).strip()


def _templated(template: str, message: Message) -> str:
    record = message_record(message)
    return placeholders.fill(template, lambda name: plain_text(record.get(name)))


def _is_same(first: Message, second: Message) -> bool:
    def shown(message: Message) -> tuple[str, ...]:
        return message.text, message.sender, message.sender_name, message.session_id, message.context_id

    return shown(first) == shown(second)
