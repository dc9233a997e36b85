"""Loop: runs a part of the flow once for each row, and goes on with all the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import record_of
from projects.engine.component import Component, Input, InputKind, Output
from projects.engine.values import Data, Message, Row, Table

ITEM, DONE = "item", "done"
_TABLE_TYPES = frozenset(("DataFrame", "Table"))


class Loop(Component):
    """The runner repeats what hangs on `item`, up to the vertex that feeds back; older flows get `done` as a list of records."""

    type = "LoopComponent"
    display_name = "Loop"
    description = "Runs a part of the flow once for each row of a table."
    category = "flow_controls"
    icon = "infinity"
    aliases = ("Loop", "ForEach")
    repeats = ITEM
    declared_inputs = (
        Input(
            "data",
            InputKind.HANDLE,
            "Inputs",
            "The rows to go through: a table, records or a message.",
            types=("DataFrame", "Table", "Data", "JSON", "Message"),
            field_type="other",
        ),
    )
    declared_outputs = (
        Output(ITEM, "item_output", ("Data", "JSON"), "Item"),
        Output(DONE, "done_output", ("DataFrame", "Table"), "Done"),
    )
    _results: list[Row]

    async def before_outputs(self) -> None:
        self._results = [_result_of(await self.repeat(Data(data=row))) for row in rows_of(self.inputs.get("data"))]

    async def item_output(self) -> None:
        """What hangs on it has run already, once for each row."""
        self.stop(ITEM)

    async def done_output(self) -> Table | list[Data]:
        types = self.vertex.output_types.get(DONE, ())
        if types and _TABLE_TYPES.isdisjoint(types):
            return [Data(data=row) for row in self._results]
        return Table(rows=self._results)


def rows_of(value: Any) -> list[Row]:
    """One record for each row of what arrived. A message is one row with its text."""
    match value:
        case None | "":
            return []
        case Table():
            return [dict(row) for row in value.rows]
        case Message():
            return [{"text": value.text}]
        case list() | tuple():
            return [row for item in value for row in rows_of(item)]
        case _:
            return [record_of(value)]


def _result_of(value: Any) -> Row:
    """A row of the result: a text under `text`, a record with its keys; nothing came back: an empty text."""
    match value:
        case None:
            return {"text": ""}
        case Message():
            return {"text": value.text}
        case Data():
            return dict(value.data)
        case Mapping():
            return {str(key): item for key, item in value.items()}
        case Table():
            return {"results": [dict(row) for row in value.rows]}
        case list() | tuple():
            return _result_of(value[0]) if len(value) == 1 else {"results": [_result_of(item) for item in value]}
        case _:
            return {"text": str(value)}
