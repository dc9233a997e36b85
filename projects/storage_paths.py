"""Storage paths: how stored files are named in documents, tweaks and messages. Never a path of the server's disk.

`<flow id>/<file>` is a file of a flow, `<user id>/<file>` one of a user's own; both are looked up among the owner's files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from projects.kept_text import can_be_kept, find_uuid

MAX_PATH_LENGTH = 300


class StoragePath(NamedTuple):
    """`scope_id` is the flow's or the user's id."""

    scope_id: str
    name: str

    def __str__(self) -> str:
        return f"{self.scope_id}/{self.name}"


def find_storage_path(text: Any) -> StoragePath | None:
    """The parts of a storage path; None for everything else: absolute paths, addresses, folders, `..`."""
    if not isinstance(text, str) or len(text) > MAX_PATH_LENGTH:
        return None
    scope, slash, name = text.partition("/")
    scope_id = find_uuid(scope)
    if not slash or scope_id is None or not is_plain_name(name):
        return None
    return StoragePath(scope_id, name)


def is_plain_name(name: str) -> bool:
    """A file's name and nothing more: no folders, no controls."""
    return (
        bool(name.strip(". ")) and not any(character in name for character in "/\\\x00\r\n") and can_be_kept(name) and name == name.strip()
    )
