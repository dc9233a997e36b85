"""One worker seen from the server: started, asked, answered when it asks, and killed. Serves one run and no other."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from projects.custom_code.host import CodeFailed, Handle, Host, VertexDescription, VertexOutcome
from projects.custom_code.sandbox import protocol
from projects.custom_code.sandbox.command import FOLDER, Bounds, SandboxUnavailable, command_line
from projects.errors import HeadwaterError

logger = logging.getLogger(__name__)

T = TypeVar("T")

START_SECONDS = 30
MAX_CALLS = 10_000  # of one component to its host
MAX_CALLS_AT_ONCE = 32
MAX_CALL_BYTES = 256 * 1024 * 1024  # that one component's calls may bring: messages stay in memory until their run is committed
MAX_IDLE_FRAMES = 10_000  # of one worker: calls that are refused, and answers that nobody waits for
MAX_FILES = 10_000  # of a run's folder: each takes a kilobyte of the kernel's memory, which no other limit counts
LOOK_SECONDS = 0.25
MAX_BULKY_CALLS = 2  # whose answers may be as large as a frame
_BULKY = frozenset(("read_file", "read_messages"))
_LARGE = 256 * 1024  # a frame that is read in a thread, because its reader would stop everything else
_BY_SIGNAL = 128  # what bubblewrap adds to the signal that ended its program


class _Killer:
    """Kills one process and never another that was given its number later: `Process.kill` may reap it under its watcher's hands."""

    def __init__(self, pid: int) -> None:
        self._process: int | None = None
        with suppress(ProcessLookupError):
            self._process = os.pidfd_open(pid)

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def close(self) -> None:
        if self._process is not None:
            os.close(self._process)
            self._process = None


@dataclass(slots=True)
class _Request:
    """Something that the worker was asked for. The clock stands while the server works for it."""

    answer: asyncio.Future[tuple[Any, int]]  # and the size of its frame
    host: Host
    clock: asyncio.Timeout
    calls: int = 0
    call_bytes: int = 0
    open_calls: int = 0
    seconds_left: float = 0

    def begin_call(self) -> None:
        self.open_calls += 1
        if self.open_calls == 1 and not self.clock.expired() and (end := self.clock.when()) is not None:
            self.seconds_left = end - asyncio.get_running_loop().time()
            self.clock.reschedule(None)

    def end_call(self) -> None:
        self.open_calls -= 1
        if self.open_calls == 0 and not self.clock.expired() and not self.answer.done():
            self.clock.reschedule(asyncio.get_running_loop().time() + self.seconds_left)


