"""Blobs as files below one folder. A blob appears under its name only when all of it is on the disk."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from storage.blobs import BlobNotFound, BlobStoreUnavailable, BlobTooLarge

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES = 256 * 1024
BUFFER_BYTES = 1024 * 1024

_KEY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = ".part"


class LocalDisk:
    """A `BlobStore`. Only generated keys make a path, so nothing outside the folder can be named."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit_bytes: int) -> int:
        path = self._path(key)
        draft = path.with_suffix(_UNFINISHED)
        size = 0
        file = await _on_disk(_create, draft)
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit_bytes:
                    raise BlobTooLarge(limit_bytes)
                await _on_disk(file.write, chunk)
            await _on_disk(_finish, file, draft, path)
        finally:
            # A cancelled write may still be going on in its thread: closing waits for the buffer's lock.
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        return size

    async def read(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        path = self._path(key)
        try:
            descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise BlobNotFound(key) from error
        file = os.fdopen(descriptor, "rb", buffering=0)
        try:
            if start:
                await _on_disk(file.seek, start)
            left = sys.maxsize if length is None else length
            while left > 0 and (piece := await _on_disk(file.read, min(left, PIECE_BYTES))):
                left -= len(piece)
                yield piece
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        await _on_disk(self._path(key).unlink, missing_ok=True)

    async def list_keys(self, *, older_than_seconds: float) -> AsyncIterator[str]:
        for key in await asyncio.to_thread(self._old_keys, time.time() - older_than_seconds):
            yield key

    def _old_keys(self, before: float) -> list[str]:
        keys = []
        for path in self._folder.glob("*/*"):
            with suppress(OSError):
                if _KEY.fullmatch(path.name) and path.stat(follow_symlinks=False).st_mtime <= before:
                    keys.append(path.name)
        return keys

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise BlobNotFound(key)
        return self._folder / key[:2] / key


async def _on_disk(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """In a thread; what the disk refuses is BlobStoreUnavailable, while errors of whoever sends the bytes stay their own."""
    try:
        return await asyncio.to_thread(work, *args, **options)
    except OSError as error:
        raise BlobStoreUnavailable(str(error)) from error


def _create(draft: Path) -> BinaryIO:
    draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    return os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES)


def _finish(file: BinaryIO, draft: Path, path: Path) -> None:
    """On the disk first, then under its name, then the name on the disk too."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
