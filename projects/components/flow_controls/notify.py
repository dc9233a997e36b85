"""Notify: puts a value under a name and wakes what listens to it."""

from __future__ import annotations

from typing import Any

from projects.components.conversion import data_of
from projects.components.flow_controls.listen import notified
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message


class Notify(Component):
    """Each build is one notification: every Listen whose key holds the name runs once for it."""

    type = "Notify"
    display_name = "Notify"
    description = "Tells a value to the Listen components of the same name."
    category = "flow_controls"
    icon = "bell"
    notifies = True
    declared_inputs = (
        Input("context_key", InputKind.STRING, "Context Key", "The name to tell the value under.", required=True),
        Input(
            "input_value",
            InputKind.HANDLE,
            "Input Data",
            "The value to tell.",
            types=("Data", "JSON", "Message", "DataFrame", "Table"),
            field_type="other",
        ),
        Input(
            "append",
            InputKind.BOOLEAN,
            "Append",
            "Add to what was told before in this run.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("result", "notify_components", ("Data", "JSON"), "Data"),)

    async def notify_components(self) -> Any:
        name = str(self.inputs.get("context_key") or "").strip()
        if not name:
            raise ComponentError("Context Key is empty: give the name that Listen waits for.")
        value: Any = _record(self.inputs.get("input_value"))
        if self.inputs.get("append"):
            earlier = notified(self.context).get(name)
            value = [*(earlier if isinstance(earlier, list) else [] if earlier is None else [earlier]), value]
        notified(self.context)[name] = value
        self.notify(name, value)
        return value


def _record(value: Any) -> Data:
    return Data(data={"text": value.text}) if isinstance(value, Message) else data_of(value)
