"""Files as a run sees them: its owner's uploads by storage path or id, and what the flow itself saves. Never the server's disk.

Above: components, through their context. Below: `files.py`, which asks for owner and exact name, so that a path is only ever looked up.
"""

from __future__ import annotations

from collections.abc import Sequence

from projects.errors import InvalidInput, NotFound, TooLarge
from projects.files import FileService
from projects.kept_text import find_uuid
from projects.storage_paths import find_storage_path

MAX_READ_BYTES = 100 * 1024 * 1024
MAX_SAVED_BYTES = 50 * 1024 * 1024


class RunFiles:
    """A `FileSource`."""

    def __init__(self, files: FileService, *, read_bytes: int = MAX_READ_BYTES, saved_bytes: int = MAX_SAVED_BYTES) -> None:
        self._files = files
        self._read_bytes = read_bytes
        self._saved_bytes = saved_bytes

    def for_run(self, *, owner_id: str, flow_id: str, run_id: str) -> FilesOfRun:
        return FilesOfRun(self._files, owner_id, flow_id, self._read_bytes, self._saved_bytes)

    async def refusal(self, owner_id: str, path: object) -> str | None:
        if not _is_path(path):
            return _not_uploaded(path)
        return None if await self._files.find(owner_id, str(path)) is not None else _unknown(path)


class FilesOfRun:
    """A `FileAccess`: what one run may read and write."""

    def __init__(self, files: FileService, owner_id: str, flow_id: str, read_bytes: int, saved_bytes: int) -> None:
        self._files = files
        self._owner_id = owner_id
        self._flow_id = flow_id
        self._read_bytes = read_bytes
        self._saved_bytes = saved_bytes

    async def read(self, path: str, *, limit_bytes: int | None = None) -> bytes:
        """Raises InvalidInput for what is no upload of the owner's, TooLarge, Unavailable."""
        if not _is_path(path):
            raise InvalidInput(_not_uploaded(path))
        limit = self._read_bytes if limit_bytes is None else min(limit_bytes, self._read_bytes)
        try:
            return await self._files.read(self._owner_id, path, limit_bytes=limit)
        except NotFound:
            raise InvalidInput(_unknown(path)) from None

    async def list_paths(self) -> Sequence[str]:
        """The flow's files and the owner's own, oldest first."""
        return await self._files.list_paths(self._owner_id, self._flow_id)

    async def save(self, name: str, content: bytes) -> str:
        """Keep a file of the flow, in place of one of the same name; returns its storage path."""
        if len(content) > self._saved_bytes:
            raise TooLarge(f"The file would have {len(content):,} bytes; a flow may save {self._saved_bytes:,}.")
        return (await self._files.put(self._owner_id, self._flow_id, name, content)).path


def _is_path(path: object) -> bool:
    return isinstance(path, str) and (find_storage_path(path) is not None or find_uuid(path) is not None)


def _not_uploaded(path: object) -> str:
    return (
        f"{_shown(path)} is no uploaded file. Upload it (POST /api/v2/files) and give the `path` of the answer; "
        "flows cannot read the server's own files."
    )


def _unknown(path: object) -> str:
    return f"There is no uploaded file {_shown(path)}. Upload it and give the path of the answer."


def _shown(path: object) -> str:
    text = repr(path)
    return text if len(text) <= 120 else text[:120] + "…"
