"""Copies SQLite's write-ahead log into the database beside the commits, so that no run waits for it.

SQLite itself does it within the commit that makes the log long enough: one run in thirty would wait for two flushes of the disk.
Above: the run writer says how much it has committed. A commit does it all the same when the log grows past `AUTOMATIC_PAGES`.
"""

import logging
import sqlite3
import threading

from storage.database import DatabaseSettings, connect_sqlite

logger = logging.getLogger(__name__)

BATCHES_BETWEEN = 32  # a run's batch is about thirty pages of the log
LONG_PAGES = 8_192  # 32 MB: under steady load the log never ends by itself, since commits go on while it is copied
_PATIENCE_MILLISECONDS = 50


class LogCopier:
    """One a process. A thread of its own, which begins with the first long log."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._batches = 0
        self._wanted = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def committed(self, batches: int) -> None:
        """So many batches more are in the log. Returns at once."""
        self._batches += batches
        if self._batches >= BATCHES_BETWEEN:
            self._batches = 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="log-copier", daemon=True)
                self._thread.start()
            self._wanted.set()

    def close(self) -> None:
        if self._thread is not None:
            self._is_closing = True
            self._wanted.set()
            self._thread.join()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._is_closing:
                    return
                try:
                    if connection is None:
                        connection = connect_sqlite(self._settings)
                        # Whoever it waits for keeps writers waiting meanwhile, so it rather tries again next time.
                        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MILLISECONDS}")
                    _copy(connection)
                except sqlite3.Error as error:
                    logger.warning("The write-ahead log was not copied into the database now: %s", error)
        finally:
            if connection is not None:
                connection.close()


def _copy(connection: sqlite3.Connection) -> None:
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages > LONG_PAGES:
        # Writers wait for this one, and what came meanwhile is all that is left. The next commit begins at the log's start again.
        connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
