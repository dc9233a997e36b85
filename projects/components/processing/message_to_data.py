"""Message to Data: Type Convert's ancestor for messages."""

from __future__ import annotations

from projects.components.conversion import message_of, message_record
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data


class MessageToData(Component):
    """All parts of the message as a record."""

    type = "MessagetoData"
    display_name = "Message to Data"
    description = "Turns a message into a record of its parts."
    category = "processing"
    icon = "message-square-share"
    aliases = ("MessageToDataComponent",)
    legacy = True
    declared_inputs = (Input("message", InputKind.MESSAGE, "Message", "The message."),)
    declared_outputs = (Output("data", "convert_message_to_data", ("Data", "JSON"), "Data"),)

    async def convert_message_to_data(self) -> Data:
        return Data(data=message_record(message_of(self.inputs.get("message"))))
