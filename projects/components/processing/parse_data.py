"""Data to Message: the Parser's ancestor for records."""

from __future__ import annotations

from projects.components import placeholders
from projects.components.conversion import json_text, plain_text, records_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Message, Row


class ParseData(Component):
    """`{data}` stands for the whole record as JSON, any other name for a key; a missing key is empty text."""

    type = "ParseData"
    display_name = "Data to Message"
    description = "Turns records into text with a template."
    category = "processing"
    icon = "message-square"
    aliases = ("ParseDataComponent", "Parse Data")
    legacy = True
    declared_inputs = (
        Input("data", InputKind.DATA, "Data", "The records.", required=True, is_list=True, types=("Data", "JSON"), field_type="other"),
        Input("template", display_name="Template", info="Text with {keys}.", default="{text}", required=True, multiline=True),
        Input("sep", InputKind.STRING, "Separator", "Put between the records.", default="\n", advanced=True),
    )
    declared_outputs = (
        Output("text", "parse_data", display_name="Message"),
        Output("data_list", "parse_data_as_list", ("Data", "JSON"), "Data List"),
    )

    async def parse_data(self) -> Message:
        return Message(text=plain_text(self.inputs.get("sep")).join(self._filled(record) for record in records_of(self.inputs.get("data"))))

    async def parse_data_as_list(self) -> list[Data]:
        return [Data(data={**record, "text": self._filled(record)}) for record in records_of(self.inputs.get("data"))]

    def _filled(self, record: Row) -> str:
        def value(name: str) -> str:
            return json_text(record) if name == "data" and name not in record else plain_text(record.get(name))

        return placeholders.fill(plain_text(self.inputs.get("template")), value)
