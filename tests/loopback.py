"""uvicorn in the tests' own process: it says when it is there, and ends as soon as it is told to and its connections are closed.

uvicorn's own loop looks every tenth of a second, several times at each end. That would be a third of the time of the tests that use it.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

GRACE_SECONDS = 1
GLANCE_SECONDS = 0.002


class LoopbackServer(uvicorn.Server):
    """`is_there` is set once it listens; `stop()`, from any thread, ends it. `on_stopping` is called before anything is closed."""

    def __init__(self, config: uvicorn.Config, on_stopping: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self.is_there = asyncio.Event()
        self._is_over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_stopping = on_stopping

    def stop(self) -> None:
        # Whoever comes before the start is seen by the start.
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_over.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.is_there.set()

    async def main_loop(self) -> None:
        is_over = await self.on_tick(0)  # sets the date of the answers
        if not is_over:
            await self._is_over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_stopping is not None:
            self._on_stopping()
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        grace = self.config.timeout_graceful_shutdown
        if not await self._is_quiet(GRACE_SECONDS if grace is None else grace):
            for task in self.server_state.tasks:
                task.cancel()
            await self._is_quiet(GRACE_SECONDS)
        await self.lifespan.shutdown()

    async def _is_quiet(self, seconds: float) -> bool:
        """Whether every connection and every request ended in this time; idle connections need a turn of the loop."""
        deadline = time.monotonic() + seconds
        await asyncio.sleep(0)
        while self.server_state.connections or self.server_state.tasks:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(GLANCE_SECONDS)
        return True


@asynccontextmanager
async def serving(app: Any, *, on_stopping: Callable[[], None] | None = None, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """`app` on 127.0.0.1, on a free port unless one is named; the port. `options` are those of `uvicorn.Config`."""
    # With the protocol left out, asyncio would not switch off Nagle's delay, and each answer would take 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        server = LoopbackServer(uvicorn.Config(app, log_config=None, loop="asyncio", **options), on_stopping)
        running = asyncio.create_task(server.serve([listening]))
        await server.is_there.wait()
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.stop()
            await running
