"""Combine Data: several records as a table."""

from __future__ import annotations

from collections.abc import Sequence

from projects.components.conversion import records_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Row, Table

_OPERATIONS = ("Concatenate", "Append", "Merge", "Join")


class MergeData(Component):
    """Concatenate joins equal keys' texts by a line break, Merge makes lists of them, Join numbers them, Append makes a row of each record.

    Fewer than two records make an empty table.
    """

    type = "MergeDataComponent"
    display_name = "Combine Data"
    description = "Combines several records into a table."
    category = "processing"
    icon = "merge"
    legacy = True
    declared_inputs = (
        Input(
            "data_inputs",
            InputKind.DATA,
            "Data Inputs",
            "The records.",
            required=True,
            is_list=True,
            types=("Data", "JSON"),
            field_type="other",
        ),
        Input("operation", InputKind.STRING, "Operation Type", "How they are combined.", default="Concatenate", options=_OPERATIONS),
    )
    declared_outputs = (Output("combined_data", "combine_data", ("DataFrame", "Table"), "DataFrame"),)

    async def combine_data(self) -> Table:
        records = records_of(self.inputs.get("data_inputs"))
        if len(records) < 2:
            return Table()
        match self.inputs.get("operation") or "Concatenate":
            case "Concatenate":
                return Table(rows=[_concatenated(records)])
            case "Append":
                return Table(rows=records)
            case "Merge":
                return Table(rows=[_merged(records)])
            case "Join":
                return Table(rows=[_joined(records)])
            case unknown:
                raise ComponentError(f"Unknown operation {unknown!r}. Choose one of: {', '.join(_OPERATIONS)}.")


def _concatenated(records: Sequence[Row]) -> Row:
    combined: Row = {}
    for record in records:
        for key, value in record.items():
            present = combined.get(key)
            combined[key] = f"{present}\n{value}" if isinstance(present, str) and isinstance(value, str) else value
    return combined


def _merged(records: Sequence[Row]) -> Row:
    combined: Row = {}
    for record in records:
        for key, value in record.items():
            if key in combined and isinstance(value, str):
                present = combined[key]
                combined[key] = [*present, value] if isinstance(present, list) else [present, value]
            else:
                combined[key] = value
    return combined


def _joined(records: Sequence[Row]) -> Row:
    return {
        key if number == 1 else f"{key}_doc{number}": value for number, record in enumerate(records, 1) for key, value in record.items()
    }
