"""What a run tells while it runs. The runner emits these; faces turn them into progress, NDJSON or SSE."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from projects.engine.values import Message


@dataclass(frozen=True, slots=True)
class OutputLog:
    """One log line of one output."""

    output: str
    name: str
    message: str
    type: str = "text"


@dataclass(slots=True)
class VertexResult:
    """What one vertex produced. `outputs` maps output name → value; `inputs` are the values it ran with (no secrets)."""

    vertex_id: str
    component_type: str
    display_name: str
    outputs: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    artifact: Any = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    duration_seconds: float = 0.0
    error: str | None = None
    stopped_outputs: frozenset[str] = frozenset()
    token_usage: dict[str, int] | None = None
    used_frozen_result: bool = False


@dataclass(frozen=True, slots=True)
class RunStarted:
    first: tuple[str, ...]  # vertex ids of the first layer
    to_run: tuple[str, ...]  # every vertex id of the run set, file order


@dataclass(frozen=True, slots=True)
class VertexStarted:
    vertex_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class VertexFinished:
    result: VertexResult
    finished: int  # how many vertices have finished, this one included
    total: int
    excluded: tuple[str, ...] = ()  # vertices a router switched off with this step
    next: tuple[str, ...] = ()
    is_step: bool = False  # of the flow itself; not for a loop's row, a tool's call, or what listens
    notified: tuple[tuple[str, Any], ...] = ()  # what listeners are still to be told, after a step


@dataclass(frozen=True, slots=True)
class VertexFailed:
    result: VertexResult  # `error` is set


@dataclass(frozen=True, slots=True)
class MessageAdded:
    message: Message


@dataclass(frozen=True, slots=True)
class TokenAdded:
    chunk: str
    message_id: str


@dataclass(frozen=True, slots=True)
class LogAdded:
    vertex_id: str
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the caller should know that did not stop the run (a tweak that reached nothing, for example)."""

    message: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last of a run that is followed by way of its flow; who waits for a run has its result."""

    is_completed: bool


@dataclass(frozen=True, slots=True)
class InnerEvent:
    """Something that a flow told which this run runs as one of its steps: progress inside a vertex, never the run's own."""

    run_id: str  # of the inner run
    flow_name: str
    event: RunEvent


RunEvent: TypeAlias = (
    "RunStarted | VertexStarted | VertexFinished | VertexFailed | MessageAdded | TokenAdded | LogAdded | Warned | RunEnded | InnerEvent"
)
OnEvent: TypeAlias = Callable[["RunEvent"], Awaitable[None]]


async def ignore(event: RunEvent) -> None:
    """An `OnEvent` for callers that do not listen."""
