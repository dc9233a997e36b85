"""A load client that costs little: HTTP/1.1 over kept connections, one request at a time each, on raw protocols."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import from_json, to_json


@dataclass(frozen=True, slots=True)
class Target:
    """One request to send over and over, and what each good answer must contain."""

    name: str
    port: int
    path: str
    body: Any
    headers: Mapping[str, str]
    expected: bytes

    @property
    def wire(self) -> bytes:
        body = to_json(self.body)
        lines = [f"POST {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "content-type: application/json"]
        lines += [f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Latency:
    p50_milliseconds: float
    p99_milliseconds: float


class BadAnswer(Exception):
    """An answer that is not the expected one: figures of failing calls are worth nothing."""


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Connection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not a subclass of it

    async def ask(self, request: bytes) -> bytes:
        """The whole answer, head and body as they came."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._received = b""
        self._transport.write(request)
        return await self._answer

    async def until(self, part: bytes) -> None:
        """Until this came, while an answer is asked for in another task."""
        while part not in self._received:
            if self._answer is not None and self._answer.done():
                raise BadAnswer(f"nothing like {part!r} in {self._received[:300]!r}")
            self._news.clear()
            await self._news.wait()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._news.set()
        if self._answer is not None and not self._answer.done() and _is_whole(self._received):
            self._answer.set_result(self._received)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BadAnswer(f"the connection was closed after {self._received[:300]!r}"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return body.endswith(b"0\r\n\r\n")


def _check(answer: bytes, target: Target) -> None:
    if not answer.startswith(b"HTTP/1.1 200") or target.expected not in answer:
        raise BadAnswer(f"{target.name} answered {answer[:600]!r}")


async def measure_latency(target: Target, *, calls: int) -> Latency:
    """One caller, one call after the other."""
    connection = await Connection.open(target.port)
    request = target.wire
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        answer = await connection.ask(request)
        taken.append((time.perf_counter() - started) * 1000)
        _check(answer, target)
    connection.close()
    cuts = statistics.quantiles(taken, n=100)
    return Latency(cuts[49], cuts[98])


async def measure_rate(target: Target, *, callers: int, seconds: float) -> float:
    """Calls a second with `callers` at once."""
    request = target.wire
    end = time.perf_counter() + seconds

    async def call_until_the_end() -> int:
        connection = await Connection.open(target.port)
        count = 0
        while time.perf_counter() < end:
            _check(await connection.ask(request), target)
            count += 1
        connection.close()
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(call_until_the_end() for _ in range(callers)))
    return sum(counts) / (time.perf_counter() - started)


async def send(target: Target, *, calls: int, callers: int) -> None:
    """Just that many calls, to see what they leave behind."""
    request = target.wire

    async def call() -> None:
        connection = await Connection.open(target.port)
        for _ in range(calls // callers):
            _check(await connection.ask(request), target)
        connection.close()

    await asyncio.gather(*(call() for _ in range(callers)))


async def post_json(port: int, path: str, body: Any, headers: Mapping[str, str]) -> Any:
    """One request outside the measurements."""
    connection = await Connection.open(port)
    answer = await connection.ask(Target("", port, path, body, headers, b"").wire)
    connection.close()
    if not answer.startswith(b"HTTP/1.1 2"):
        raise BadAnswer(f"{path} answered {answer[:600]!r}")
    return from_json(answer.partition(b"\r\n\r\n")[2])


async def get_json(port: int, path: str, headers: Mapping[str, str]) -> Any:
    """The same, only read."""
    lines = [f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{port}", *(f"{name}: {value}" for name, value in headers.items())]
    connection = await Connection.open(port)
    answer = await connection.ask("\r\n".join([*lines, "", ""]).encode())
    connection.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BadAnswer(f"{path} answered {answer[:600]!r}")
    return from_json(answer.partition(b"\r\n\r\n")[2])


async def is_healthy(port: int) -> bool:
    try:
        connection = await Connection.open(port)
    except OSError:
        return False
    answer = await connection.ask(f"GET /health_check HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
    connection.close()
    return answer.startswith(b"HTTP/1.1 200")
