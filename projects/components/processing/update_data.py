"""Update Data: adds and overwrites keys of records."""

from __future__ import annotations

from projects.components.conversion import records_of
from projects.components.processing.create_data import KEY_VALUE_FIELDS, RECORD_FIELDS, key_values, with_text_key
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data


class UpdateData(Component):
    """One record gives one, several give several."""

    type = "UpdateData"
    display_name = "Update Data"
    description = "Adds or overwrites keys of a record."
    category = "processing"
    icon = "FolderSync"
    aliases = ("UpdateDataComponent", "Update JSON")
    legacy = True
    takes_more_fields = True
    declared_inputs = (
        Input(
            "old_data",
            InputKind.DATA,
            "Data",
            "The record to update.",
            required=True,
            is_list=True,
            types=("Data", "JSON"),
            field_type="other",
        ),
        *RECORD_FIELDS,
        *KEY_VALUE_FIELDS,
    )
    declared_outputs = (Output("data", "build_data", ("Data", "JSON"), "Data"),)

    async def build_data(self) -> Data | list[Data]:
        changes = key_values(self.inputs)
        updated = [with_text_key({**record, **changes}, self.inputs) for record in records_of(self.inputs.get("old_data"))]
        if not updated:
            raise ComponentError("There is nothing to update: connect a record.")
        return updated[0] if len(updated) == 1 else updated
