"""The newest log lines, kept in memory for superusers to read over REST. Only there when the operator asks for it."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mcp_server.telemetry import plain_line


class LogBuffer(logging.Handler):
    """A `LogSource` (`rest_adapter/information.py`). Each line's time in milliseconds is its name, so no two have the same."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines: deque[tuple[int, str]] = deque(maxlen=lines)
        self._newest = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what is logged during a `with` block, which is the time of the event loop that asks."""
        self._loop = asyncio.get_running_loop()
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)
            self._loop = None

    def emit(self, record: logging.LogRecord) -> None:
        # `handle` holds the handler's lock around this, so that lines of several threads come one after the other.
        self._newest = max(self._newest + 1, int(record.created * 1_000))
        self._lines.append((self._newest, plain_line(record)))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def lines(self) -> Sequence[tuple[int, str]]:
        self.acquire()
        try:
            return tuple(self._lines)
        finally:
            self.release()

    async def next_after(self, moment: int, seconds: float) -> Sequence[tuple[int, str]]:
        """What was logged after that moment; waits at most so long for a first line."""
        found: list[tuple[int, str]] = []
        try:
            async with asyncio.timeout(seconds):
                while not (found := [line for line in self.lines() if line[0] > moment]):
                    await self._news.wait()
        except TimeoutError:
            return ()
        return found
