"""Alter Metadata: adds and removes keys of records."""

from __future__ import annotations

from projects.components.conversion import plain_text, records_of, texts_of
from projects.components.processing.transformations.records import mapping_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Row, Table


class AlterMetadata(Component):
    """A text, when given, becomes a record of its own in front of the others."""

    type = "AlterMetadata"
    display_name = "Alter Metadata"
    description = "Adds or removes keys of records."
    category = "processing"
    icon = "merge"
    aliases = ("AlterMetadataComponent",)
    legacy = True
    declared_inputs = (
        Input(
            "input_value",
            InputKind.HANDLE,
            "Input",
            "The records.",
            default=None,
            is_list=True,
            types=("Message", "Data", "JSON"),
            field_type="other",
        ),
        Input("text_in", InputKind.STRING, "User Text", "A text to add as a record."),
        Input("metadata", InputKind.MAPPING, "Metadata", "Keys to add.", default={}, required=True, field_type="NestedDict"),
        Input("remove_fields", display_name="Fields to Remove", info="Keys to take out.", default=[], is_list=True),
    )
    declared_outputs = (
        Output("data", "process_output", ("Data", "JSON"), "Data"),
        Output("dataframe", "as_dataframe", ("DataFrame", "Table"), "DataFrame"),
    )

    async def process_output(self) -> list[Data]:
        return [Data(data=record) for record in self._records()]

    async def as_dataframe(self) -> Table:
        return Table(rows=self._records())

    def _records(self) -> list[Row]:
        text, value = plain_text(self.inputs.get("text_in")), self.inputs.get("input_value")
        records = [{"text": text}] if text else []
        records += [] if value is None or value == "" else records_of(value)
        added = {key: item for key, item in mapping_of(self.inputs.get("metadata")).items() if key.strip()}
        removed = {name.strip() for name in texts_of(self.inputs.get("remove_fields"))}
        return [{key: item for key, item in {**record, **added}.items() if key not in removed} for record in records]
