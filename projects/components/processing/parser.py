"""Parser: records or rows through a template, or any value as text."""

from __future__ import annotations

from typing import Any

from projects.components import placeholders
from projects.components.conversion import plain_text, records_of, shown_text
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Message, Row, Table


class Parser(Component):
    """One line a record, joined by `sep`. A column that a table lacks is an error; a key that a record lacks is empty text."""

    type = "ParserComponent"
    display_name = "Parser"
    description = "Turns records and tables into text with a template."
    category = "processing"
    icon = "braces"
    aliases = ("parser",)
    declared_inputs = (
        Input(
            "input_data",
            InputKind.HANDLE,
            "Data or DataFrame",
            "What to turn into text.",
            required=True,
            types=("DataFrame", "Table", "Data", "JSON"),
            field_type="other",
        ),
        Input(
            "mode",
            InputKind.STRING,
            "Mode",
            "Parser uses the template, Stringify takes the whole value.",
            default="Parser",
            options=("Parser", "Stringify"),
            field_type="tab",
        ),
        Input(
            "pattern", display_name="Template", info="Text with {keys} or {columns}.", default="Text: {text}", required=True, multiline=True
        ),
        Input("sep", display_name="Separator", info="Put between the lines.", default="\n", advanced=True),
        Input(
            "clean_data",
            InputKind.BOOLEAN,
            "Clean Data",
            "Leave out empty rows when stringifying.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("parsed_text", "parse_combined_text", display_name="Parsed Text"),)

    async def parse_combined_text(self) -> Message:
        value = self.inputs.get("input_data")
        if self.inputs.get("mode") == "Stringify":
            return Message(text=shown_text(value))
        return Message(text=parsed(value, template=plain_text(self.inputs.get("pattern")), separator=plain_text(self.inputs.get("sep"))))


def parsed(value: Any, *, template: str, separator: str) -> str:
    """Every record of the value through the template."""
    if value is None or value == "":
        raise ComponentError("There is nothing to parse: connect a record or a table.")
    if isinstance(value, Table):
        return separator.join(filled_row(template, row, columns=value.columns) for row in value.rows)
    return separator.join(filled(template, record) for record in records_of(value))


def filled(template: str, record: Row) -> str:
    return placeholders.fill(template, lambda name: plain_text(record.get(name)))


def filled_row(template: str, row: Row, *, columns: list[str]) -> str:
    def cell(name: str) -> str:
        if name not in row and name not in columns:
            raise ComponentError(f"The table has no column {name!r}. Its columns are: {', '.join(columns) or 'none'}.")
        return plain_text(row.get(name))

    return placeholders.fill(template, cell)
