"""Pass: hands a message on unchanged."""

from __future__ import annotations

from projects.components.conversion import message_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message


class PassMessage(Component):
    """`ignored_message` only makes this vertex wait for another one."""

    type = "Pass"
    display_name = "Pass"
    description = "Hands a message on unchanged."
    category = "flow_controls"
    icon = "arrow-right"
    aliases = ("PassMessageComponent",)
    legacy = True
    declared_inputs = (
        Input("input_message", InputKind.MESSAGE, "Input Message", "The message to hand on.", required=True),
        Input("ignored_message", InputKind.MESSAGE, "Ignored Message", "A further message to wait for.", advanced=True),
    )
    declared_outputs = (Output("output_message", "pass_message", display_name="Output Message"),)

    async def pass_message(self) -> Message:
        return message_of(self.inputs.get("input_message"))
