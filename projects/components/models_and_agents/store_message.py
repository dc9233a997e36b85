"""Message Store, the older node that only stores."""

from __future__ import annotations

from projects.components.models_and_agents.memory import MessageHistory
from projects.engine.component import Output


class StoreMessage(MessageHistory):
    """Message History in its storing mode, under the older type and output."""

    type = "StoreMessage"
    display_name = "Message Store"
    description = "Stores a message in a session."
    aliases = ("StoreMessageComponent",)
    legacy = True
    declared_inputs = tuple(
        item for item in MessageHistory.declared_inputs if item.name in ("message", "sender", "sender_name", "session_id", "context_id")
    )
    declared_outputs = (Output("stored_messages", "store_message", display_name="Stored Messages"),)
