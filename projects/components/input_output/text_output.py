"""Text Output: a text as an answer that stays out of the chat."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, Output
from projects.engine.values import Message


class TextOutput(Component):
    """Counts as an output of the flow; nothing is stored."""

    type = "TextOutput"
    display_name = "Text Output"
    description = "Hands a text out of the flow."
    category = "input_output"
    icon = "type"
    aliases = ("TextOutputComponent",)
    legacy = True
    is_output = True
    declared_inputs = (Input("input_value", display_name="Inputs", info="The text to hand out.", multiline=True),)
    declared_outputs = (Output("text", "text_response", display_name="Output Text"),)

    async def text_response(self) -> Message:
        return Message(text=plain_text(self.inputs.get("input_value")), flow_id=self.context.flow_id, run_id=self.context.run_id)
