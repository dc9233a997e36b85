"""Extract Key: one key of a record or of each record."""

from __future__ import annotations

from projects.components.conversion import plain_text, records_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Table


class ExtractKey(Component):
    """Of several records, those without the key are left out; a single one answers with `error`."""

    type = "ExtractaKey"
    display_name = "Extract Key"
    description = "Takes one key out of records."
    category = "processing"
    icon = "key"
    aliases = ("ExtractDataKeyComponent",)
    legacy = True
    declared_inputs = (
        Input("data_input", InputKind.DATA, "Data Input", "The record or records.", types=("Data", "JSON"), field_type="other"),
        Input("key", InputKind.STRING, "Key to Extract", "The key."),
    )
    declared_outputs = (Output("extracted_data", "extract_key", ("Data", "JSON"), "Extracted Data"),)

    async def extract_key(self) -> Data | list[Data]:
        value = self.inputs.get("data_input")
        key = plain_text(self.inputs.get("key"))
        found = [Data(data={key: record[key]}) for record in records_of(value) if key in record]
        if isinstance(value, list | Table):
            return found
        return found[0] if found else Data(data={"error": f"The record has no key {key!r}."})
