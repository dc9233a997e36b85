"""Which HTTP request is being served, and which trace it belongs to; for log lines, spans, and answers that hide what went wrong."""

from contextvars import ContextVar

REQUEST_ID_KEY = "headwater.request_id"
TRACE_PARENT_KEY = "headwater.traceparent"
"""Where a request's scope tells both, for what is served by another task than the request's own."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")
"""The caller's `traceparent` header (W3C Trace Context), which a run's span continues."""
