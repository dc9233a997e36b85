"""What a client that gave a progress token is told while its call goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from projects.engine.events import (
    InnerEvent,
    MessageAdded,
    RunEvent,
    RunStarted,
    TokenAdded,
    VertexFailed,
    VertexFinished,
    VertexStarted,
)

_SECONDS_BETWEEN_TEXTS = 0.25
_TEXT_SHOWN = 500

Context = ServerRequestContext[Any, Request]


def progress_of(ctx: Context) -> "Progress | None":
    """None for a client that gave no token: nothing is to be told then."""
    match ctx.params:
        case {"_meta": {"progressToken": str() | int() as token}} if not isinstance(token, bool):
            return Progress(ctx)
        case _:
            return None


class Progress:
    """Vertices finished of vertices to run with the name of each, and between them an agent's tools, its text, the vertices of flows
    that this one runs, and signs of life.

    The number always grows, as the protocol asks: whatever happens inside a vertex is a smaller and smaller part of the way to the
    next whole number.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._told = self._total = self._between = 0
        self._text = ""
        self._text_said_at = 0.0
        self._said_at = monotonic()
        self._running: dict[str, tuple[str, float]] = {}  # vertex id → its name and since when
        self._is_over = False

    def stop(self) -> None:
        """Nothing may be told from now on: the call is answered, or its client has left. The run may go on."""
        self._is_over = True

    async def tell(self, event: RunEvent) -> None:
        match event:
            case RunStarted(to_run=to_run):
                self._total = len(to_run)
                await self._say(0)
            case VertexStarted(vertex_id=vertex_id, display_name=name):
                self._running[vertex_id] = (name, monotonic())
            case VertexFailed(result=result):
                self._running.pop(result.vertex_id, None)
            case VertexFinished(result=result, finished=finished, total=total):
                self._running.pop(result.vertex_id, None)
                if finished > self._told:
                    # Vertices run side by side: a late one must not make the count fall.
                    self._told, self._total, self._between = finished, total, 0
                    await self._say(finished, result.display_name)
                else:
                    await self._say_between(result.display_name)  # an agent's tool, or a step of a loop
            case InnerEvent(flow_name=flow_name, event=VertexFinished(result=result)):
                await self._say_between(f"{flow_name}: {result.display_name}")
            case InnerEvent(event=MessageAdded() | TokenAdded() as inner) | (MessageAdded() | TokenAdded() as inner):
                await self._hear(inner)
            case _:
                pass

    async def _hear(self, event: MessageAdded | TokenAdded) -> None:
        """Words as they come, a part of a message or of the messages of flows that this one runs."""
        if isinstance(event, MessageAdded):
            if event.message.state == "partial":
                self._text = event.message.text
            return
        self._text = (self._text + event.chunk)[-_TEXT_SHOWN:]
        if monotonic() - self._text_said_at >= _SECONDS_BETWEEN_TEXTS:
            self._text_said_at = monotonic()
            await self._say_between(self._text)

    @asynccontextmanager
    async def beating(self, seconds: float) -> AsyncIterator[None]:
        """For the length of the block, a sign of life whenever nothing was told for so many seconds; 0: none."""
        if not seconds:
            yield
            return
        beating = asyncio.create_task(self._beat(seconds))
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self, seconds: float) -> None:
        while not self._is_over:
            await asyncio.sleep(max(self._said_at + seconds - monotonic(), 0.001))
            if monotonic() - self._said_at >= seconds:
                await self._say_between(self._where())

    def _where(self) -> str:
        now = monotonic()
        return "; ".join(f"{name} has been running for {now - since:.0f} s" for name, since in self._running.values()) or "Still waiting"

    async def _say_between(self, message: str) -> None:
        self._between += 1
        await self._say(self._told + self._between / (self._between + 1), message)

    async def _say(self, progress: float, message: str | None = None) -> None:
        if self._is_over:
            return
        self._said_at = monotonic()
        await self._ctx.session.report_progress(progress, self._total or None, message)
