"""ID Generator: a random id."""

from __future__ import annotations

from uuid import uuid4

from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, Output
from projects.engine.values import Message


class IDGenerator(Component):
    """The stored value when there is one, else a new random id."""

    type = "IDGenerator"
    display_name = "ID Generator"
    description = "Makes a unique id."
    category = "utilities"
    icon = "fingerprint"
    varies = True
    aliases = ("IDGeneratorComponent",)
    legacy = True
    declared_inputs = (Input("unique_id", display_name="Value", info="The id; empty: a new one.", tool_mode=True),)
    declared_outputs = (Output("id", "generate_id", display_name="ID"),)

    async def generate_id(self) -> Message:
        return Message(text=plain_text(self.inputs.get("unique_id")) or str(uuid4()))
