"""Directory: the uploaded text files, a row each. There is no folder of the server's to read."""

from __future__ import annotations

from projects.components.conversion import plain_text, texts_of
from projects.components.files_and_knowledge import file_contents
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.values import Data, Row, Table
from projects.errors import HeadwaterError

MAX_FILES = 500


class Directory(Component):
    """What Langflow reads from a folder of the server is here the flow's files and the owner's own uploads.

    `path` empty or "." takes them all; the id of a flow or of the owner takes that one's files. Any other path is refused.
    """

    type = "Directory"
    display_name = "Directory"
    description = "Reads the uploaded files."
    category = "files_and_knowledge"
    icon = "folder"
    aliases = ("DirectoryComponent",)
    legacy = True
    reads_world = True
    stays_home = True
    declared_inputs = (
        Input("path", display_name="Path", info="Empty: all uploads.", default=".", protected=True),
        Input("types", InputKind.STRING, "File Types", "Endings to take; empty: all that can be read.", is_list=True),
        Input("depth", InputKind.INTEGER, "Depth", "Uploads have no folders.", default=0, advanced=True, field_type="int"),
        Input("load_hidden", InputKind.BOOLEAN, "Load Hidden", default=False, advanced=True, field_type="bool"),
        Input("recursive", InputKind.BOOLEAN, "Recursive", default=False, advanced=True, field_type="bool"),
        Input("silent_errors", InputKind.BOOLEAN, "Silent Errors", default=False, advanced=True, field_type="bool"),
    )
    documented_methods = ("load_directory",)  # what older documents have for their records
    declared_outputs = (Output("dataframe", "as_dataframe", ("DataFrame", "Table"), "Files"),)

    async def as_dataframe(self) -> Table:
        wanted = plain_text(self.inputs.get("path")).strip().rstrip("/")
        if wanted not in ("", "."):
            self._check(wanted)
        endings = {ending.lower().lstrip(".") for ending in texts_of(self.inputs.get("types"))} or file_contents.ENDINGS
        paths = [
            path
            for path in await self.context.files.list_paths()
            if file_contents.ending_of(path) in endings
            and (wanted in ("", ".") or path.startswith(f"{wanted}/"))
            and (self.inputs.get("load_hidden") or not path.rpartition("/")[2].startswith("."))
        ]
        if len(paths) > MAX_FILES:
            raise ComponentError(f"There are {len(paths)} files; at most {MAX_FILES} are read at once. Choose file types.")
        rows: list[Row] = []
        for path in paths:
            try:
                contents = await file_contents.parse(path, await self.context.files.read(path))
            except (ComponentError, HeadwaterError) as error:
                if not self.inputs.get("silent_errors"):
                    raise
                self.log(f"{path} is left out: {error}")
                continue
            rows.append({"file_path": path, "text": contents.text})
        return Table(rows=rows, columns=["file_path", "text"])

    async def load_directory(self) -> list[Data]:
        return [Data(data=row) for row in (await self.as_dataframe()).rows]

    def _check(self, path: str) -> None:
        if "/" in path or "\\" in path or "." in path or "~" in path:
            raise ComponentError(f"Flows cannot read folders of the server ({path!r}). Upload the files and leave the path empty.")
