"""A connection to SQLite in a thread of its own, as aiosqlite makes it, that can be closed at any moment and more than once.

Above: `database.py` gives it to SQLAlchemy's pool. Below: aiosqlite 0.22, whose `close` waits for a thread that may have ended before:
SQLAlchemy begins to close the connection of a cancelled query, and where that is cancelled as well it stops the thread; whoever ends the
loop afterwards cancels the closing, which asks the ended thread once more and then keeps the process from ever ending.
"""

import asyncio
import sqlite3
from typing import Any

from aiosqlite import Connection

_ROWS_AT_ONCE = 64


class SqliteThread(Connection):
    """Stopped once, however many ask for it; each of them waits for the same end."""

    def __init__(self, path: str, **options: Any) -> None:
        """`options` are those of `sqlite3.connect`. Await it to open it."""
        super().__init__(lambda: sqlite3.connect(path, **options), _ROWS_AT_ONCE)
        self._thread.daemon = True
        self._is_stopped = False
        self._ended: asyncio.Future[Any] | None = None

    def stop(self) -> asyncio.Future[Any] | None:
        """What was asked for before is still answered; None without a loop."""
        if not self._is_stopped:
            self._is_stopped = True
            self._ended = super().stop()
        return self._ended

    async def close(self) -> None:
        ended = self.stop()
        if ended is None:
            return
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            # The thread answers soon, and with the loop gone it could not.
            await asyncio.wait({ended})
            raise
