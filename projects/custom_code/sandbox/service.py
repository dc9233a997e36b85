"""What a worker does when it is confined: runs the texts it is asked to run, and asks the server for what they want of their host."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from projects.custom_code import running
from projects.custom_code.host import CodeFailed, Host
from projects.custom_code.sandbox import protocol

_CANNOT_ANSWER = 71


async def serve(line: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=line)
    await Service(reader, writer).serve()


class Service:
    """Does what the server asks, each request in a task of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)

    async def serve(self) -> None:
        self._write({"ready": os.getpid()})
        while True:
            head = await self._reader.readexactly(protocol.HEAD_BYTES)
            message = protocol.message_of(await self._reader.readexactly(protocol.length_of(head)))
            if "answer" in message:
                self._answered(message)
            elif message["do"] == "cancel":
                if (task := self._tasks.get(message["id"])) is not None:
                    task.cancel()
            else:
                task = asyncio.get_running_loop().create_task(self._work(message))
                self._tasks[message["id"]] = task
                task.add_done_callback(lambda _, id=message["id"]: self._tasks.pop(id, None))  # type: ignore[misc]

    async def ask(self, request: int, call: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Have the server do one call of the host. Raises CodeFailed."""
        id = next(self._ids)
        self._write(
            {
                "id": id,
                "do": call,
                "for": request,
                "arguments": [protocol.packed(value) for value in arguments],
                "named": {name: protocol.packed(value) for name, value in named.items()},
            }
        )
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[id] = answer
        try:
            return await answer
        finally:
            del self._asked[id]

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._asked.get(message["answer"])
        if answer is None or answer.done():
            return
        if "failed" in message:
            answer.set_exception(protocol.failure_of(message["failed"]))
        else:
            answer.set_result(protocol.unpacked(message["value"]))

    async def _work(self, message: dict[str, Any]) -> None:
        try:
            try:
                answer = {"answer": message["id"], "value": await self._done(message)}
            except CodeFailed as error:
                answer = {"answer": message["id"], "failed": protocol.packed_failure(error)}
            try:
                self._write(answer)
            except CodeFailed as error:  # too large
                self._write({"answer": message["id"], "failed": protocol.packed_failure(error)})
        except Exception:
            # A boundary: the server waits for an answer, and a process that cannot give one, for want of memory mostly, had better end.
            os._exit(_CANNOT_ANSWER)

    async def _done(self, message: dict[str, Any]) -> Any:
        code, description = message["code"], protocol.description_of(message["description"])
        inputs, host = protocol.unpacked(message["inputs"]), cast(Host, HostProxy(self, message["id"]))
        if message["do"] == "run_vertex":
            outcome = await running.run_vertex(code, description, inputs, message["outputs"], host)
            return protocol.packed_outcome(outcome)
        handle, arguments = protocol.handle_of(message["handle"]), protocol.unpacked(message["arguments"])
        return protocol.packed(await running.use_object(code, description, inputs, handle, message["operation"], arguments, host))

    def _write(self, message: dict[str, Any]) -> None:
        self._writer.write(protocol.frame(message))


class HostProxy:
    """The host of one request, at the other end of the line: every method of `host.Host`."""

    def __init__(self, service: Service, request: int) -> None:
        self._service = service
        self._request = request

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name not in protocol.HOST_CALLS:
            raise AttributeError(name)

        async def call(*arguments: Any, **named: Any) -> Any:
            return await self._service.ask(self._request, name, arguments, named)

        return call
