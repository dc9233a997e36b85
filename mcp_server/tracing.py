"""Traces of runs, their components and their calls of models, for an OpenTelemetry collector that the operator names.

Spans tell names, times, ids and counts, never what went in or came out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mcp_server.request_identity import trace_parent
from mcp_server.telemetry import redact
from projects.errors import PackageMissing
from projects.runs.observers import current_run
from projects.runs.record import RunState

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from projects.engine.events import VertexResult
    from projects.runs.live import LiveRun
    from projects.runs.observers import ModelCall

MAX_SPANS = 10_000  # of runs that are going on
_ERROR_LIMIT = 500
_BAD_STATES = frozenset((RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED))


class RunTraces:
    """A `RunObserver`: a span for each run, under its caller's or the run that runs it; spans for what happened in it under that."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[str, Span] = {}

    def run_began(self, run: LiveRun) -> None:
        if len(self._spans) >= MAX_SPANS:
            return
        if (outer := self._spans.get(current_run.get())) is not None:
            context = self._trace.set_span_in_context(outer)
        else:
            context = self._propagator.extract({"traceparent": trace_parent.get()})
        identity = run.identity
        kind = self._trace.SpanKind.INTERNAL if outer is not None else self._trace.SpanKind.SERVER
        span = self._tracer.start_span(f"run {run.flow_name[:200]}", context=context, kind=kind)
        span.set_attributes(
            {
                "headwater.run.id": identity.run_id,
                "headwater.run.kind": identity.kind,
                "headwater.run.attempt": run.attempt,
                "headwater.flow.id": identity.flow_id,
                "headwater.project.id": identity.project_id or "",
            }
        )
        self._spans[identity.run_id] = span

    def vertex_ended(self, run: LiveRun, result: VertexResult) -> None:
        if (outer := self._spans.get(run.identity.run_id)) is None:
            return
        span = self._inside(outer, f"component {result.display_name[:200]}", result.started_at)
        span.set_attributes({"headwater.component.id": result.vertex_id, "headwater.component.type": result.component_type})
        self._end(span, result.started_at, result.duration_seconds, result.error)

    def model_called(self, call: ModelCall) -> None:
        if (outer := self._spans.get(call.run_id)) is None:
            return
        span = self._inside(outer, f"chat {call.model[:200]}", call.started_at, is_call=True)
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.provider.name": call.provider, "gen_ai.request.model": call.model})
        if call.usage is not None:
            span.set_attribute("gen_ai.usage.input_tokens", call.usage.input_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", call.usage.output_tokens)
        self._end(span, call.started_at, call.duration_seconds, call.error)

    def run_ended(self, run: LiveRun, state: RunState, seconds: float) -> None:
        span = self._spans.pop(run.identity.run_id, None)
        if span is None:
            return
        span.set_attribute("headwater.run.state", state.value)
        if state in _BAD_STATES:
            span.set_status(self._trace.StatusCode.ERROR, state.value)
        span.end()

    def _inside(self, outer: Span, name: str, began: datetime, *, is_call: bool = False) -> Span:
        kind = self._trace.SpanKind.CLIENT if is_call else self._trace.SpanKind.INTERNAL
        return self._tracer.start_span(name, context=self._trace.set_span_in_context(outer), kind=kind, start_time=_nanoseconds(began))

    def _end(self, span: Span, began: datetime, seconds: float, error: str | None) -> None:
        if error is not None:
            span.set_status(self._trace.StatusCode.ERROR, redact(error)[:_ERROR_LIMIT])
        span.end(end_time=_nanoseconds(began) + int(seconds * 1e9))


@dataclass(frozen=True, slots=True)
class Tracing:
    """`close` sends what is left; it takes a moment and blocks."""

    traces: RunTraces
    close: Callable[[], None]


def load_tracing(endpoint: str | None, *, version: str) -> Tracing | None:
    """None without an address. Raises PackageMissing when the extra is not installed."""
    if endpoint is None:
        return None
    try:
        # Heavy, and few operators have a collector.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise PackageMissing("Traces need another package: install headwater[otel], or unset HEADWATER_OTLP_ENDPOINT.") from None
    provider = TracerProvider(resource=Resource.create({"service.name": "headwater", "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return Tracing(RunTraces(provider.get_tracer("headwater", version)), provider.shutdown)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
