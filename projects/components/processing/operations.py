"""Data Operations: text, JSON and table operations in one component."""

from __future__ import annotations

from typing import Any

from projects.components.conversion import plain_text
from projects.components.processing.data_operations import DATA_FIELDS, data_result
from projects.components.processing.operation_choice import chosen_operation
from projects.components.processing.table_operations import TABLE_FIELDS, table_result
from projects.components.processing.text_operations import TEXT_FIELDS, as_data, as_message, as_table, text_result
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Table


class Operations(Component):
    """`input_type` says which of the three inputs is worked on. Each output gives the one result in its own kind."""

    type = "Operations"
    display_name = "Data Operations"
    description = "Works on a text, a record or a table with one operation."
    category = "processing"
    icon = "workflow"
    declared_inputs = (
        Input(
            "input_type",
            InputKind.STRING,
            "Input Type",
            "What to work on.",
            default="Text",
            options=("Text", "JSON", "Table"),
            field_type="tab",
        ),
        Input("text_input", display_name="Text Input", info="The text.", types=("Message",)),
        Input("data", InputKind.DATA, "JSON", "The record.", default=None, is_list=True, types=("Data", "JSON"), field_type="other"),
        Input("df", InputKind.TABLE, "Table", "The table.", default=None, is_list=True, types=("DataFrame", "Table"), field_type="other"),
        Input("operation", InputKind.ANY, "Operation", "What to do with it.", default=[], field_type="sortableList"),
        *TEXT_FIELDS,
        *DATA_FIELDS,
        *TABLE_FIELDS,
    )
    declared_outputs = (
        Output("message_output", "get_message", display_name="Message"),
        Output("data_output", "get_data", ("Data", "JSON"), "JSON"),
        Output("dataframe_output", "get_dataframe", ("DataFrame", "Table"), "Table"),
        # Names of the same outputs in other releases.
        Output("message", "get_message", display_name="Message"),
        Output("text", "get_text", display_name="Text"),
        Output("data", "get_data", ("Data", "JSON"), "JSON"),
        Output("dataframe", "get_dataframe", ("DataFrame", "Table"), "Table"),
        Output("output", "get_result", ("Message", "Data", "JSON", "DataFrame", "Table"), "Result"),
    )
    _result: Any = None

    async def before_outputs(self) -> None:
        operation = chosen_operation(self.inputs.get("operation"))
        match self.inputs.get("input_type") or "Text":
            case "Text":
                self._result = await text_result(operation, plain_text(self.inputs.get("text_input")), self.inputs)
            case "JSON" | "Data":
                self._result = data_result(operation, self.inputs.get("data") or self.inputs.get("data_input"), self.inputs)
            case "Table" | "DataFrame":
                self._result = table_result(operation, self.inputs.get("df") or self.inputs.get("df_input"), self.inputs)
            case unknown:
                raise ComponentError(f"Unknown input type {unknown!r}. Choose Text, JSON or Table.")

    async def get_message(self) -> Message:
        return as_message(self._result)

    async def get_text(self) -> Message:
        return as_message(self._result)

    async def get_data(self) -> Data:
        return as_data(self._result)

    async def get_dataframe(self) -> Table:
        return as_table(self._result)

    async def get_result(self) -> Any:
        return self._result
