"""Write File: a message, record or table as a file of the flow's, in place of the one of the same name."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from projects.components import markdown_table
from projects.components.cells import csv_text
from projects.components.conversion import data_of, json_text, plain_text, read_json, records_of, table_of
from projects.components.files_and_knowledge.file_contents import INSTALL
from projects.components.files_and_knowledge.read_file import check_location
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Message, Table
from projects.errors import InvalidInput, PackageMissing

FORMATS = ("csv", "xlsx", "json", "markdown", "txt")
_OLDER_INPUTS = {"DataFrame": "df", "Data": "data", "Message": "message"}
_ENDINGS = {"markdown": "md", "excel": "xlsx"}


class SaveToFile(Component):
    """The file is one of the flow's: Read File reads it by its path, and nothing outside the owner's files is ever written."""

    type = "SaveToFile"
    display_name = "Write File"
    description = "Writes a message, record or table to a file of the flow."
    category = "files_and_knowledge"
    icon = "file-down"
    aliases = ("SaveToFileComponent", "SaveFile")
    writes_world = True
    stays_home = True
    declared_inputs = (
        Input(
            "input",
            InputKind.HANDLE,
            "File Content",
            "What to write.",
            required=True,
            types=("Data", "JSON", "DataFrame", "Table", "Message"),
            field_type="other",
            tool_mode=True,
        ),
        Input("file_name", display_name="File Name", info="Without the ending.", required=True, tool_mode=True),
        Input("storage_location", InputKind.ANY, "Storage", "Only Local is there.", field_type="sortableList"),
        Input("local_format", InputKind.STRING, "File Format", "Empty: by what arrives.", default="json", options=FORMATS),
        Input(
            "file_format",
            InputKind.STRING,
            "File Format",
            "Set by older documents and by agents; it counts before the other.",
            show=False,
            options=FORMATS,
            tool_mode=True,
        ),
        Input(
            "append_mode",
            InputKind.BOOLEAN,
            "Append",
            "Add to the file there is; text formats, CSV and JSON lists.",
            default=False,
            advanced=True,
            field_type="bool",
        ),
        # What arrives and where it goes, as exports before 1.5 have them.
        Input("input_type", InputKind.STRING, "Input Type", show=False),
        *(Input(name, InputKind.HANDLE, name, show=False, field_type="other") for name in _OLDER_INPUTS.values()),
        Input("file_path", InputKind.STRING, "File Path", "Its last part names the flow's file.", show=False, protected=True),
    )
    declared_outputs = (Output("message", "save_to_file", ("Message",), "File Path"),)

    async def save_to_file(self) -> Message:
        check_location(self.inputs.get("storage_location"))
        value = self.inputs.get("input")
        if value is None or value == "":
            value = self.inputs.get(_OLDER_INPUTS.get(str(self.inputs.get("input_type")), ""))
        if value is None or value == "":
            raise ComponentError("There is nothing to write: connect a message, a record or a table.")
        format = self._format(value)
        name = self._name(format)
        before = await self._before(name) if self.inputs.get("append_mode") else None
        content = await asyncio.to_thread(_written, value, format, before)
        path = await self.context.files.save(name, content)
        done = "appended to" if before is not None else "saved as"
        return Message(text=f"{_kind(value)} {done} {path!r}", files=[path], data={"file_path": path})

    def _format(self, value: Any) -> str:
        given = str(self.inputs.get("file_format") or self.inputs.get("local_format") or "").strip().lower()
        given = {"md": "markdown", "excel": "xlsx"}.get(given, given)
        if not given:
            return "csv" if isinstance(value, Table) else "txt" if isinstance(value, Message | str) else "json"
        if given not in FORMATS:
            raise ComponentError(f"The format {given!r} is not supported; choose one of {', '.join(FORMATS)}.")
        return given

    def _name(self, format: str) -> str:
        name = plain_text(self.inputs.get("file_name")).strip()
        if not name:  # an older node has a path on the server; its last part names the flow's file
            name = plain_text(self.inputs.get("file_path")).strip().rpartition("/")[2]
        if not name or name in (".", "..") or any(character in name for character in "/\\\x00\n\r") or ".." in name:
            raise ComponentError(f"{name!r} is no file name: give a name alone, without folders.")
        ending = _ENDINGS.get(format, format)
        return name if name.lower().endswith(f".{ending}") else f"{name}.{ending}"

    async def _before(self, name: str) -> bytes | None:
        """What the flow's file holds so far."""
        path = f"{self.context.flow_id}/{name}"
        if path not in await self.context.files.list_paths():
            return None
        return await self.context.files.read(path)


def _written(value: Any, format: str, before: bytes | None) -> bytes:
    match format:
        case "json":
            new = value if isinstance(value, Data | Table | list | dict) else _json_or_text(plain_text(value))
            if before is not None:
                return (json_text([*_old_items(before), *(_items(new))], indent=2) + "\n").encode()
            return (json_text(new, indent=2) + "\n").encode()
        case "csv":
            table = table_of(value)
            text = csv_text(table.columns, table.rows, written=_cell)
            if before is None:
                return text.encode()
            header, _, body = text.partition("\n")
            old = before.decode()
            if old.partition("\n")[0].strip() != header.strip():
                raise ComponentError("The file there is has other columns, so nothing can be appended to it.")
            return (old.rstrip("\n") + "\n" + body).encode()
        case "xlsx":
            if before is not None:
                raise ComponentError("Nothing can be appended to a workbook; choose csv.")
            return _workbook(table_of(value))
        case "markdown":
            text = markdown_table.render(value) if isinstance(value, Table) else _as_text(value)
        case _:
            text = _as_text(value)
    return (before.decode() + "\n" + text if before is not None else text).encode()


def _as_text(value: Any) -> str:
    if isinstance(value, Table):
        return csv_text(value.columns, value.rows, written=_cell)
    return plain_text(value) if isinstance(value, Message | str) else json_text(value, indent=2)


def _json_or_text(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return {"message": text}


def _old_items(before: bytes) -> list[Any]:
    try:
        return _items(read_json(before.decode()))
    except ValueError:
        raise ComponentError("The file there is holds no JSON, so nothing can be appended to it.") from None


def _items(value: Any) -> list[Any]:
    if isinstance(value, Table):
        return records_of(value)
    return list(value) if isinstance(value, list) else [data_of(value).data if isinstance(value, Data) else value]


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else plain_text(value)


def _workbook(table: Table) -> bytes:
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.utils.exceptions import IllegalCharacterError
    except ImportError as error:
        raise PackageMissing(f"Writing XLSX files needs the package openpyxl: {INSTALL}") from error
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet()
    try:
        sheet.append(table.columns)
        for row in table.rows:
            cells = []
            for name in table.columns:
                value = row.get(name)
                cell = WriteOnlyCell(sheet, value if isinstance(value, str | int | float | bool) or value is None else plain_text(value))
                if isinstance(value, str):
                    cell.data_type = "s"  # never a formula
                cells.append(cell)
            sheet.append(cells)
    except (IllegalCharacterError, ValueError) as error:
        raise InvalidInput(f"The rows cannot be written as XLSX: {error}") from error
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def _kind(value: Any) -> str:
    match value:
        case Table():
            return "Table"
        case Message() | str():
            return "Message"
        case _:
            return "Record"
