"""Dynamic Create Data: a form whose fields a table defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.comparison import number_of
from projects.components.conversion import plain_text
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Message, Row, jsonable


class DynamicCreateData(Component):
    """A row `field_name`, `field_type` makes an input `dynamic_<field_name>`."""

    type = "DynamicCreateData"
    display_name = "Dynamic Create Data"
    description = "Builds a record from a form."
    category = "processing"
    icon = "ListFilter"
    aliases = ("DynamicCreateDataComponent",)
    takes_more_fields = True
    declared_inputs = (
        Input(
            "form_fields", InputKind.ROWS, "Input Configuration", "The fields of the form.", default=[], is_list=True, field_type="table"
        ),
        Input(
            "include_metadata",
            InputKind.BOOLEAN,
            "Include Metadata",
            "Add the fields' types to the record.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (
        Output("form_data", "process_form", ("Data", "JSON"), "Data"),
        Output("message", "get_message", display_name="Message"),
    )

    async def process_form(self) -> Data:
        record = self._record()
        if self.inputs.get("include_metadata"):
            record["form_metadata"] = dict(self._fields())
        return Data(data=record)

    async def get_message(self) -> Message:
        return Message(text="\n".join(f"{name}: {plain_text(value)}" for name, value in self._record().items()))

    def _fields(self) -> list[tuple[str, str]]:
        rows = self.inputs.get("form_fields") or []
        named = [row for row in rows if isinstance(row, Mapping) and row.get("field_name")]
        return [(str(row["field_name"]), str(row.get("field_type") or "Text")) for row in named]

    def _record(self) -> Row:
        return {name: _as(kind, self.inputs.get(f"dynamic_{name}")) for name, kind in self._fields()}


def _as(kind: str, value: Any) -> Any:
    match kind:
        case "Number":
            number = number_of(plain_text(value))
            return int(number) if number is not None and number.is_integer() else number
        case "Boolean":
            return value if isinstance(value, bool) else plain_text(value).strip().lower() in ("true", "1", "yes", "on")
        case "Data" | "Handle":
            return jsonable(value)
        case _:
            return plain_text(value)
