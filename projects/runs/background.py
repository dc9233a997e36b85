"""Runs that go on without a caller: tasks owned by the process, ended with it."""

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from projects.errors import HeadwaterError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class BackgroundTasks:
    """Starts coroutines that outlive the request that asked for them; leaving the context cancels and awaits them all."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> None:
        # Held in a set and awaited at the end: asyncio.TaskGroup would cancel every other run when one fails.
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def start_watched(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """The same for work whose outcome somebody may ask for: only what is no error of a run's own is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended_watched)
        return task

    def _ended_watched(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.log(logging.INFO if isinstance(error, HeadwaterError) else logging.ERROR, "%s ended: %r", task.get_name(), error)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Background work %s ended with an error", task.get_name(), exc_info=error)

    async def wait_until_idle(self) -> None:
        """Until nothing that was started is still going (used at drain and by tests)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
