"""Current Date: now, in a time zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from projects.components.conversion import plain_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Message


class CurrentDate(Component):
    """Date and time of the moment it runs."""

    type = "CurrentDate"
    display_name = "Current Date"
    description = "Tells the current date and time in a time zone."
    category = "utilities"
    icon = "clock"
    varies = True
    aliases = ("CurrentDateComponent",)
    declared_inputs = (Input("timezone", InputKind.STRING, "Timezone", "A name such as Europe/Berlin.", default="UTC", tool_mode=True),)
    declared_outputs = (Output("current_date", "get_current_date", display_name="Current Date"),)

    async def get_current_date(self) -> Message:
        name = plain_text(self.inputs.get("timezone")).strip() or "UTC"
        try:
            zone = ZoneInfo(name)
        except (ValueError, OSError, LookupError) as error:  # ZoneInfoNotFoundError is a KeyError; odd names reach the file system
            raise ComponentError(f"Unknown time zone {name!r}. Use a name such as UTC or Europe/Berlin.") from error
        return Message(text=f"Current date and time in {name}: {datetime.now(zone):%Y-%m-%d %H:%M:%S %Z}")
