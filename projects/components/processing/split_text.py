"""Split Text: texts into the rows of a table, a chunk each."""

from __future__ import annotations

from typing import Any, cast

from projects.components.conversion import plain_text, records_of
from projects.components.processing.transformations import chunks
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Row, Table

_KEEP = {"false": "none", "true": "start", "start": "start", "end": "end", "": "none"}

# What people type for characters that a one-line field cannot hold.
_TYPED = {"/n/n": "\n\n", "/n": "\n", "/t": "\t", '" "': " ", '""': ""}


class SplitText(Component):
    """Splits at the separator, then merges the pieces up to the chunk size. The text column comes first, other columns are kept."""

    type = "SplitText"
    display_name = "Split Text"
    description = "Splits text into chunks."
    category = "processing"
    icon = "scissors-line-dashed"
    aliases = ("SplitTextComponent",)
    declared_inputs = (
        Input(
            "data_inputs",
            InputKind.HANDLE,
            "Input",
            "The texts to split.",
            required=True,
            types=("Data", "JSON", "DataFrame", "Table", "Message"),
            field_type="other",
        ),
        Input("chunk_overlap", InputKind.INTEGER, "Chunk Overlap", "Characters that neighbours share.", default=200, field_type="int"),
        Input("chunk_size", InputKind.INTEGER, "Chunk Size", "Characters a chunk may have.", default=1000, field_type="int"),
        Input("separator", display_name="Separator", info="Where the text may be split.", default="\n"),
        Input("text_key", display_name="Text Key", info="The key or column that holds the text.", default="text", advanced=True),
        Input(
            "keep_separator",
            InputKind.STRING,
            "Keep Separator",
            "Whether pieces keep it, and where.",
            default="False",
            options=("False", "True", "Start", "End"),
            advanced=True,
        ),
        Input(
            "clean_output",
            InputKind.BOOLEAN,
            "Clean Output",
            "Only the text column.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
    )
    declared_outputs = (Output("dataframe", "split_text", ("DataFrame", "Table"), "Chunks"),)

    async def split_text(self) -> Table:
        key = plain_text(self.inputs.get("text_key")) or "text"
        records = self._records(key)
        size, overlap = self._number("chunk_size", 1000), self._number("chunk_overlap", 200)
        if size < 1:
            raise ComponentError(f"The chunk size must be at least 1, it is {size}.")
        if not 0 <= overlap <= size:
            raise ComponentError(f"The chunk overlap must lie between 0 and the chunk size ({size}), it is {overlap}.")
        separator = plain_text(self.inputs.get("separator"))
        separator = _TYPED.get(separator, separator).replace("\\n", "\n").replace("\\t", "\t")
        keep = cast("chunks.KeepSeparator", _KEEP.get(str(self.inputs.get("keep_separator") or "").lower(), "none"))
        rows: list[Row] = []
        for record in records:
            further = {} if self.inputs.get("clean_output") else {name: value for name, value in record.items() if name != key}
            found = chunks.split(plain_text(record.get(key)), separator=separator, chunk_size=size, overlap=overlap, keep=keep)
            rows.extend({key: chunk, **further} for chunk in found)
        return Table(rows=rows, columns=[] if rows else [key])

    def _records(self, key: str) -> list[Row]:
        value: Any = self.inputs.get("data_inputs")
        if value is None or (isinstance(value, list) and not value):
            raise ComponentError("There is nothing to split: connect a message, a record or a table.")
        if isinstance(value, Table) and not value.rows:
            raise ComponentError("There is nothing to split: the table has no rows.")
        return [{key: record["text"], **record} if key not in record and "text" in record else record for record in records_of(value)]

    def _number(self, name: str, default: int) -> int:
        value = self.inputs.get(name)
        return default if value is None or value == "" else int(value)
