"""Parse DataFrame: the Parser's ancestor for tables."""

from __future__ import annotations

from projects.components.conversion import plain_text, table_of
from projects.components.processing.parser import parsed
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Message


class ParseTable(Component):
    """Each row through the template, joined by `sep`."""

    type = "ParseDataFrame"
    display_name = "Parse DataFrame"
    description = "Turns the rows of a table into text with a template."
    category = "processing"
    icon = "braces"
    aliases = ("ParseDataFrameComponent",)
    legacy = True
    declared_inputs = (
        Input("df", InputKind.TABLE, "DataFrame", "The table.", required=True, types=("DataFrame", "Table"), field_type="other"),
        Input("template", display_name="Template", info="Text with {columns}.", default="{text}", required=True, multiline=True),
        Input("sep", InputKind.STRING, "Separator", "Put between the rows.", default="\n", advanced=True),
    )
    declared_outputs = (Output("text", "parse_data", display_name="Text"),)

    async def parse_data(self) -> Message:
        template, separator = plain_text(self.inputs.get("template")), plain_text(self.inputs.get("sep"))
        return Message(text=parsed(table_of(self.inputs.get("df")), template=template, separator=separator))
