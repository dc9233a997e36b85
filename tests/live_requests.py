"""A request to the application in this process whose answer is read piece by piece, and whose client can go away in the middle.

async with live_request(application, "POST", "/api/v1/run/x?stream=true", json={"input_value": "hi"}) as live:
    assert live.status == 200
    piece = await live.piece()
    ...                                    # leaving the block is the client going away
"""

import asyncio
import json as json_module
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Message

from tests.application import ADDRESS, Application

BOUND_SECONDS = 20


class LiveRequest:
    def __init__(self, application: Application, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> None:
        path, _, query = target.partition("?")
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 7860),
            "client": ("127.0.0.1", 50_000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        self._app = application.app
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self.room = asyncio.Event()  # cleared: nothing more is read, as by a client that is slow
        self.room.set()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self.task = asyncio.ensure_future(self._app(self._scope, self._incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        await self.room.wait()
        await self._outgoing.put(message)

    async def start(self) -> None:
        """Until status and headers are there."""
        message = await self._next()
        self.status = message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""
        while True:
            message = await self._next()
            if not message.get("more_body"):
                self.is_complete = True
                return bytes(message.get("body", b""))
            if message["body"]:
                return bytes(message["body"])

    async def until(self, mark: bytes) -> bytes:
        """What comes until it holds `mark`."""
        read = b""
        while mark not in read:
            piece = await self.piece()
            read += piece
            assert not self.is_complete or mark in read, read
        return read

    async def rest(self) -> bytes:
        read = b""
        while not self.is_complete:
            read += await self.piece()
        return read

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def over(self) -> None:
        """Until the application has nothing more to do for this request."""
        assert self.task is not None
        async with asyncio.timeout(BOUND_SECONDS):
            await asyncio.wait({self.task})

    async def _next(self) -> Message:
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._outgoing.get()


@asynccontextmanager
async def live_request(
    application: Application,
    method: str,
    target: str,
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    wait_for_start: bool = True,
) -> AsyncIterator[LiveRequest]:
    """`wait_for_start`: until status and headers are there; without it for requests that are not answered soon."""
    own = {"host": ADDRESS.removeprefix("http://"), "x-api-key": application.key, "content-type": "application/json", **(headers or {})}
    live = LiveRequest(application, method, target, b"" if json is None else json_module.dumps(json).encode(), own)
    live.begin()
    try:
        if wait_for_start:
            await live.start()
        yield live
    finally:
        live.leave()
        await live.over()
