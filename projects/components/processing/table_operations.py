"""Table Operations: one operation on a table, chosen in the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text, table_of
from projects.components.processing.operation_choice import chosen_operation, unknown_operation
from projects.components.processing.transformations import tables as table_transformations
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Table

_TABLE_TYPES = ("DataFrame", "Table")

TABLE_FIELDS = (
    Input("column_name", InputKind.STRING, "Column Name", "The column to work on."),
    Input("filter_value", display_name="Filter Value", info="The value to look for."),
    Input(
        "filter_operator",
        InputKind.STRING,
        "Filter Operator",
        "How values are compared.",
        default="equals",
        options=("equals", "not equals", "contains", "not contains", "starts with", "ends with", "greater than", "less than"),
    ),
    Input("ascending", InputKind.BOOLEAN, "Sort Ascending", "Smallest first.", default=True, field_type="bool"),
    Input("new_column_name", InputKind.STRING, "New Column Name", "Name of the added or renamed column."),
    Input("new_column_value", display_name="New Column Value", info="Value of the added column in every row."),
    Input("columns_to_select", InputKind.STRING, "Columns to Select", "The columns to keep.", default=[], is_list=True),
    Input("num_rows", InputKind.INTEGER, "Number of Rows", "How many rows to keep.", default=5, field_type="int"),
    Input("replace_value", display_name="Value to Replace", info="The value to look for."),
    Input("replacement_value", display_name="Replacement Value", info="The value to put in its place."),
    Input(
        "left_dataframe",
        InputKind.TABLE,
        "Left Table",
        "For merging: the first table.",
        default=None,
        types=_TABLE_TYPES,
        field_type="other",
    ),
    Input(
        "right_dataframe",
        InputKind.TABLE,
        "Right Table",
        "For merging: the second table.",
        default=None,
        types=_TABLE_TYPES,
        field_type="other",
    ),
    Input("merge_on_column", InputKind.STRING, "Merge On Column", "The column that both tables have."),
    Input(
        "merge_how",
        InputKind.STRING,
        "Merge Type",
        "Which rows stay.",
        default="inner",
        options=("inner", "outer", "left", "right"),
    ),
)

_NAMES = {"Filter Rows": "Filter", "Head Rows": "Head", "Tail Rows": "Tail"}


def table_result(operation: str, value: Any, fields: Mapping[str, Any]) -> Table:
    """What the operation makes of the table; `Concatenate` and `Merge` take several."""
    tables = (
        [table_of(item) for item in value]
        if isinstance(value, list) and any(isinstance(item, Table) for item in value)
        else [table_of(value)]
    )
    operation = _NAMES.get(operation, operation)
    if operation == "Concatenate":
        return table_transformations.concatenate(tables)
    if operation == "Merge":
        left, right = _merged_tables(tables, fields)
        return table_transformations.merge(
            left, right, on=plain_text(fields.get("merge_on_column")).strip(), how=str(fields.get("merge_how") or "inner")
        )
    if not operation:
        return tables[0]
    transformation = table_transformations.OPERATIONS.get(operation)
    if transformation is None:
        raise unknown_operation(operation, [*table_transformations.OPERATIONS, "Concatenate", "Merge"])
    return transformation(tables[0], fields)


def _merged_tables(tables: list[Table], fields: Mapping[str, Any]) -> tuple[Table, Table]:
    left, right = fields.get("left_dataframe"), fields.get("right_dataframe")
    if left and right:
        return table_of(left), table_of(right)
    if len(tables) == 2:
        return tables[0], tables[1]
    raise ComponentError("Merging needs two tables: connect the left and the right one.")


class TableOperations(Component):
    """Without an operation the table passes unchanged."""

    type = "DataFrameOperations"
    display_name = "Table Operations"
    description = "Adds, drops, renames or selects columns; filters, sorts, cuts, joins rows of a table."
    category = "processing"
    icon = "table"
    aliases = ("DataFrameOperationsComponent", "DataFrame Operations")
    legacy = True
    declared_inputs = (
        Input("df", InputKind.TABLE, "Table", "The table.", default=None, is_list=True, types=_TABLE_TYPES, field_type="other"),
        Input("operation", InputKind.ANY, "Operation", "What to do with it.", default=[], field_type="sortableList"),
        *TABLE_FIELDS,
    )
    declared_outputs = (Output("output", "perform_operation", _TABLE_TYPES, "Table"),)

    async def perform_operation(self) -> Table:
        return table_result(chosen_operation(self.inputs.get("operation")), self.inputs.get("df"), self.inputs)
