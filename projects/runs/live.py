"""The runs that go on in this process now: to be counted, stopped and looked at."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from projects.runs.record import RunIdentity


@dataclass(frozen=True, slots=True)
class VertexTiming:
    """How one building of a vertex went."""

    vertex_id: str
    display_name: str
    started_at: datetime
    duration_seconds: float
    error: str | None


@dataclass(slots=True)
class LiveRun:
    """`scope` ends when the run's time is over, and is the way to stop a run and not the task that waits for it."""

    identity: RunIdentity
    flow_name: str
    attempt: int
    is_outermost: bool
    scope: asyncio.Timeout
    vertices: list[VertexTiming] = field(default_factory=list)
    is_stopped: bool = False  # by somebody, and not because its time is over
    is_ending: bool = False  # how it ends is decided, and being committed

    async def end(self) -> None:
        """From here on nobody stops it any more; not even its time is over. Does not return when that had happened before."""
        if self.is_stopped or self.scope.expired():
            await asyncio.sleep(0)  # where the scope's cancelling arrives
        self.is_ending = True
        self.scope.reschedule(None)

    def stop(self) -> None:
        if self.is_ending:
            return
        try:
            self.scope.reschedule(asyncio.get_running_loop().time())
        except RuntimeError:
            return  # it is ending already: stopped before, out of time, or through
        self.is_stopped = True


class LiveRuns:
    """One for the process."""

    def __init__(self) -> None:
        self._runs: dict[str, LiveRun] = {}
        self.outermost_count = 0  # without those that other runs run

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: LiveRun) -> None:
        self._runs[run.identity.run_id] = run
        self.outermost_count += run.is_outermost

    def remove(self, run: LiveRun) -> None:
        if self._runs.get(run.identity.run_id) is run:  # else the run was begun anew here meanwhile
            del self._runs[run.identity.run_id]
        self.outermost_count -= run.is_outermost

    def find(self, run_id: str, *, owner_id: str | None = None) -> LiveRun | None:
        """None also for somebody else's; without an owner for the process' own business."""
        run = self._runs.get(run_id)
        return None if run is None or owner_id not in (None, run.identity.owner_id) else run

    def of(self, owner_id: str) -> Iterator[LiveRun]:
        return (run for run in self._runs.values() if run.identity.owner_id == owner_id)
