"""JSON Cleaner: repairs the JSON that models write."""

from __future__ import annotations

import unicodedata

from projects.components.conversion import json_text, plain_text, read_json
from projects.components.processing.transformations import json_repair
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Message

_CONTROL_CHARACTERS = dict.fromkeys([*range(32), 127])


class JSONCleaner(Component):
    """Takes the text from the first `{` to the last `}`."""

    type = "JSONCleaner"
    display_name = "JSON Cleaner"
    description = "Repairs JSON text."
    category = "processing"
    icon = "braces"
    legacy = True
    declared_inputs = (
        Input("json_str", display_name="JSON String", info="The text.", required=True),
        Input("remove_control_chars", InputKind.BOOLEAN, "Remove Control Characters", "Before reading.", default=False, field_type="bool"),
        Input("normalize_unicode", InputKind.BOOLEAN, "Normalize Unicode", "Before reading.", default=False, field_type="bool"),
        Input("validate_json", InputKind.BOOLEAN, "Validate JSON", "Refuse what needs repair.", default=False, field_type="bool"),
    )
    declared_outputs = (Output("output", "clean_json", display_name="Cleaned JSON String"),)

    async def clean_json(self) -> Message:
        text = plain_text(self.inputs.get("json_str"))
        start, end = text.find("{"), text.rfind("}")
        if start == -1 or end < start:
            raise ComponentError("This is no JSON object: it lacks { or }.")
        text = text[start : end + 1]
        if self.inputs.get("remove_control_chars"):
            text = text.translate(_CONTROL_CHARACTERS)
        if self.inputs.get("normalize_unicode"):
            text = unicodedata.normalize("NFC", text)
        try:
            return Message(text=json_text(read_json(text)))
        except ValueError as error:
            if self.inputs.get("validate_json"):
                raise ComponentError(f"This is no valid JSON: {error}") from error
        try:
            return Message(text=json_text(json_repair.repaired(text)))
        except json_repair.NotReadable as error:
            raise ComponentError(f"This cannot be read as JSON: {error}") from error
