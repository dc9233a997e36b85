"""Read File: uploaded files as text, rows, JSON, or their paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import data_of, plain_text, records_of
from projects.components.files_and_knowledge import file_contents
from projects.components.files_and_knowledge.file_contents import FileContents
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Row, Table
from projects.errors import HeadwaterError

MAX_FILES = 200
_FILES_SHOWN = 20


class ReadFile(Component):
    """Files come from an edge, else from the node's own list. Which outputs there are, the document says.

    Paths are storage paths of the owner's uploads. A path that is none is refused, by whatever way it came.
    """

    type = "File"
    display_name = "Read File"
    description = "Reads uploaded files: text, CSV, JSON, XLSX, PDF, DOCX, HTML."
    category = "files_and_knowledge"
    icon = "file-text"
    aliases = ("FileComponent",)
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input("path", InputKind.FILE, "Files", "Uploaded files.", is_list=True, protected=True, field_type="file"),
        Input(
            "file_path",
            InputKind.HANDLE,
            "Server File Path",
            "Storage paths from another node: `file_path` of a record, or a text.",
            advanced=True,
            is_list=True,
            types=("Data", "JSON", "Message", "DataFrame", "Table"),
            field_type="other",
        ),
        Input("file_path_str", display_name="File Path", info="Storage path of an uploaded file.", show=False, tool_mode=True),
        Input("storage_location", InputKind.ANY, "Storage", "Only Local is there.", show=False, field_type="sortableList"),
        Input("separator", display_name="Separator", info="Between the texts of several files.", default="\n\n", advanced=True),
        Input("text_encoding", InputKind.STRING, "Text Encoding", "Empty: found out.", advanced=True),
        Input("silent_errors", InputKind.BOOLEAN, "Silent Errors", "Leave out files that cannot be read.", default=False, advanced=True),
        Input(
            "ignore_unsupported_extensions",
            InputKind.BOOLEAN,
            "Ignore Unsupported Extensions",
            "Leave out files of other kinds.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        # What documents set without meaning anything here: files are read one after the other, and an upload is never deleted by a run.
        Input("use_multithreading", InputKind.BOOLEAN, "Process in Parallel", default=True, show=False, field_type="bool"),
        Input("concurrency_multithreading", InputKind.INTEGER, "Concurrency", default=1, show=False, field_type="int"),
        Input("delete_server_file_after_processing", InputKind.BOOLEAN, "Delete File", default=True, show=False, field_type="bool"),
        Input("pipeline", InputKind.STRING, "Docling Pipeline", default="standard", show=False),
        Input("ocr_engine", InputKind.STRING, "OCR Engine", show=False),
    )
    declared_outputs = (
        Output("message", "load_files_message", ("Message",), "Raw Content"),
        Output("dataframe", "load_files", ("DataFrame", "Table"), "Files"),
        Output("json", "load_files_json", ("Data", "JSON"), "Structured Content"),
        Output("path", "load_files_path", ("Message",), "File Path"),
    )

    # Which output there is and what computes it depends on the files that were chosen, and on the release.
    documented_methods = (
        "load_files_structured",
        "load_files_markdown",
        "load_files_dataframe",
        "load_dataframe",
        "load_message",
        "load_data",
        "load_file",
    )

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._read: list[FileContents] | None = None

    async def tools(self) -> list[Tool] | None:
        """With files of its own the node is one tool that reads them: an agent cannot know the paths of uploads."""
        paths = _paths_in(self.inputs.get("file_path")) or _paths_in(self.inputs.get("path"))
        if not paths:
            return None
        shown = ", ".join(path.rpartition("/")[2] for path in paths[:_FILES_SHOWN])

        async def read(arguments: Mapping[str, Any]) -> Message:
            return await self.load_files_message()

        return [
            Tool(
                name="load_files_message",
                description=f"Reads these files: {shown}{' …' if len(paths) > _FILES_SHOWN else ''}.",
                parameters={"type": "object", "properties": {}, "additionalProperties": False},
                call=read,
            )
        ]

    async def load_files_message(self) -> Message:
        """The texts, one after the other."""
        separator = plain_text(self.inputs.get("separator")).replace("\\n", "\n")
        return Message(text=separator.join(contents.text for contents in await self._contents()))

    async def load_files(self) -> Table:
        """Rows of tables and of lists of records as they are, of every other file one row with its text."""
        rows: list[Row] = []
        for contents in await self._contents():
            if contents.table is not None:
                rows.extend({**row, "file_path": contents.path} for row in contents.table.rows)
            else:
                rows.append({"file_path": contents.path, "text": contents.text})
        return Table(rows=rows)

    async def load_files_structured(self) -> Table:
        """Rows of the files that have some."""
        found = await self._contents()
        tables = [contents.table for contents in found if contents.table is not None]
        if not tables:
            raise ComponentError(f"No rows: {_names(found)} is neither CSV nor XLSX.")
        if len(tables) == 1:
            return tables[0]
        return Table(rows=[row for table in tables for row in table.rows])

    async def load_files_json(self) -> Data:
        """The JSON value as a record; several under `results`."""
        found = await self._contents()
        values = [contents.value if contents.has_value else {"file_path": contents.path, "text": contents.text} for contents in found]
        only = values[0] if len(values) == 1 else values
        if isinstance(only, Mapping):
            return Data(data=dict(only))
        if isinstance(only, list):
            return data_of([item if isinstance(item, Mapping) else {"text": plain_text(item)} for item in only])
        return Data(data={"text": plain_text(only)})

    async def load_files_path(self) -> Message:
        """The storage paths, a line each."""
        return Message(text="\n".join(self._paths()))

    async def load_files_markdown(self) -> Message:
        return await self.load_files_message()

    # What older documents call the same.

    async def load_files_dataframe(self) -> Table:
        return await self.load_files()

    async def load_dataframe(self) -> Table:
        return await self.load_files()

    async def load_message(self) -> Message:
        return await self.load_files_message()

    async def load_data(self) -> list[Data]:
        return [Data(data=row) for row in (await self.load_files()).rows]

    async def load_file(self) -> Data:
        """The first file as a record."""
        found = await self._contents()
        return Data(data={"file_path": found[0].path, "text": found[0].text})

    async def _contents(self) -> list[FileContents]:
        if self._read is None:
            self._read = [contents for path in self._paths() if (contents := await self._parsed(path)) is not None]
            if not self._read:
                raise ComponentError(f"None of the files could be read. Endings that can: {', '.join(sorted(file_contents.ENDINGS))}.")
        return self._read

    async def _parsed(self, path: str) -> FileContents | None:
        name = path.rpartition("/")[2]
        if not file_contents.is_supported(path):
            if self.inputs.get("ignore_unsupported_extensions", True):
                self.log(f"{name} is left out: files of this kind cannot be read.")
                return None
            raise ComponentError(f"{name} is of a kind that cannot be read.")
        try:
            content = await self.context.files.read(path)
            return await file_contents.parse(path, content, encoding=str(self.inputs.get("text_encoding") or ""))
        except (ComponentError, HeadwaterError) as error:
            if not self.inputs.get("silent_errors"):
                raise
            self.log(f"{name} is left out: {error}")
            return None

    def _paths(self) -> list[str]:
        check_location(self.inputs.get("storage_location"))
        paths = _paths_in(self.inputs.get("file_path")) or _paths_in(self.inputs.get("file_path_str")) or _paths_in(self.inputs.get("path"))
        if not paths:
            raise ComponentError(
                f"{self.vertex.display_name or 'Read File'} has no file. Upload one (POST /api/v2/files) and put its path into the node. "
                "Runs may bring a path of their own, as a tweak of `path`, once the flow's author has marked that field api_editable."
            )
        if len(paths) > MAX_FILES:
            raise ComponentError(f"{len(paths)} files are too many; at most {MAX_FILES} are read at once.")
        return paths


def _paths_in(value: Any) -> list[str]:
    """Storage paths in a text (a line each), a record with `file_path`, a table of such, or a list of any of these."""
    match value:
        case None | "":
            return []
        case str():
            return [line.strip() for line in value.splitlines() if line.strip()]
        case Message():
            return _paths_in(value.text) or list(value.files)
        case list() | tuple():
            return list(dict.fromkeys(path for item in value for path in _paths_in(item)))
        case Data() | Mapping() | Table():
            rows = records_of(value)
            return list(
                dict.fromkeys(str(row.get("file_path") or row.get("path") or "") for row in rows if row.get("file_path") or row.get("path"))
            )
        case _:
            raise ComponentError(f"A file's path is expected, {type(value).__name__} arrived.")


def check_location(value: Any) -> None:
    names = [item.get("name") if isinstance(item, Mapping) else item for item in (value if isinstance(value, list) else [value])]
    for name in names:
        if isinstance(name, str) and name and name != "Local":
            raise ComponentError(f"The storage {name!r} is not supported; upload the file here and choose Local.")


def _names(found: list[FileContents]) -> str:
    return ", ".join(contents.name for contents in found[:5])
