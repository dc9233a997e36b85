"""The runner of trusted texts: in this process, with a folder for each run that asks for one.

As the server's `CodeRunner` it hears of runs from their vertices, as a `RunObserver` of their ends.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from projects.custom_code import running
from projects.custom_code.host import Handle, Host, VertexDescription, VertexOutcome

if TYPE_CHECKING:
    from projects.engine.events import VertexResult
    from projects.runs.live import LiveRun
    from projects.runs.observers import ModelCall
    from projects.runs.record import RunState


class InProcess:
    """Enter it to have folders. A run's is made when its code first asks for a path, and is gone when the run has ended."""

    def __init__(self) -> None:
        self._all: tempfile.TemporaryDirectory[str] | None = None
        self._runs: set[str] = set()  # that have run texts

    def __enter__(self) -> Self:
        self._all = tempfile.TemporaryDirectory(prefix="headwater-runs-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._all is not None:
            self._all.cleanup()
            self._all = None

    async def run_vertex(
        self, code: str, description: VertexDescription, inputs: Mapping[str, Any], outputs_wanted: Sequence[str], host: Host
    ) -> VertexOutcome:
        return await running.run_vertex(code, self._with_folder(description), inputs, outputs_wanted, host)

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
        return await running.use_object(code, self._with_folder(description), inputs, handle, operation, arguments, host)

    def _with_folder(self, description: VertexDescription) -> VertexDescription:
        if self._all is None:
            return description
        self._runs.add(description.run_id)
        return replace(description, files_folder=str(Path(self._all.name, description.run_id)))

    # --- as an observer of runs

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None:
        id = run.identity.run_id
        if self._all is not None and id in self._runs:
            self._runs.discard(id)
            shutil.rmtree(Path(self._all.name, id), ignore_errors=True)  # few runs have one

    def run_began(self, run: LiveRun) -> None:
        pass

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None:
        pass

    def model_called(self, call: ModelCall) -> None:
        pass
