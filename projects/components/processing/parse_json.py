"""Parse JSON: what a path finds in a JSON text or record."""

from __future__ import annotations

from typing import Any

from projects.components.conversion import plain_text, read_json
from projects.components.processing.transformations import json_path, json_repair
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Table, jsonable


class ParseJSON(Component):
    """Takes the paths of jq, not its programs. A list of inputs is searched as one JSON list."""

    type = "ParseJSONData"
    display_name = "Parse JSON"
    description = "Finds values in JSON by a path."
    category = "processing"
    icon = "braces"
    aliases = ("ParseJSONDataComponent",)
    legacy = True
    declared_inputs = (
        Input("input_value", InputKind.HANDLE, "Input", "The JSON.", required=True, types=("Message", "Data", "JSON"), field_type="other"),
        Input("query", display_name="JQ Query", info="A path such as .items[].name.", required=True),
    )
    declared_outputs = (Output("filtered_data", "filter_data", ("Data", "JSON"), "Filtered Data"),)

    async def filter_data(self) -> list[Data]:
        value = self.inputs.get("input_value")
        if not value:
            return []
        document = [_document(item) for item in value] if isinstance(value, list) else _document(value)
        found = json_path.find(document, plain_text(self.inputs.get("query")).strip() or ".")
        return [Data(data=item if isinstance(item, dict) else {"text": plain_text(item)}) for item in found]


def _document(value: Any) -> Any:
    if isinstance(value, Message | str):
        text = plain_text(value)
        try:
            return read_json(text)
        except ValueError:
            pass
        try:
            return json_repair.repaired(text)
        except json_repair.NotReadable as error:
            raise ComponentError(f"This is no JSON: {error}") from error
    if isinstance(value, Data):
        return jsonable(value.data)
    return jsonable(value.rows if isinstance(value, Table) else value)
