"""A run that is on its way in a task of its own, for whoever started it: wait for it, or leave it to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from projects.errors import HeadwaterError

if TYPE_CHECKING:
    from projects.runs.request import InvocationResult


class RunHandle:
    """What `InvocationService.open` and `.answer` give. Until `detach` the run belongs to who waits: their end is its end."""

    def __init__(self, run_id: str, task: asyncio.Future[InvocationResult], on_detach: Callable[[], None]) -> None:
        self.run_id = run_id
        self._task = task
        self._on_detach = on_detach
        self._is_detached = False

    @classmethod
    def ended(cls, run_id: str, outcome: InvocationResult | HeadwaterError) -> RunHandle:
        """Of a run that has nothing more to do now."""
        future: asyncio.Future[InvocationResult] = asyncio.get_running_loop().create_future()
        if isinstance(outcome, HeadwaterError):
            future.set_exception(outcome)
            future.exception()  # known to whoever waits, and nothing to be logged when nobody does
        else:
            future.set_result(outcome)
        return cls(run_id, future, lambda: None)

    async def wait(self, seconds: float | None = None) -> InvocationResult | None:
        """The result; None when the run is still going on after so many seconds. Raises what `invoke` raises.

        It may be called again. When the task that waits is cancelled before `detach`, the run is cancelled with it.
        """
        task = self._task
        if not task.done():
            # What asyncio.wait does for many, for the one there is: every call of a tool waits here.
            loop = asyncio.get_running_loop()
            over = loop.create_future()

            def tell(_: object = None) -> None:
                if not over.done():
                    over.set_result(None)

            timer = None if seconds is None else loop.call_later(seconds, tell)
            task.add_done_callback(tell)
            try:
                await over
            except asyncio.CancelledError:
                if not self._is_detached:
                    task.cancel()
                raise
            finally:
                task.remove_done_callback(tell)
                if timer is not None:
                    timer.cancel()
        return task.result() if task.done() else None

    async def outcome(self) -> InvocationResult:
        """`wait` until the end, however long it takes."""
        result = await self.wait()
        assert result is not None
        return result

    def when_over(self, do: Callable[[], object]) -> None:
        """Call this once the run is over or waits for a person; soon, when it is already."""
        self._task.add_done_callback(lambda _: do())

    def detach(self) -> None:
        """From now on nobody needs to wait: the run goes on by itself, is in the database, and only the process' end cuts it off.

        Its events are still told, but a listener that fails is left out from then on instead of ending the run.
        """
        if not self._is_detached:
            self._is_detached = True
            self._on_detach()
