"""Data → DataFrame: Type Convert's ancestor for records."""

from __future__ import annotations

from projects.components.conversion import records_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Table


class DataToTable(Component):
    """One row a record."""

    type = "DataToDataFrame"
    display_name = "Data → DataFrame"
    description = "Turns records into the rows of a table."
    category = "processing"
    icon = "table"
    aliases = ("DataToDataFrameComponent",)
    legacy = True
    declared_inputs = (
        Input("data_list", InputKind.DATA, "Data or Data List", "The records.", is_list=True, types=("Data", "JSON"), field_type="other"),
    )
    declared_outputs = (Output("dataframe", "build_dataframe", ("DataFrame", "Table"), "Table"),)

    async def build_dataframe(self) -> Table:
        return Table(rows=records_of(self.inputs.get("data_list")))
