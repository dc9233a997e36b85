"""Combine Text: two texts with a delimiter between them."""

from __future__ import annotations

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, Output
from projects.engine.values import Message


class CombineText(Component):
    """The delimiter stands between them even when one is empty."""

    type = "CombineText"
    display_name = "Combine Text"
    description = "Joins two texts with a delimiter."
    category = "processing"
    icon = "merge"
    aliases = ("CombineTextComponent",)
    legacy = True
    declared_inputs = (
        Input("text1", display_name="First Text", info="The text in front."),
        Input("text2", display_name="Second Text", info="The text behind."),
        Input("delimiter", display_name="Delimiter", info="What stands between.", default=" "),
    )
    declared_outputs = (Output("combined_text", "combine_texts", display_name="Combined Text"),)

    async def combine_texts(self) -> Message:
        first, second, delimiter = (plain_text(self.inputs.get(name)) for name in ("text1", "text2", "delimiter"))
        return Message(text=f"{first}{delimiter}{second}")
