"""The text splitters that older flows have, as Split Text is today: a list of records, a chunk each."""

from __future__ import annotations

from typing import Any, ClassVar

from projects.components.conversion import plain_text, records_of
from projects.components.processing.transformations import chunks
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Table

_INPUTS = (
    Input("chunk_size", InputKind.INTEGER, "Chunk Size", "Characters a chunk may have.", default=1000, field_type="int"),
    Input("chunk_overlap", InputKind.INTEGER, "Chunk Overlap", "Characters that neighbours share.", default=200, field_type="int"),
    Input(
        "data_input",
        InputKind.HANDLE,
        "Input",
        "The texts to split.",
        required=True,
        is_list=True,
        types=("Data", "JSON", "DataFrame", "Table", "Message", "Document"),
        field_type="other",
    ),
)
_OUTPUTS = (
    Output("data", "transform_data", ("Data", "JSON"), "JSON"),
    Output("dataframe", "transform_table", ("DataFrame", "Table"), "Table", tool_mode=False),
)


class CharacterTextSplitter(Component):
    """Splits at one separator, as `chunks.split` does."""

    type = "CharacterTextSplitter"
    display_name = "Character Text Splitter"
    description = "Splits text at a separator."
    category = "processing"
    icon = "scissors"
    aliases: ClassVar[tuple[str, ...]] = ("CharacterTextSplitterComponent",)
    legacy = True
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        *_INPUTS,
        Input("separator", display_name="Separator", info="Where the text may be split; empty: at empty lines."),
    )
    declared_outputs = _OUTPUTS

    async def transform_data(self) -> list[Data]:
        size, overlap = self._number("chunk_size", 1000), self._number("chunk_overlap", 200)
        if size < 1 or not 0 <= overlap <= size:
            raise ComponentError(f"The chunk overlap ({overlap}) must lie between 0 and the chunk size ({size}).")
        value = self.inputs.get("data_input")
        records = records_of(value if isinstance(value, list) else [] if value is None or value == "" else [value])
        if not records:
            raise ComponentError("There is nothing to split: connect a message, a record or a table.")
        return [
            Data({**record, "text": chunk}) for record in records for chunk in self._split(plain_text(record.get("text")), size, overlap)
        ]

    async def transform_table(self) -> Table:
        return Table(rows=[item.data for item in await self.transform_data()])

    def _split(self, text: str, size: int, overlap: int) -> list[str]:
        return chunks.split(text, separator=_typed(self.inputs.get("separator")) or "\n\n", chunk_size=size, overlap=overlap)

    def _number(self, name: str, default: int) -> int:
        value = self.inputs.get(name)
        return default if value is None or value == "" else int(value)


class RecursiveCharacterTextSplitter(CharacterTextSplitter):
    """Splits at the first separator there is; a piece that is still too long is split at the next one."""

    type = "RecursiveCharacterTextSplitter"
    display_name = "Recursive Character Text Splitter"
    description = "Splits text at paragraphs, then lines, then blanks."
    aliases = ("RecursiveCharacterTextSplitterComponent",)
    declared_inputs = (
        *_INPUTS,
        Input("separators", display_name="Separators", info="Tried in this order; empty: paragraphs, lines, blanks.", is_list=True),
    )

    def _split(self, text: str, size: int, overlap: int) -> list[str]:
        given = self.inputs.get("separators")
        separators = [typed for item in (given if isinstance(given, list) else [given]) if (typed := _typed(item))]
        return chunks.split_recursively(text, separators=separators or ["\n\n", "\n", " ", ""], chunk_size=size, overlap=overlap)


def _typed(value: Any) -> str:
    """Line breaks and tabs as people type them into a one-line field."""
    return plain_text(value).replace("\\n", "\n").replace("\\t", "\t")
