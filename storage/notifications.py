"""PostgreSQL's LISTEN and NOTIFY between the processes on one database, and who of them is connected.

Above: `projects/runs/other_processes.py`. Each process holds an advisory lock made from its id for as long as it is connected, so that
the others see at once when it has died. Texts of any length travel in pieces: PostgreSQL takes at most 8,000 bytes at a time.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from storage.database import DatabaseSettings, explain
from storage.ids import new_id

logger = logging.getLogger(__name__)

CHANNEL = "headwater"
PIECE_CHARACTERS = 7_000  # of ASCII
MAX_CHARACTERS = 1_000_000  # a longer text is not sent
QUEUE_LIMIT = 10_000  # texts that wait to be sent; further ones are dropped
RECONNECT_SECONDS = 0.5
FAREWELL_SECONDS = 1.0  # for what is still to be sent at the end

_CONNECTED = "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"


class Notifications:
    """Enter it once: it listens, and connects again when the connection is lost."""

    def __init__(
        self, settings: DatabaseSettings, process_id: str, on_text: Callable[[str], None], on_connected: Callable[[], None]
    ) -> None:
        """`on_text` gets what other processes send; `on_connected` is called after each time that something may have been missed."""
        self._settings = settings
        self._process_id = process_id
        self._on_text = on_text
        self._on_connected = on_connected
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(QUEUE_LIMIT)
        self._parts: dict[str, dict[int, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: Any = None  # the one that listens and holds the lock

    async def __aenter__(self) -> Self:
        import psycopg

        try:
            self._connection = await self._listening()
        except psycopg.Error as error:
            raise explain(error) or error from error
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._listen(), name="notifications"), loop.create_task(self._send(), name="notify")]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._outgoing.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def send(self, text: str) -> None:
        """To every other process on the database, in order, as soon as possible; not certain to arrive."""
        if len(text) > MAX_CHARACTERS:
            return
        with suppress(asyncio.QueueFull):
            self._outgoing.put_nowait(text)

    async def dead_among(self, process_ids: Collection[str]) -> list[str]:
        """Those that are not connected, and are not either a moment later: a living one connects again when it has lost its connection."""
        missing = await self._missing_among(process_ids)
        if missing:
            await asyncio.sleep(3 * RECONNECT_SECONDS)
            missing = await self._missing_among(missing)
        return missing

    async def _missing_among(self, process_ids: Collection[str]) -> list[str]:
        import psycopg

        try:
            async with await self._connect() as connection:
                cursor = await connection.execute(_CONNECTED)
                held = {_signed(int(key)) for (key,) in await cursor.fetchall()}
        except psycopg.Error as error:
            logger.info("Which processes are connected cannot be told now: %s", error)
            return []
        return [process_id for process_id in process_ids if _lock_key(process_id) not in held]

    async def _connect(self) -> Any:
        from storage import postgresql  # brings psycopg, which only PostgreSQL installations need

        return await postgresql.connect(self._settings)

    async def _listening(self) -> Any:
        connection = await self._connect()
        await connection.execute("SELECT pg_advisory_lock_shared(%s)", (_lock_key(self._process_id),))
        await connection.execute(f"LISTEN {CHANNEL}")
        return connection

    async def _listen(self) -> None:
        import psycopg

        while True:
            try:
                if self._connection is None:
                    self._connection = await self._listening()
                self._on_connected()
                while True:
                    async for notification in self._connection.notifies(timeout=self._settings.answer_seconds):
                        self._take(notification.payload)
                    await self._connection.execute("SELECT 1")  # silence may also be a server that is gone
            except psycopg.Error as error:
                logger.warning("The connection for notifications was lost: %s", error)
                self._connection, lost = None, self._connection
                self._parts.clear()
                if lost is not None:
                    await lost.close()
                await asyncio.sleep(RECONNECT_SECONDS)

    def _take(self, payload: str) -> None:
        try:
            sender, id, number, count, piece = json.loads(payload)
        except ValueError:
            return  # not from us
        if sender == self._process_id:
            return
        if count > 1:
            parts = self._parts.setdefault(id, {})
            parts[number] = piece
            if len(parts) < count:
                return
            del self._parts[id]
            piece = "".join(parts[index] for index in range(count))
        try:
            self._on_text(piece)
        except Exception:  # A boundary: what one process sends must not end the listening of another.
            logger.exception("A notification could not be understood")

    async def _send(self) -> None:
        import psycopg

        connection: Any = None
        while True:
            try:
                text = await self._outgoing.get()
            except asyncio.CancelledError:
                if connection is not None:
                    await connection.close()
                raise
            pieces = [text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS)]
            id = new_id()
            try:
                if connection is None:
                    connection = await self._connect()
                for number, piece in enumerate(pieces):
                    payload = json.dumps([self._process_id, id, number, len(pieces), piece])
                    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
            except psycopg.Error as error:
                logger.warning("A notification was not sent: %s", error)
                if connection is not None:
                    await connection.close()
                connection = None
            except asyncio.CancelledError:
                if connection is not None:
                    await connection.close()
                raise
            finally:
                self._outgoing.task_done()


def _lock_key(process_id: str) -> int:
    return int.from_bytes(hashlib.sha256(process_id.encode()).digest()[:8], "big", signed=True)


def _signed(key: int) -> int:
    return key - (1 << 64) if key >= 1 << 63 else key
