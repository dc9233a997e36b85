"""Filter Values: keeps the records whose value under a key matches."""

from __future__ import annotations

from projects.components.conversion import plain_text, records_of
from projects.components.processing.transformations import records
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data


class FilterValues(Component):
    """Without a key or a value every record passes; a record without the key does not."""

    type = "FilterDataValues"
    display_name = "Filter Values"
    description = "Keeps the records whose value under a key matches."
    category = "processing"
    icon = "filter"
    aliases = ("DataFilterComponent",)
    legacy = True
    declared_inputs = (
        Input("input_data", InputKind.DATA, "Input Data", "The records.", is_list=True, types=("Data", "JSON"), field_type="other"),
        Input("filter_key", display_name="Filter Key", info="The key to look at.", default="route", types=("Data", "JSON")),
        Input("filter_value", display_name="Filter Value", info="The value to look for.", default="CMIP", types=("Data", "JSON")),
        Input(
            "operator",
            InputKind.STRING,
            "Comparison Operator",
            "How values are compared.",
            default="equals",
            options=("equals", "not equals", "contains", "starts with", "ends with"),
            advanced=True,
        ),
    )
    declared_outputs = (Output("filtered_data", "filter_data", ("Data", "JSON"), "Filtered Data"),)

    async def filter_data(self) -> list[Data]:
        found = records.filter_records(
            records_of(self.inputs.get("input_data")),
            key=plain_text(self.inputs.get("filter_key")),
            value=plain_text(self.inputs.get("filter_value")),
            operator=str(self.inputs.get("operator") or "equals"),
        )
        return [Data(data=record) for record in found]
