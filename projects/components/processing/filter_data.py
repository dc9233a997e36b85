"""Filter Data: keeps some keys of a record."""

from __future__ import annotations

from projects.components.conversion import record_of, texts_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data


class FilterData(Component):
    """Keys the record does not have are passed over."""

    type = "FilterData"
    display_name = "Filter Data"
    description = "Keeps the named keys of a record."
    category = "processing"
    icon = "filter"
    aliases = ("FilterDataComponent",)
    legacy = True
    declared_inputs = (
        Input("data", InputKind.DATA, "Data", "The record.", types=("Data", "JSON"), field_type="other"),
        Input("filter_criteria", display_name="Filter Criteria", info="The keys to keep.", default=[], is_list=True),
    )
    declared_outputs = (Output("filtered_data", "filter_data", ("Data", "JSON"), "Filtered Data"),)

    async def filter_data(self) -> Data:
        kept = frozenset(texts_of(self.inputs.get("filter_criteria")))
        return Data(data={key: value for key, value in record_of(self.inputs.get("data")).items() if key in kept})
