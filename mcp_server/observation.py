"""What can be seen of this process from outside, as the operator set it: metrics, the newest log lines, traces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from mcp_server.log_buffer import LogBuffer
from mcp_server.metrics import Metrics
from mcp_server.settings import Settings
from mcp_server.tracing import load_tracing
from projects.services import ProjectServices


class Observation:
    """One for the application. Raises PackageMissing when traces are wanted and their package is not there."""

    def __init__(self, services: ProjectServices, settings: Settings, *, version: str, count_streams: Callable[[], float]) -> None:
        self._services = services
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "headwater_runs_running": ("Runs that are going on.", lambda: services.invocations.running_count),
            "headwater_builds_running": ("Builds that are going on.", lambda: services.builds.active_count),
            "headwater_voice_conversations_open": ("Voice conversations that are open.", lambda: services.voice.open_count),
            "headwater_mcp_streams_open": ("MCP streams that are open.", count_streams),
        }
        self.metrics = None if settings.metrics == "off" else Metrics(gauges)
        self._logs = LogBuffer(settings.log_buffer_lines) if settings.log_buffer_lines else None
        self._tracing = load_tracing(settings.otlp_endpoint, version=version)
        is_this_machines = settings.is_local and settings.public_url is None
        self.information: dict[str, Any] = {
            "logs": self._logs,
            "metrics": None if self.metrics is None else self.metrics.text,
            "metrics_readers": "everybody" if settings.metrics == "public" else "this machine" if is_this_machines else "superusers",
        }

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """For the length of the application's life."""
        async with AsyncExitStack() as stack:
            if self._logs is not None:
                stack.enter_context(self._logs.listening())
            if self.metrics is not None:
                stack.enter_context(self._services.observers.watching(self.metrics))
            if self._tracing is not None:
                stack.push_async_callback(asyncio.to_thread, self._tracing.close)
                stack.enter_context(self._services.observers.watching(self._tracing.traces))
            yield
