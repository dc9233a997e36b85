"""Load JSON: an uploaded file or a text as a record, or as several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import read_json
from projects.components.data_source.load_csv import given_text
from projects.components.processing.transformations.json_repair import repaired
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data


class LoadJSON(Component):
    """Broken JSON is mended where that is possible. Exactly one of the three inputs counts; paths are storage paths of uploads."""

    type = "JSONtoData"
    display_name = "Load JSON"
    description = "Reads JSON from an uploaded file or a text."
    category = "data_source"
    icon = "braces"
    aliases = ("JSONToData", "JSONToDataComponent")
    legacy = True
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input("json_file", InputKind.FILE, "JSON File", "An uploaded file.", protected=True, field_type="file"),
        Input("json_path", display_name="JSON File Path", info="Storage path of an upload.", protected=True),
        Input("json_string", display_name="JSON String", info="The JSON itself.", multiline=True),
    )
    declared_outputs = (Output("data", "convert_json_to_data", ("Data", "JSON"), "Data"),)

    async def convert_json_to_data(self) -> Data | list[Data]:
        text = await given_text(self, file="json_file", path="json_path", string="json_string", kind="JSON")
        try:
            value: Any = read_json(text)
        except ValueError:
            try:
                value = repaired(text)
            except ValueError as error:
                raise ComponentError(f"The JSON cannot be read: {error}.") from None
        match value:
            case Mapping():
                return Data(data=dict(value))
            case list():
                return [Data(data=dict(item) if isinstance(item, Mapping) else {"value": item}) for item in value]
            case _:
                raise ComponentError("The JSON is neither an object nor a list.")
