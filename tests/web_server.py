"""A web server on loopback whose pages a test writes. What was asked of it is in `hits`, so it also serves as a canary."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Hit:
    """One request as it came. Header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that comes in pieces ends with the connection. `pieces` may go on for ever."""

    body: bytes | str = b""
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Callable[[], AsyncIterator[bytes]] | None = None


Page: TypeAlias = "Answer | str | Callable[[Hit], Answer | str]"


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"location": location})


@dataclass
class WebServer:
    """`pages` maps a path to its page, "*" to that of every other path; without one it is 404."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                hit = await _read(reader)
                self.hits.append(hit)
                await self._answer(hit, writer)
        finally:
            writer.close()

    async def _answer(self, hit: Hit, writer: asyncio.StreamWriter) -> None:
        page = self.pages.get(hit.path, self.pages.get("*", Answer("no such page", status=404)))
        answer = page(hit) if callable(page) else page
        if isinstance(answer, str):
            answer = Answer(answer)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        headers = {"content-type": answer.content_type, "connection": "close", **answer.headers}
        if answer.pieces is None:
            headers["content-length"] = str(len(body))
        head = f"HTTP/1.1 {answer.status} Whatever\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(head.encode() + b"\r\n" + (b"" if hit.method == "HEAD" else body))
        await writer.drain()
        if answer.pieces is not None:
            async for piece in answer.pieces():
                writer.write(piece)
                await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Hit:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Hit(method, target, headers, body)


@asynccontextmanager
async def web_server() -> AsyncIterator[WebServer]:
    """On 127.0.0.1, and on ::1 where the machine has it, on one port."""
    served = WebServer()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(served.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    first = await asyncio.start_server(accept, "127.0.0.1", 0)
    served.port = first.sockets[0].getsockname()[1]
    servers = [first]
    if socket.has_ipv6:
        with suppress(OSError):
            servers.append(await asyncio.start_server(accept, "::1", served.port))
    try:
        yield served
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
