"""Text Input: a text from the node or from the run."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message


class TextInput(Component):
    """Emits its text. A run with input type `text` or `any` sets it."""

    type = "TextInput"
    display_name = "Text Input"
    description = "Takes a text into the flow."
    category = "input_output"
    icon = "type"
    aliases = ("TextInputComponent",)
    legacy = True
    is_input = True
    declared_inputs = (
        Input("input_value", display_name="Text", info="The text that enters the flow.", multiline=True),
        Input(
            "use_global_variable",
            InputKind.BOOLEAN,
            "Use Global Variable",
            "The text is the name of a variable.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("text", "text_response", display_name="Output Text"),)

    async def text_response(self) -> Message:
        return Message(text=plain_text(self.inputs.get("input_value")), flow_id=self.context.flow_id, run_id=self.context.run_id)