class SandboxProcess:
    """Made by `start`. Whatever it says is taken as said by the component's text."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        killer: _Killer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        bounds: Bounds,
        folder: str,
    ) -> None:
        self._process = process
        self._folder = folder
        self._looking: asyncio.Task[None] | None = None
        self._killer = killer
        self._reader = reader
        self._writer = writer
        self._bounds = bounds
        self._requests: dict[int, _Request] = {}
        self._ids = itertools.count(1)
        self._calls: set[asyncio.Task[None]] = set()
        self._bulky = asyncio.Semaphore(MAX_BULKY_CALLS)
        self._idle_frames = 0
        self._has_failed = False  # a call of the host, otherwise than by a refusal
        self._why_killed: CodeFailed | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="sandbox")

    @classmethod
    async def start(cls, bounds: Bounds) -> Self:
        """Returns when the worker is ready. Raises SandboxUnavailable."""
        line = command_line(bounds)
        ours, theirs = socket.socketpair()
        told, tells = os.pipe()  # bubblewrap says here which process is in the sandbox
        line[1:1] = ["--info-fd", str(tells)]
        with tempfile.TemporaryFile() as errors, ExitStack() as at_end:
            at_end.callback(os.close, told)
            try:
                with theirs:
                    process = await asyncio.create_subprocess_exec(
                        *line,
                        stdin=theirs.fileno(),
                        stdout=theirs.fileno(),
                        stderr=errors,
                        env={},
                        start_new_session=True,
                        pass_fds=(tells,),
                    )
            except OSError as error:
                ours.close()
                raise SandboxUnavailable(f"The program {line[0]} cannot be started: {error.strerror}.") from None
            finally:
                os.close(tells)
            killer = _Killer(process.pid)
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            try:
                async with asyncio.timeout(START_SECONDS):
                    head = await reader.readexactly(protocol.HEAD_BYTES)
                    await reader.readexactly(protocol.length_of(head))
            except BaseException as error:
                killer.kill()
                writer.close()
                await process.wait()
                killer.close()
                if not isinstance(error, asyncio.IncompleteReadError | TimeoutError | OSError | protocol.BadFrame):
                    raise
                errors.seek(0)
                said = errors.read(2_000).decode(errors="replace").strip().splitlines()
                reason = said[-1] if said else "it says nothing of the reason"
                raise SandboxUnavailable(f"bubblewrap cannot make a sandbox on this machine: {reason}") from None
            child = json.loads(os.read(told, 4_096))["child-pid"]  # all of it was written before the worker began
        return cls(process, killer, reader, writer, bounds, f"/proc/{child}/root{FOLDER}")

    @property
    def is_alive(self) -> bool:
        return not self._reading.done() and self._why_killed is None

    async def run_vertex(
        self, code: str, description: VertexDescription, inputs: Mapping[str, Any], outputs_wanted: Sequence[str], host: Host
    ) -> VertexOutcome:
        """Raises CodeFailed."""
        asked = {"do": "run_vertex", "outputs": list(outputs_wanted), **_of_vertex(code, description, inputs)}
        try:
            return await self._request(asked, host, protocol.outcome_of)
        except protocol.BadFrame as error:
            raise self._broken(error) from None

    async def use_object(
        self,
        code: str,
        description: VertexDescription,
        inputs: Mapping[str, Any],
        handle: Handle,
        operation: str,
        arguments: Mapping[str, Any],
        host: Host,
    ) -> Any:
        """Raises CodeFailed."""
        asked = {
            "do": "use_object",
            "handle": protocol.packed_handle(handle),
            "operation": operation,
            "arguments": protocol.packed(dict(arguments)),
            **_of_vertex(code, description, inputs),
        }
        try:
            return await self._request(asked, host, protocol.unpacked)
        except protocol.BadFrame as error:
            raise self._broken(error) from None

    def kill(self, why: CodeFailed | None = None) -> None:
        """At once, with everything it started; what is still asked of it fails with `why`."""
        if self._why_killed is None:
            self._why_killed = why or CodeFailed("The sandbox of the run was ended.")
        self._killer.kill()

    async def close(self) -> None:
        """Kill it and wait until nothing of it is left."""
        self.kill()
        await asyncio.wait({self._reading})
        await self._process.wait()
        self._killer.close()

    async def _request(self, message: dict[str, Any], host: Host, read: Callable[[Any], T]) -> T:
        """Raises BadFrame where the answer is not what `read` reads."""
        if not self.is_alive:
            raise self._why_killed or CodeFailed("The sandbox of the run has ended.")
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="looking at a sandbox")
        id = next(self._ids)
        asked = protocol.frame({"id": id, **message})
        answer: asyncio.Future[tuple[Any, int]] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._bounds.seconds) as clock:
                self._requests[id] = _Request(answer, host, clock)
                self._writer.write(asked)
                with suppress(ConnectionError):  # then the reader sees the end too, and says why
                    await self._writer.drain()
                value, size = await answer
            return await _read_by(read, value, size)
        except TimeoutError:
            late = CodeFailed(
                f"The component took longer than {self._bounds.seconds:g} s, which HEADWATER_CUSTOM_CODE_SECONDS allows, and was stopped."
            )
            self.kill(late)
            raise late from None
        except asyncio.CancelledError:
            if self.is_alive:
                self._writer.write(protocol.frame({"id": id, "do": "cancel"}))
            raise
        finally:
            del self._requests[id]

    async def _read(self) -> None:
        """Until the worker ends, or says what is not to be understood, which ends it."""
        ended: CodeFailed | None = None
        try:
            while True:
                head = await self._reader.readexactly(protocol.HEAD_BYTES)
                content = await self._reader.readexactly(protocol.length_of(head))
                message = await _read_by(protocol.message_of, content, len(content))
                if "answer" in message:
                    self._answered(message, len(content))
                else:
                    self._begin_call(message, len(content))
                await self._writer.drain()  # who reads no answers is not listened to, and its time goes on
        except (asyncio.IncompleteReadError, OSError):
            pass
        except protocol.BadFrame as error:
            ended = self._broken(error)
        finally:
            for call in tuple(self._calls):
                call.cancel()
            if self._looking is not None:
                self._looking.cancel()
            self._writer.close()
            why = self._why_killed or ended or _reason(await self._ended())
            self._why_killed = why
            for request in self._requests.values():
                if not request.answer.done():
                    request.answer.set_exception(why)

    async def _look(self) -> None:
        """Whether the run makes files without end."""
        while True:
            try:
                about = os.statvfs(self._folder)
            except OSError as error:
                if self.is_alive:
                    logger.warning("The number of files in a sandbox is not known: %s", error)
                return
            if about.f_files - about.f_ffree > MAX_FILES:
                self.kill(CodeFailed(f"The run's components made more than {MAX_FILES:,} files, and were stopped."))
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _ended(self) -> int:
        """How it ended. It is killed where its end of the line is closed and it goes on all the same."""
        try:
            async with asyncio.timeout(1):
                return await self._process.wait()
        except TimeoutError:
            self._killer.kill()
            return await self._process.wait()

    def _broken(self, error: protocol.BadFrame) -> CodeFailed:
        why = CodeFailed(f"The component's sandbox answered what is no answer ({error}), and was stopped.")
        self.kill(why)
        return why

    def _answered(self, message: Mapping[str, Any], size: int) -> None:
        """Raises BadFrame."""
        request = self._requests.get(_number(message["answer"]))
        if request is None or request.answer.done():
            self._count_idle()
            return
        if "failed" in message:
            request.answer.set_exception(protocol.failure_of(message["failed"]))
        else:
            request.answer.set_result((message.get("value"), size))

    def _count_idle(self) -> None:
        """Raises BadFrame."""
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise protocol.BadFrame("calls without end")

    def _begin_call(self, message: Mapping[str, Any], size: int) -> None:
        """Raises BadFrame."""
        id, request = _number(message.get("id")), self._requests.get(_number(message.get("for")))
        call, arguments, named = message.get("do"), message.get("arguments"), message.get("named")
        if call not in protocol.HOST_CALLS or not isinstance(arguments, list) or not isinstance(named, dict):
            raise protocol.BadFrame("an unknown call")
        refusal = "The component has ended and can ask for nothing any more." if request is None else self._refusal(request, size)
        if request is None or refusal:
            self._count_idle()
            self._answer(id, CodeFailed(refusal))
        else:
            request.calls += 1
            request.call_bytes += size
            task = asyncio.get_running_loop().create_task(self._call(id, request, str(call), arguments, named, size))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    def _refusal(self, request: _Request, size: int) -> str:
        """Empty when one more call of this size may begin."""
        if request.calls >= MAX_CALLS:
            return f"A component may call its server {MAX_CALLS:,} times in all."
        if len(self._calls) >= MAX_CALLS_AT_ONCE:
            return f"A component may call its server {MAX_CALLS_AT_ONCE} times at once."
        if request.call_bytes + size > MAX_CALL_BYTES:
            return f"A component may send its server {MAX_CALL_BYTES // 1024 // 1024} MB in all."
        return ""

    async def _call(self, id: int, request: _Request, call: str, arguments: list[Any], named: dict[str, Any], size: int) -> None:
        if call not in _BULKY:
            await self._do(id, request, call, arguments, named, size)
            return
        async with self._bulky:
            await self._do(id, request, call, arguments, named, size)
            with suppress(ConnectionError):
                await self._writer.drain()  # on the component's time

    async def _do(self, id: int, request: _Request, call: str, arguments: list[Any], named: dict[str, Any], size: int) -> None:
        request.begin_call()
        try:
            method = getattr(request.host, call)
            given, by_name = await _read_by(_given, (arguments, named), size)
            bound = inspect.signature(method).bind(*given, **by_name)
            self._answer(id, await method(*bound.args, **bound.kwargs))
        except CodeFailed as error:
            self._answer(id, error)
        except HeadwaterError as error:
            self._answer(id, CodeFailed(error.message))
        except Exception as error:
            # A boundary: arguments are the text's own, and of whatever types it likes.
            if not self._has_failed:  # once: a text could fill the log otherwise
                self._has_failed = True
                logger.warning("A sandboxed component's call of %s failed", call, exc_info=True)
            self._answer(id, CodeFailed(f"The server could not do this: {type(error).__name__}."))
        finally:
            request.end_call()

    def _answer(self, id: int, made: Any) -> None:
        if isinstance(made, CodeFailed):
            self._writer.write(protocol.frame({"answer": id, "failed": protocol.packed_failure(made)}))
        else:
            self._writer.write(protocol.frame({"answer": id, "value": protocol.packed(made)}))


async def _read_by(read: Callable[[Any], T], given: Any, size: int) -> T:
    return await asyncio.to_thread(read, given) if size > _LARGE else read(given)


def _given(sent: tuple[list[Any], dict[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments as values. Raises BadFrame."""
    arguments, named = sent
    return [protocol.unpacked(value) for value in arguments], {name: protocol.unpacked(value) for name, value in named.items()}


def _of_vertex(code: str, description: VertexDescription, inputs: Mapping[str, Any]) -> dict[str, Any]:
    here = replace(description, files_folder=FOLDER)
    return {"code": code, "description": protocol.described(here), "inputs": protocol.packed(dict(inputs))}


def _number(value: Any) -> int:
    if type(value) is not int:
        raise protocol.BadFrame("no number")
    return value


def _reason(code: int) -> CodeFailed:
    number = code - _BY_SIGNAL if code > _BY_SIGNAL else -code
    if number == signal.SIGXCPU:
        return CodeFailed("The run's components used more processor time than HEADWATER_CUSTOM_CODE_SECONDS allows, and were stopped.")
    try:
        how = f"by {signal.Signals(number).name}"
    except ValueError:
        how = f"with code {code}"
    return CodeFailed(f"The component ended its sandbox {how}; it may have run out of memory (HEADWATER_CUSTOM_CODE_MEGABYTES).")
