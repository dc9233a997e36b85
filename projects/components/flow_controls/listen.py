"""Listen: gives what Notify told under its name."""

from __future__ import annotations

from typing import Any

from projects.engine.component import NOTIFIED, Component, Input, InputKind, Output
from projects.engine.context import RunContext
from projects.engine.values import Data


def notified(context: RunContext) -> dict[str, Any]:
    """What was told in this run, name → value."""
    told: dict[str, Any] = context.state.setdefault(NOTIFIED, {})
    return told


class Listen(Component):
    """Runs once for each notification of a name that its key holds; what is behind it runs with it."""

    type = "Listen"
    display_name = "Listen"
    description = "Gives what Notify told under the same name."
    category = "flow_controls"
    icon = "ear"
    listens_to = "context_key"
    declared_inputs = (Input("context_key", InputKind.STRING, "Context Key", "The name to listen to.", required=True),)
    declared_outputs = (Output("data", "listen_for_data", ("Data", "JSON"), "Data"),)

    async def listen_for_data(self) -> Any:
        key, told = str(self.inputs.get("context_key") or ""), notified(self.context)
        if key in told:
            return told[key]
        # What was told last counts when the key holds several names.
        return next((value for name, value in reversed(told.items()) if name in key), Data())
