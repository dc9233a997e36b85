"""File System: tools that let an agent list, read and write the flow's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from projects.components.conversion import plain_text
from projects.components.files_and_knowledge import file_contents
from projects.engine.component import Component, ComponentError, Input, InputKind, Output
from projects.engine.tools import Tool, ToolFailed
from projects.engine.values import Data
from projects.errors import HeadwaterError

MAX_SHOWN_CHARACTERS = 100_000
_FORBIDDEN = frozenset("/\\\x00\n\r")


class FileSystem(Component):
    """What Langflow roots in a folder of the server is here the flow's own files, and the owner's uploads to read.

    There are no folders, so `root_path` is empty or "."; any other one is refused.
    """

    type = "FileSystemTool"
    display_name = "File System"
    description = "Lets an agent list, read and write the flow's files."
    category = "files_and_knowledge"
    icon = "folder-tree"
    aliases = ("FileSystemToolComponent", "FileSystem")
    reads_world = True
    writes_world = True
    stays_home = True
    declared_inputs = (
        Input("root_path", InputKind.STRING, "Root", "Empty: the flow's own files. There are no folders.", protected=True),
        Input("read_only", InputKind.BOOLEAN, "Read Only", "Without the tool that writes.", default=False, field_type="bool"),
        Input("tool_mode_trigger", display_name="Tool Mode", show=False, tool_mode=True),
    )
    declared_outputs = (Output("metadata", "get_metadata", ("Data", "JSON"), "Metadata"),)

    async def get_metadata(self) -> Data:
        self._check_root()
        return Data(data={"read_only": self._is_read_only, "files": list(await self.context.files.list_paths())})

    async def tools(self) -> list[Tool]:
        self._check_root()
        path = {"path": {"type": "string", "description": "A path as list_files gives it, or the name of a file of the flow."}}
        made = [
            self._tool("list_files", "Lists the paths of the files that can be read.", {}, self._list),
            self._tool("read_file", "Gives the text of one file.", path, self._read),
        ]
        if not self._is_read_only:
            written = {
                "name": {"type": "string", "description": "The file's name with its ending, without folders."},
                "content": {"type": "string", "description": "The whole text of the file."},
            }
            made.append(self._tool("write_file", "Writes a text file, in place of the one of the same name.", written, self._write))
        return made

    @property
    def _is_read_only(self) -> bool:
        return bool(self.inputs.get("read_only"))

    def _tool(self, name: str, description: str, properties: Mapping[str, Any], work: Any) -> Tool:
        async def call(arguments: Mapping[str, Any]) -> Any:
            if unknown := [each for each in arguments if each not in properties]:
                raise ToolFailed(f"There is no argument {', '.join(map(repr, unknown))}; there are: {', '.join(properties) or 'none'}.")
            texts = {each: arguments.get(each) for each in properties}
            if missing := [each for each, text in texts.items() if not isinstance(text, str)]:
                raise ToolFailed(f"The argument {', '.join(map(repr, missing))} is missing: a text.")
            try:
                return await work(**texts)
            except (ComponentError, HeadwaterError) as error:
                raise ToolFailed(str(error)) from error

        schema = {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}
        return Tool(name, description, schema, call, self.vertex.id, self.vertex.display_name)

    async def _list(self) -> dict[str, Any]:
        return {"files": list(await self.context.files.list_paths())}

    async def _read(self, path: str) -> str:
        paths = await self.context.files.list_paths()
        own = f"{self.context.flow_id}/{path}"
        wanted = own if path not in paths and own in paths else path
        contents = await file_contents.parse(wanted, await self.context.files.read(wanted))
        if len(contents.text) > MAX_SHOWN_CHARACTERS:
            return f"{contents.text[:MAX_SHOWN_CHARACTERS]}\n… cut after {MAX_SHOWN_CHARACTERS:,} of {len(contents.text):,} characters."
        return contents.text

    async def _write(self, name: str, content: str) -> dict[str, Any]:
        if not name.strip() or name in (".", "..") or ".." in name or not _FORBIDDEN.isdisjoint(name):
            raise ToolFailed(f"{name!r} is no file name: give a name alone, without folders.")
        return {"path": await self.context.files.save(name, content.encode("utf-8", "replace"))}

    def _check_root(self) -> None:
        root = plain_text(self.inputs.get("root_path")).strip().rstrip("/")
        if root not in ("", "."):
            raise ComponentError(
                f"Flows cannot reach folders of the server ({root!r}). Leave the root empty: the tools then see the flow's own files."
            )
