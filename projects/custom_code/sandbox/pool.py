"""The workers of this server: one is kept warm for nobody; a run that needs one takes it, keeps it to its end and leaves nothing behind.

As the server's `CodeRunner` it hears of runs from their vertices, as a `RunObserver` of their ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from projects.custom_code.host import CodeFailed, Handle, Host, VertexDescription, VertexOutcome
from projects.custom_code.sandbox.command import Bounds, SandboxUnavailable
from projects.custom_code.sandbox.process import SandboxProcess

if TYPE_CHECKING:
    from projects.engine.events import VertexResult
    from projects.runs.live import LiveRun
    from projects.runs.observers import ModelCall
    from projects.runs.record import RunState

logger = logging.getLogger(__name__)

MAX_WORKERS = 64
MAX_WORKERS_OF_ONE = 16  # owner: a run keeps its worker to its end, so that nobody can be asked to give some back
MAX_WORKERS_OF_ONE_INSIDE = 32  # with those of runs inside runs, which would else wait for runs that wait for them
WAIT_SECONDS = 30  # for a worker, of one vertex

_Run = tuple[str, str]  # owner, run


@dataclass(frozen=True, slots=True)
class _Turn:
    """`most`: how many workers its owner may have with the one that is waited for."""

    most: int
    has_come: asyncio.Event = field(default_factory=asyncio.Event)


class SandboxPool:
    """Enter it to have workers. `unavailable` then says why there are none, and is empty when there are."""

    def __init__(self, bounds: Bounds, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._bounds = bounds
        self._wait_seconds = wait_seconds
        self._spare: asyncio.Task[SandboxProcess] | None = None
        self._of_runs: dict[_Run, asyncio.Task[SandboxProcess]] = {}
        self._count_of: Counter[str] = Counter()  # owner → workers
        self._waiting: dict[_Run, _Turn] = {}  # the longest first
        self._ending: set[asyncio.Task[None]] = set()
        self.unavailable = ""

    async def __aenter__(self) -> Self:
        try:
            self._spare = self._starting()
            await asyncio.shield(self._spare)
        except SandboxUnavailable as error:
            self._spare = None
            self.unavailable = str(error)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._waiting.clear()
        for key in tuple(self._of_runs):
            self._leave(key)
        if self._spare is not None:
            self._end(self._spare)
            self._spare = None
        await self.wait_until_ended()

    @property
    def running_count(self) -> int:
        """How many runs have a worker."""
        return len(self._of_runs)

    async def wait_until_ended(self) -> None:
        """Until nothing is left of the workers of runs that have ended."""
        while self._ending:
            await asyncio.wait(self._ending)

    async def run_vertex(
        self, code: str, description: VertexDescription, inputs: Mapping[str, Any], outputs_wanted: Sequence[str], host: Host
    ) -> VertexOutcome:
        worker = await self._worker(description)
        return await worker.run_vertex(code, description, inputs, outputs_wanted, host)

    async def use_object(
        self,
        code: str,
        description: VertexDescription,
        inputs: Mapping[str, Any],
        handle: Handle,
        operation: str,
        arguments: Mapping[str, Any],
        host: Host,
    ) -> Any:
        worker = await self._worker(description)
        return await worker.use_object(code, description, inputs, handle, operation, arguments, host)

    async def _worker(self, description: VertexDescription) -> SandboxProcess:
        """The run's own. Raises CodeFailed where there can be none."""
        key = (description.user_id, description.run_id)
        most = MAX_WORKERS_OF_ONE_INSIDE if description.is_inside else MAX_WORKERS_OF_ONE
        starting = self._of_runs.get(key)
        if starting is not None and starting.done() and not _is_usable(starting):
            self._leave(key)
            starting = None
        while starting is None:
            if self._has_place(key[0], most):
                starting = self._begin(key)
            else:
                await self._turn(key, most)
                starting = self._of_runs.get(key)
        try:
            return await asyncio.shield(starting)
        except SandboxUnavailable as error:
            raise CodeFailed(str(error)) from None

    def _has_place(self, owner: str, most: int) -> bool:
        """Nobody who waits is overtaken: whoever could have a place has been given it when it became free."""
        return len(self._of_runs) < MAX_WORKERS and self._count_of[owner] < most

    async def _turn(self, key: _Run, most: int) -> None:
        """Wait until the run has a worker. Raises CodeFailed when that takes too long."""
        turn = self._waiting.setdefault(key, _Turn(most))  # one for all vertices of the run
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn.has_come.wait()
        except TimeoutError:
            full = f"{MAX_WORKERS} runs use a sandbox now"
            if self._count_of[key[0]] >= most:
                full = f"{self._count_of[key[0]]} runs of this owner's flows use a sandbox now"
            raise CodeFailed(f"{full}, and no more can; none ended within {self._wait_seconds:g} s. Try again shortly.") from None

    def _begin(self, key: _Run) -> asyncio.Task[SandboxProcess]:
        starting = self._of_runs[key] = self._take_spare()
        self._count_of[key[0]] += 1
        return starting

    def _leave(self, key: _Run) -> None:
        """The run's worker ends, and who waits for a place gets it: of those with fewest workers who has waited longest."""
        self._end(self._of_runs.pop(key))
        self._count_of[key[0]] -= 1
        if not self._count_of[key[0]]:
            del self._count_of[key[0]]
        while waiting := [each for each, turn in self._waiting.items() if self._has_place(each[0], turn.most)]:
            next_one = min(waiting, key=lambda each: self._count_of[each[0]])
            self._begin(next_one)
            self._waiting.pop(next_one).has_come.set()

    def _take_spare(self) -> asyncio.Task[SandboxProcess]:
        taken, self._spare = self._spare, self._starting()
        if taken is None:
            return self._starting()
        if taken.done() and not _is_usable(taken):
            self._end(taken)
            return self._starting()
        return taken

    def _starting(self) -> asyncio.Task[SandboxProcess]:
        # Held by whoever asked, and awaited by `_end`: a task group would end all of them when one cannot start.
        return asyncio.get_running_loop().create_task(SandboxProcess.start(self._bounds), name="starting a sandbox")

    def _end(self, starting: asyncio.Task[SandboxProcess]) -> None:
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            starting.result().kill()
        ending = asyncio.get_running_loop().create_task(_closed(starting), name="ending a sandbox")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    # --- as an observer of runs

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None:
        key = (run.identity.owner_id, run.identity.run_id)
        self._waiting.pop(key, None)
        if key in self._of_runs:
            self._leave(key)

    def run_began(self, run: LiveRun) -> None:
        pass

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None:
        pass

    def model_called(self, call: ModelCall) -> None:
        pass


def _is_usable(starting: asyncio.Task[SandboxProcess]) -> bool:
    return not starting.cancelled() and starting.exception() is None and starting.result().is_alive


async def _closed(starting: asyncio.Task[SandboxProcess]) -> None:
    with suppress(SandboxUnavailable, asyncio.CancelledError):
        await (await starting).close()
