"""A client's file on disk: read as it is, changed only in our entry, written whole or not at all.

Text editing is pure and by format (`json_text`, `toml_text`, `yaml_text`); this module adds files, backups and differences.
"""

import difflib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from client_configs import json_text, toml_text, yaml_text
from client_configs.collection import Collection
from client_configs.problems import ClientNotFound, FileChanged, UneditableFile, UnreadableFile

MAXIMUM_SIZE_BYTES = 64 * 1024 * 1024
BACKUP_SUFFIX = ".headwater.bak"
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class FileFormat(StrEnum):
    JSON = "json"
    TOML = "toml"
    YAML = "yaml"


READ: dict[FileFormat, Callable[[str], dict[str, Any]]] = {
    FileFormat.JSON: json_text.read,
    FileFormat.TOML: toml_text.read,
    FileFormat.YAML: yaml_text.read,
}
PUT: dict[FileFormat, Callable[[str, Collection, str, Any], str]] = {
    FileFormat.JSON: json_text.put,
    FileFormat.TOML: toml_text.put,
    FileFormat.YAML: yaml_text.put,
}
REMOVE: dict[FileFormat, Callable[[str, Collection, str], str]] = {
    FileFormat.JSON: json_text.remove,
    FileFormat.TOML: toml_text.remove,
    FileFormat.YAML: yaml_text.remove,
}


@dataclass(frozen=True, slots=True)
class Put:
    collection: Collection
    name: str
    entry: Any


@dataclass(frozen=True, slots=True)
class Remove:
    collection: Collection
    name: str


Edit = Put | Remove


def edit_text(text: str, file_format: FileFormat, edits: tuple[Edit, ...]) -> str:
    """The text with the edits made. An edit that is true already changes nothing; each is read back before it is believed."""
    for edit in edits:
        before = READ[file_format](text)
        held = edit.collection.entries_of(before)
        if isinstance(edit, Remove):
            if edit.name not in held:
                continue
            changed = REMOVE[file_format](text, edit.collection, edit.name)
            expected = {name: entry for name, entry in held.items() if name != edit.name}
        else:
            if held.get(edit.name) == edit.entry:
                continue
            changed = PUT[file_format](text, edit.collection, edit.name, edit.entry)
            expected = held | {edit.name: edit.entry}
        check(changed, before, edit.collection, expected, file_format)
        text = changed
    return text


def check(changed: str, before: dict[str, Any], collection: Collection, expected: dict[str, Any], file_format: FileFormat) -> None:
    """A mistake of ours must not reach a file: the changed text says what was meant, and everything else as before."""
    try:
        after = READ[file_format](changed)
    except UnreadableFile as error:
        raise UneditableFile(f"The change would not leave a readable file ({error.message}).") from error
    if collection.entries_of(after) != expected or without(after, collection.path) != without(before, collection.path):
        raise UneditableFile(f'"{collection.title}" is written in a form that cannot be changed without touching the rest.')


def without(document: Any, path: tuple[str, ...]) -> Any:
    """The document without what is at the path, and without the tables that only led there."""
    if not isinstance(document, dict) or path[0] not in document:
        return document
    rest = {key: value for key, value in document.items() if key != path[0]}
    if len(path) > 1 and (inner := without(document[path[0]], path[1:])):
        rest[path[0]] = inner
    return rest


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path
    file_format: FileFormat

    def read_text(self) -> str | None:
        """None when there is no file. Refuses what is not a text, naming the file."""
        try:
            if self.path.stat().st_size > MAXIMUM_SIZE_BYTES:
                raise UneditableFile(f"{self.path} is larger than {MAXIMUM_SIZE_BYTES} bytes; it is left alone.")
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UneditableFile(f"{self.path} cannot be read: {error.strerror or error}.") from error
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise UnreadableFile(f"{self.path}, line {line}: not UTF-8; save the file as UTF-8, then install again.", line=line) from error

    def read(self, text: str | None) -> dict[str, Any]:
        """What the text says; the file's name is in the message when it says nothing readable."""
        if text is None:
            return {}
        try:
            return READ[self.file_format](text)
        except UnreadableFile as error:
            raise self._refused(error) from error

    def edit(self, text: str | None, edits: tuple[Edit, ...], *, empty: str = "") -> str:
        """`edit_text` with the file's name in what goes wrong. `empty` is what a new file begins with."""
        try:
            return edit_text(empty if text is None else text, self.file_format, edits)
        except UnreadableFile as error:
            raise self._refused(error) from error
        except UneditableFile as error:
            raise UneditableFile(f"{self.path}: {error.message}") from error

    def _refused(self, error: UnreadableFile) -> UnreadableFile:
        return UnreadableFile(f"{self.path}, {error.message}. Nothing was changed; mend the line, then install again.", line=error.line)

    def write(self, text: str, *, expected: str | None, project_folder: Path | None = None) -> Path | None:
        """Writes all of it or nothing, for our eyes only, and keeps the old text beside it. Returns the backup's path.

        `expected` is what the file said when the change was planned. A project's file keeps its mode, as others read it too.
        """
        target = self.path.resolve()  # a link, as dotfile managers make them, stays a link
        if project_folder is not None:
            if not project_folder.is_dir():
                raise ClientNotFound(f"{project_folder} is not a folder: name the project's folder.")
            if not target.is_relative_to(project_folder.resolve()):
                # A project may come from anybody, links in it too.
                raise UneditableFile(f"{self.path} leads out of {project_folder}; it is left alone.")
        if self.read_text() != expected:
            raise FileChanged(f"{self.path} was changed by somebody else meanwhile; install again.")
        try:
            target.parent.mkdir(mode=PRIVATE_FOLDER if project_folder is None else 0o777, parents=True, exist_ok=True)
            backup = None
            mode = PRIVATE_FILE
            if expected is not None:
                if project_folder is not None:
                    mode = stat.S_IMODE(target.stat().st_mode)
                backup = target.with_name(target.name + BACKUP_SUFFIX)
                write_atomically(backup, expected, mode=PRIVATE_FILE)
            write_atomically(target, text, mode=mode)
        except OSError as error:
            raise UneditableFile(f"{self.path} cannot be written: {error.strerror or error}.") from error
        return backup


def write_atomically(target: Path, text: str, *, mode: int) -> None:
    descriptor, temporary_name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # made with mode 0600
    temporary = Path(temporary_name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if mode != PRIVATE_FILE:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def difference(path: Path, before: str | None, after: str) -> str:
    """A unified diff, as `patch` reads it; empty when nothing changes."""
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=str(path) if before is not None else os.devnull,
        tofile=str(path),
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
