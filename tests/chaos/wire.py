"""The wire between servers and their PostgreSQL, which a test can cut, and mend."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import make_url

from tests.running_server import free_port

PIECE_BYTES = 65_536


class Wire:
    """Listens on a TCP port and passes everything on to the database of an address."""

    def __init__(self, address: str) -> None:
        self._target = make_url(address)
        self._port = free_port()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_listening, self._is_over = threading.Event(), asyncio.Event()
        self._passes_on = asyncio.Event()
        self._passes_on.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """The same database, by way of this wire."""
        query = {name: value for name, value in self._target.query.items() if name not in ("host", "port")}
        return self._target.set(host="127.0.0.1", port=self._port, query=query).render_as_string(hide_password=False)

    def cut(self) -> None:
        """Every connection ends at once, and no new one is taken."""
        self._do(self._cut())

    def mend(self) -> None:
        self._do(self._listen())

    def freeze(self) -> None:
        """Connections stay and are taken, and nothing is passed on any more, not even that one of the two has gone."""
        self._do(self._set_passing(False))

    def thaw(self) -> None:
        self._do(self._set_passing(True))

    def end(self) -> None:
        self.thaw()
        self.cut()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._is_over.set)

    def live(self) -> None:
        """In a thread of its own, until `end`."""
        asyncio.run(self._live())

    def wait_until_it_listens(self) -> None:
        assert self._is_listening.wait(timeout=10)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._listen()
        self._is_listening.set()
        await self._is_over.wait()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", self._port)

    async def _set_passing(self, is_passing: bool) -> None:
        if is_passing:
            self._passes_on.set()
        else:
            self._passes_on.clear()

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass_on(from_client, to_client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._open.add(to_client)
        try:
            from_database, to_database = await self._connect()
            self._open.add(to_database)
            if self._server is None:  # cut meanwhile
                to_database.transport.abort()
            try:
                await asyncio.gather(self._copy(from_client, to_database), self._copy(from_database, to_client))
            finally:
                self._open.discard(to_database)
        finally:
            to_client.transport.abort()
            self._open.discard(to_client)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder, port = self._target.query.get("host"), self._target.port or 5432
        if isinstance(folder, str) and folder.startswith("/"):
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._target.host or "127.0.0.1", port)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # cut
            while piece := await source.read(PIECE_BYTES):
                await self._passes_on.wait()
                target.write(piece)
                await target.drain()
            await self._passes_on.wait()
        target.close()


@contextmanager
def wire_to(address: str) -> Iterator[Wire]:
    wire = Wire(address)
    thread = threading.Thread(target=wire.live)
    thread.start()
    try:
        wire.wait_until_it_listens()
        yield wire
    finally:
        wire.end()
        thread.join(timeout=10)
