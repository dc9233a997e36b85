"""Type Convert: message, record and table into one another."""

from __future__ import annotations

import csv
import io
from typing import Any

from projects.components.cells import typed_cell
from projects.components.conversion import data_of, message_of, read_json, record_of, records_of, table_of
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Row, Table


class TypeConvert(Component):
    """With `auto_parse`, text that is JSON or CSV becomes what it says."""

    type = "TypeConverterComponent"
    display_name = "Type Convert"
    description = "Turns a message, a record or a table into another of the three."
    category = "processing"
    icon = "repeat"
    declared_inputs = (
        Input(
            "input_data",
            InputKind.HANDLE,
            "Input",
            "What to convert.",
            required=True,
            types=("Message", "Data", "JSON", "DataFrame", "Table"),
            field_type="other",
        ),
        Input(
            "auto_parse",
            InputKind.BOOLEAN,
            "Auto Parse",
            "Read JSON and CSV text.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "output_type",
            InputKind.STRING,
            "Output Type",
            "What comes out.",
            default="Message",
            options=("Message", "JSON", "Table"),
            field_type="tab",
        ),
    )
    declared_outputs = (
        Output("message_output", "convert_to_message", ("Message",), "Message Output"),
        Output("data_output", "convert_to_data", ("Data", "JSON"), "JSON Output"),
        Output("dataframe_output", "convert_to_dataframe", ("DataFrame", "Table"), "Table Output"),
    )

    async def convert_to_message(self) -> Message:
        return message_of(self._value())

    async def convert_to_data(self) -> Data:
        return data_of(self._parsed())

    async def convert_to_dataframe(self) -> Table:
        value = self._parsed()
        return table_of([_parse(item) for item in value] if isinstance(value, list) and self.inputs.get("auto_parse") else value)

    def _parsed(self) -> Any:
        """Text as a record under `text`, or as what it holds when `auto_parse` is on."""
        value = self._value()
        if isinstance(value, Message | str):
            value = Data(data={"text": value.text if isinstance(value, Message) else value})
        return _parse(value) if self.inputs.get("auto_parse") and isinstance(value, Data) else value

    def _value(self) -> Any:
        value = self.inputs.get("input_data")
        if value is None:
            raise ComponentError("There is nothing to convert: connect a message, a record or a table.")
        return value[0] if isinstance(value, list) and len(value) == 1 else value


def _parse(value: Any) -> Any:
    """A record whose text is JSON or CSV as what it says; anything else as it is."""
    record = record_of(value) if isinstance(value, Data | Message | dict | str) else {}
    text = record.get("text")
    if not isinstance(text, str):
        return value
    found = _from_json(text)
    if found is None:
        rows = _from_csv(text)
        found = {"records": rows} if rows else None
    return value if found is None else Data(data=found)


def _from_json(text: str) -> Row | None:
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        parsed = read_json(stripped)
    except ValueError:
        return None
    if isinstance(parsed, dict):
        return parsed
    if isinstance(parsed, list) and parsed and all(isinstance(item, dict) for item in parsed):
        return {"records": records_of(parsed)}
    return None


def _from_csv(text: str) -> list[Row]:
    """Rows of a CSV text; empty when the text is none (no comma in its first line, or only one line)."""
    lines = text.strip().splitlines()
    if len(lines) < 2 or "," not in lines[0]:
        return []
    try:
        header, *body = csv.reader(io.StringIO("\n".join(lines)))
    except csv.Error:
        return []
    names = [name.strip() for name in header]
    rows = [cells for cells in body if cells]
    if len(set(names)) != len(names) or any(len(cells) > len(names) for cells in rows):
        return []
    return [dict(zip(names, map(typed_cell, cells + [""] * (len(names) - len(cells))), strict=True)) for cells in rows]
