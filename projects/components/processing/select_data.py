"""Select Data: one record of a list."""

from __future__ import annotations

from projects.components.conversion import records_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data


class SelectData(Component):
    """Counts from 0."""

    type = "SelectData"
    display_name = "Select Data"
    description = "Takes one record of a list."
    category = "processing"
    icon = "prototypes"
    aliases = ("SelectDataComponent",)
    legacy = True
    declared_inputs = (
        Input("data_list", InputKind.DATA, "Data List", "The records.", is_list=True, types=("Data", "JSON"), field_type="other"),
        Input("data_index", InputKind.INTEGER, "Data Index", "Which record, from 0.", default=0, field_type="int"),
    )
    declared_outputs = (Output("selected_data", "select_data", ("Data", "JSON"), "Selected Data"),)

    async def select_data(self) -> Data:
        records = records_of(self.inputs.get("data_list"))
        index = int(self.inputs.get("data_index") or 0)
        if not 0 <= index < len(records):
            raise ComponentError(f"There is no record {index}: the list has {len(records)}, counted from 0.")
        return Data(data=records[index])
