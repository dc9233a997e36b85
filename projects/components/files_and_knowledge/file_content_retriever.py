"""File Content Retriever: one file out of those that another node has loaded."""

from __future__ import annotations

from projects.components.conversion import plain_text, records_of
from projects.components.files_and_knowledge import file_contents
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Message, Row, Table

_SHOWN_PATHS = 20


class FileContentRetriever(Component):
    """The file is named by its path, or by its name alone where only one has it. Rows without a text are read from the uploads."""

    type = "FileContentRetriever"
    display_name = "File Content Retriever"
    description = "Gives the content of one of the connected files."
    category = "files_and_knowledge"
    icon = "file-search"
    aliases = ("FileContentRetrieverComponent",)
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input(
            "file_data",
            InputKind.HANDLE,
            "File Data",
            "Files as Read File or Directory give them: rows with `file_path` and `text`.",
            required=True,
            is_list=True,
            types=("Data", "JSON", "DataFrame", "Table", "Message"),
            field_type="other",
        ),
        Input("file_path", display_name="File Path", info="Path or name of the file to look for.", required=True, tool_mode=True),
        Input("persistent_dir", InputKind.STRING, "Persistent Folder", "Not used: nothing is kept between runs.", advanced=True),
    )
    declared_outputs = (
        Output("content", "retrieve_content", ("Message",), "Content"),
        Output("dataframe", "retrieve_dataframe", ("DataFrame", "Table"), "Table", tool_mode=False),
    )

    async def retrieve_content(self) -> Message:
        rows = await self._found()
        return Message(text="\n".join(plain_text(row["text"]) for row in rows if row.get("text") not in (None, "")))

    async def retrieve_dataframe(self) -> Table:
        return Table(rows=await self._found())

    async def _found(self) -> list[Row]:
        wanted = plain_text(self.inputs.get("file_path")).strip()
        if not wanted:
            raise ComponentError("Name the file to look for: the file path is empty.")
        value = self.inputs.get("file_data")
        records = records_of(value if isinstance(value, list) else [] if value is None or value == "" else [value])
        by_path: dict[str, list[Row]] = {}
        for record in records:
            by_path.setdefault(str(record.get("file_path") or record.get("path") or ""), []).append(record)
        by_path.pop("", None)
        path = self._path(wanted, list(by_path))
        rows = by_path[path]
        if any(set(row) - {"file_path", "path"} for row in rows):
            return rows
        contents = await file_contents.parse(path, await self.context.files.read(path))
        return contents.table.rows if contents.table is not None else [{"file_path": path, "text": contents.text}]

    def _path(self, wanted: str, paths: list[str]) -> str:
        if wanted in paths:
            return wanted
        named = [path for path in paths if path.rpartition("/")[2] == wanted.replace("\\", "/").rpartition("/")[2]]
        if len(named) == 1:
            return named[0]
        there_are = f"There are: {', '.join(paths[:_SHOWN_PATHS])}." if paths else "No files are connected."
        raise ComponentError(f"{'Several files are' if named else 'No file is'} called {wanted!r}. {there_are}")
