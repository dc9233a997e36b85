"""Who looks on while runs go on, from outside: metrics and traces. They are told, never asked, and cost nothing when nobody is there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from projects.engine.events import VertexResult
    from projects.models.chat import Usage
    from projects.runs.live import LiveRun
    from projects.runs.record import RunState

logger = logging.getLogger(__name__)

current_run: ContextVar[str] = ContextVar("current_run", default="")
"""The id of the run that this code is a part of, for log lines and for what looks on; empty outside of runs."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One question to a model and how it went; neither the question nor the answer."""

    run_id: str
    provider: str
    model: str
    started_at: datetime
    duration_seconds: float
    usage: Usage | None = None
    error: str | None = None  # what kind of failure


class RunObserver(Protocol):
    """Each of them is quick and awaits nothing."""

    def run_began(self, run: LiveRun) -> None: ...

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None: ...

    def model_called(self, call: ModelCall) -> None: ...

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None: ...


class RunObservers:
    """One for the process. An observer that fails is logged and costs nobody a run."""

    def __init__(self) -> None:
        self._all: tuple[RunObserver, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    @contextmanager
    def watching(self, observer: RunObserver) -> Iterator[None]:
        """Have it told of everything for the length of a `with` block."""
        self._all = (*self._all, observer)
        try:
            yield
        finally:
            self._all = tuple(each for each in self._all if each is not observer)

    def run_began(self, run: LiveRun) -> None:
        for observer in self._all:
            try:
                observer.run_began(run)
            except Exception:  # A boundary: looking on must not change what is looked at.
                logger.exception("An observer failed")

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None:
        for observer in self._all:
            try:
                observer.vertex_ended(run, result)
            except Exception:  # as above
                logger.exception("An observer failed")

    def model_called(self, call: ModelCall) -> None:
        for observer in self._all:
            try:
                observer.model_called(call)
            except Exception:  # as above
                logger.exception("An observer failed")

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None:
        for observer in self._all:
            try:
                observer.run_ended(run, state, seconds)
            except Exception:  # as above
                logger.exception("An observer failed")
