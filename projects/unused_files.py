"""Deletes the bytes that no file names any more: of deleted flows and users, and of uploads that a crash cut off.

Above: whoever wires the process enters `UnusedFiles` and tells it of deletions. Below: `files.py`, which knows what is still named.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from projects.files import FileService

INTERVAL_SECONDS = 3_600.0
# The bytes of an upload are on the disk before the row that names them is committed.
YOUNGEST_SECONDS = 600.0
# Many deletions in a row are two sweeps, not one each.
PAUSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class UnusedFiles:
    """Sweeps soon after a deletion, and every `interval_seconds` besides; the same in each process, so that any of them may end."""

    def __init__(
        self,
        files: FileService,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        youngest_seconds: float = YOUNGEST_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._files = files
        self._interval_seconds = interval_seconds
        self._youngest_seconds = youngest_seconds
        self._pause_seconds = pause_seconds
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._sweep_for_ever(), name="unused files")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def sweep_soon(self) -> None:
        """Something with files was deleted. Returns at once."""
        self._asked.set()

    async def _sweep_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._interval_seconds)
            self._asked.clear()
            try:
                deleted = await self._files.delete_unreferenced_blobs(older_than_seconds=self._youngest_seconds)
            except Exception:  # The next sweep finds what this one left; a server does not end for it.
                logger.exception("Unused files could not be deleted.")
            else:
                if deleted:
                    logger.info("Deleted the bytes of %d files that nothing names any more.", deleted)
            await asyncio.sleep(self._pause_seconds)
