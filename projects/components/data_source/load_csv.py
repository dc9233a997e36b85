"""Load CSV: an uploaded file or a text as records."""

from __future__ import annotations

from typing import Any

from projects.components.cells import csv_rows
from projects.components.conversion import plain_text
from projects.components.files_and_knowledge.file_contents import MAX_CELLS, MAX_ROWS, decoded
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data


class LoadCSV(Component):
    """Exactly one of the three inputs counts; paths are storage paths of uploads."""

    type = "CSVtoData"
    display_name = "Load CSV"
    description = "Reads CSV from an uploaded file or a text."
    category = "data_source"
    icon = "file-spreadsheet"
    aliases = ("CSVToData", "CSVToDataComponent")
    legacy = True
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input("csv_file", InputKind.FILE, "CSV File", "An uploaded file.", protected=True, field_type="file"),
        Input("csv_path", display_name="CSV File Path", info="Storage path of an upload.", protected=True),
        Input("csv_string", display_name="CSV String", info="The CSV itself.", multiline=True),
        Input("text_key", display_name="Text Key", info="The column that is the text.", default="text"),
    )
    declared_outputs = (Output("data_list", "load_csv_to_data", ("Data", "JSON"), "Data List"),)

    async def load_csv_to_data(self) -> list[Data]:
        text = await given_text(self, file="csv_file", path="csv_path", string="csv_string", kind="CSV")
        try:
            _, rows = csv_rows(text, max_rows=MAX_ROWS, max_cells=MAX_CELLS)
        except ValueError as error:
            raise ComponentError(f"The CSV cannot be read: {error}.") from None
        key = plain_text(self.inputs.get("text_key")) or "text"
        return [Data(data=row, text_key=key) for row in rows]


async def given_text(component: Component, *, file: str, path: str, string: str, kind: str) -> str:
    """The text of the one input that is filled."""
    found: Any = component.inputs.get(file)
    paths = [str(item) for item in (found if isinstance(found, list) else [found]) if item]
    written = plain_text(component.inputs.get(path)).strip()
    text = plain_text(component.inputs.get(string))
    if bool(paths) + bool(written) + bool(text.strip()) != 1:
        raise ComponentError(f"Give the {kind} once: as an uploaded file, as the path of one, or as text.")
    if text.strip():
        return text
    try:
        return decoded(await component.context.files.read(paths[0] if paths else written))
    except ValueError as error:
        raise ComponentError(f"The {kind} cannot be read: {error}.") from None
