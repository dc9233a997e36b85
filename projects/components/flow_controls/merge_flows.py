"""Merge Flows: waits for several branches, then lets what is behind it go on."""

from __future__ import annotations

from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message


class MergeFlows(Component):
    """The runner starts a node when all that feeds it is done; a branch that was not taken is not waited for."""

    type = "MergeFlows"
    display_name = "Merge Flows"
    description = "Waits for several branches."
    category = "flow_controls"
    icon = "merge"
    aliases = ("MergeFlowsComponent",)
    declared_inputs = (
        Input(
            "inputs",
            InputKind.HANDLE,
            "Inputs",
            "The ends of the branches.",
            is_list=True,
            types=("Data", "JSON", "DataFrame", "Table", "Message"),
            field_type="other",
        ),
    )
    declared_outputs = (Output("done", "merge", ("Message",), "Done"),)

    async def merge(self) -> Message:
        return Message(text="done")
