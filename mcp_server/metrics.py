"""Figures about this process in Prometheus' text format: requests, runs, components, calls of models. Counting is adding to a dict."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter, time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projects.engine.events import VertexResult
from projects.runs.live import LiveRun
from projects.runs.observers import ModelCall
from projects.runs.record import RunState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
MAX_SERIES = 500  # of one metric; what comes later is counted as "other"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

Labels = tuple[str, ...]


class Counter:
    """Counts that only grow, one for each set of label values."""

    kind = "counter"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = name
        self.about = about
        self._labels = labels
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        values = self._values
        if labels not in values and len(values) >= MAX_SERIES:
            labels = ("other",) * len(self._labels)
        values[labels] = values.get(labels, 0) + amount

    def samples(self) -> Iterator[str]:
        for labels, value in self._values.items():
            yield f"{self.name}{_shown(self._labels, labels)} {_number(value)}"


class Histogram:
    """How long something took, in seconds."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = name
        self.about = about
        self._labels = labels
        self._values: dict[Labels, list[float]] = {}  # a count for each bucket, the count of all, the sum

    def observe(self, labels: Labels, seconds: float) -> None:
        values = self._values.get(labels)
        if values is None:
            if len(self._values) >= MAX_SERIES:
                labels = ("other",) * len(self._labels)
            values = self._values.setdefault(labels, [0.0] * (len(BUCKETS) + 2))
        for place, bound in enumerate(BUCKETS):
            if seconds <= bound:
                values[place] += 1
                break
        values[-2] += 1
        values[-1] += seconds

    def samples(self) -> Iterator[str]:
        names = (*self._labels, "le")
        for labels, values in self._values.items():
            counted = 0.0
            for bound, count in zip(BUCKETS, values, strict=False):
                counted += count
                yield f"{self.name}_bucket{_shown(names, (*labels, f'{bound:g}'))} {_number(counted)}"
            yield f"{self.name}_bucket{_shown(names, (*labels, '+Inf'))} {_number(values[-2])}"
            yield f"{self.name}_sum{_shown(self._labels, labels)} {values[-1]:.6f}"
            yield f"{self.name}_count{_shown(self._labels, labels)} {_number(values[-2])}"


class Gauge:
    """A figure that is asked for when it is read."""

    kind = "gauge"

    def __init__(self, name: str, about: str, ask: Callable[[], float]) -> None:
        self.name = name
        self.about = about
        self._ask = ask

    def samples(self) -> Iterator[str]:
        yield f"{self.name} {_number(self._ask())}"


class Metrics:
    """A `RunObserver`, and what `Measured` counts requests with. `gauges`: name → (what it is, how to ask)."""

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]] | None = None) -> None:
        started = time()
        self.requests = Counter("headwater_http_requests_total", "Answered HTTP requests.", "face", "method", "status")
        self.request_seconds = Histogram("headwater_http_request_seconds", "Seconds from a request to the end of its answer.", "face")
        self._runs = Counter("headwater_runs_total", "Runs that ended here, or began to wait.", "kind", "state")
        self._run_seconds = Histogram("headwater_run_seconds", "Seconds that a run went on.", "kind")
        self._vertices = Counter("headwater_components_total", "Components that ran.", "type", "outcome")
        self._vertex_seconds = Counter("headwater_component_seconds_total", "Seconds that components ran.", "type")
        self._calls = Counter("headwater_model_calls_total", "Calls of chat models.", "provider", "outcome")
        self._call_seconds = Histogram("headwater_model_call_seconds", "Seconds that a call of a chat model took.", "provider")
        self._tokens = Counter("headwater_model_tokens_total", "Tokens of chat models.", "provider", "direction")
        self._all: list[Counter | Histogram | Gauge] = [
            self.requests,
            self.request_seconds,
            self._runs,
            self._run_seconds,
            self._vertices,
            self._vertex_seconds,
            self._calls,
            self._call_seconds,
            self._tokens,
            *(Gauge(name, about, ask) for name, (about, ask) in (gauges or {}).items()),
            Gauge("process_start_time_seconds", "When this process began, in seconds since 1970.", lambda: started),
            Gauge("process_resident_memory_bytes", "Memory of this process.", _resident_bytes),
        ]

    def text(self) -> str:
        lines: list[str] = []
        for metric in self._all:
            lines += (f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}", *metric.samples())
        return "\n".join(lines) + "\n"

    def run_began(self, run: LiveRun) -> None:
        return

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None:
        self._vertices.add((result.component_type, "ok" if result.error is None else "error"))
        self._vertex_seconds.add((result.component_type,), result.duration_seconds)

    def model_called(self, call: ModelCall) -> None:
        self._calls.add((call.provider, "ok" if call.error is None else "error"))
        self._call_seconds.observe((call.provider,), call.duration_seconds)
        if call.usage is not None:
            self._tokens.add((call.provider, "input"), call.usage.input_tokens)
            self._tokens.add((call.provider, "output"), call.usage.output_tokens)

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None:
        self._runs.add((run.identity.kind, state.value))
        self._run_seconds.observe((run.identity.kind,), seconds)


class Measured:
    """Counts each request when its answer has ended; the outermost layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = "none"

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            face = _face(scope["path"])
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.add((face, method, status))
            self._metrics.request_seconds.observe((face,), perf_counter() - began)


def _face(path: str) -> str:
    if path.startswith("/api/v1/mcp/"):
        return "mcp"
    return "rest" if path.startswith("/api/") else "other"


def _shown(names: Labels, values: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}" if names else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _resident_bytes() -> float:
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - the kernel's own file
            return float(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    try:
        import resource  # not there on Windows
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
