"""Every MCP address of the process, from its first moment: the protocol is loaded while the other addresses answer already.

Above: `app.py`. Below: `transports.py`, imported in a thread as soon as the application has started. The SDK makes pydantic models of each
revision of the protocol, three tenths of the time of all imports, and nobody who asks for anything but MCP has to wait for that. A message
that comes earlier passes its door, is refused there if it must be, and else waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server import doors
from mcp_server.admission import Admission
from mcp_server.authentication import AccessPolicy
from mcp_server.call_limits import CallLimits
from mcp_server.doors import Door, McpLimits
from mcp_server.places import Places

if TYPE_CHECKING:
    from mcp_server.transports import McpTransports


def load_protocol() -> type[McpTransports]:
    """Also for a process that forks: what it loads before, its children share."""
    from mcp_server.transports import McpTransports  # brings the MCP SDK

    return McpTransports


class McpFace:
    """`run()` must be entered in the top application's lifespan, once."""

    def __init__(
        self,
        policy: AccessPolicy,
        admission: Admission,
        limits: McpLimits | None = None,
        *,
        version: str = "0",
        prefix: str = "",
        calls: CallLimits | None = None,
    ) -> None:
        """`prefix` is the path, "/tools" for example, under which clients know this server behind their proxy."""
        self._policy = policy
        self._admission = admission
        self._limits = limits or McpLimits()
        self._version, self._prefix, self._calls = version, prefix, calls
        self._transports: McpTransports | None = None
        self._opened: asyncio.Future[McpTransports] | None = None
        self.open_streams = Places(self._limits.max_streams, self._limits.max_streams_per_caller)
        """Legacy SSE connections and listening streams."""

    def routes(self) -> list[BaseRoute]:
        return doors.routes(
            self._door(self._serve_streamable, "GET", "POST", "DELETE", "HEAD"),
            self._door(self._serve_stream, "GET", "HEAD"),
            self._door(self._serve_message, "POST"),
        )

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Sessions live as long as this block. It may be left in another task than it was entered in, which the SDK's own may not."""
        self._opened = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()
        holding = asyncio.create_task(self._hold(self._opened, closing), name="the MCP face")
        try:
            yield
        finally:
            self.close_streams()
            closing.set()
            await holding

    async def _hold(self, opened: asyncio.Future[McpTransports], closing: asyncio.Event) -> None:
        try:
            kind = await asyncio.to_thread(load_protocol)
            transports = kind(self._limits, self.open_streams, version=self._version, prefix=self._prefix, calls=self._calls)
            async with transports.run():
                self._transports = transports
                opened.set_result(transports)
                await closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def opened(self) -> McpTransports:
        """Waits until messages are read. Raises what loading the protocol raised."""
        if self._opened is None:
            raise RuntimeError("The MCP face is not running: the application's lifespan was not entered.")
        return await asyncio.shield(self._opened)  # whoever waits may leave, the others go on

    def has_session(self, id: str) -> bool:
        """Whether a session of an older revision lives in this process."""
        return self._transports is not None and self._transports.has_session(id)

    def has_stream(self, id: str) -> bool:
        """The same for the session of a legacy SSE connection."""
        return self._transports is not None and self._transports.has_stream(id)

    def close_streams(self) -> None:
        """End the listening streams in order; a server that stops calls this first, or it would wait for them."""
        if self._transports is not None:
            self._transports.close_streams()

    def _door(self, app: ASGIApp, *methods: str) -> Door:
        return Door(app, frozenset(methods), self._policy, self._admission, self._limits.write_timeout_seconds)

    async def _serve_streamable(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._transports or await self.opened()).serve_streamable(scope, receive, send)

    async def _serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._transports or await self.opened()).serve_stream(scope, receive, send)

    async def _serve_message(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._transports or await self.opened()).serve_message(scope, receive, send)
