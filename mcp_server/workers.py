"""Several workers on one socket: a parent that serves nobody, starts them, replaces those that die and ends them together.

Above: `serving.py`. Below: the operating system. The parent makes everything first, so that its children share what they never change.
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from mcp_server.first_start import FirstStart, told_at_start
from mcp_server.mcp_face import load_protocol
from mcp_server.peers import SeenNonces
from mcp_server.relay import Neighbours
from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import open_services

logger = logging.getLogger(__name__)

QUICK_DEATH_SECONDS = 5.0  # a worker that dies sooner is not replaced at once
PAUSE_SECONDS = 1.0
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Member:
    """What one worker knows of the others. `own` listens on loopback for them; `parent` can be read from when the parent is gone."""

    neighbours: Neighbours
    own: socket.socket
    parent: int

    def on_parent_gone(self, stop: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.parent)
            stop()

        loop.add_reader(self.parent, gone)


def serve(settings: Settings, listener: socket.socket, run: Callable[[Member], None]) -> None:
    """Until SIGTERM or Ctrl+C; `run` serves in one worker. Raises SettingsProblem where there cannot be several."""
    if not hasattr(os, "fork"):
        raise SettingsProblem("HEADWATER_WORKERS: this system can run only 1; start several servers with ports of their own instead.")
    first: list[FirstStart] = []
    asyncio.run(_make_everything(settings, first))
    click.echo(told_at_start(settings, first[0] if first else None), nl=False)
    sys.stdout.flush()
    first.clear()
    load_protocol()
    gc.collect()
    gc.freeze()
    _Parent(settings.workers, listener, run).live()


async def _make_everything(settings: Settings, first: list[FirstStart]) -> None:
    """The newest shape of the database and the first user, once and before the workers come."""
    async with open_services(settings, on_first_start=first.append, takes_runs=False):
        pass


class _Parent:
    def __init__(self, count: int, listener: socket.socket, run: Callable[[Member], None]) -> None:
        self._run = run
        self._listener = listener
        self._own = [_listen_on_loopback() for _ in range(count)]
        self._secret = secrets.token_urlsafe(32)
        self._nonces = SeenNonces(is_shared=True)
        self._alive, self._alive_for_me = os.pipe()
        self._workers: dict[int, tuple[int, float]] = {}  # process → its number, and when it began
        self._is_stopping = False

    def live(self) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._stop)
        for number in range(len(self._own)):
            self._start(number)
        while self._workers:
            try:
                pid, status = os.wait()
            except InterruptedError:
                continue
            if (ended := self._workers.pop(pid, None)) is None or self._is_stopping:
                continue
            number, began = ended
            logger.error("Worker %d ended with status %d and is replaced", number, status)
            if time.monotonic() - began < QUICK_DEATH_SECONDS:
                time.sleep(PAUSE_SECONDS)
            if not self._is_stopping:
                self._start(number)

    def _stop(self, signal_number: int, frame: object) -> None:
        self._is_stopping = True
        for pid in self._workers:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def _start(self, number: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # No stop may come between the fork and the note of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        pid = os.fork()
        if pid:
            self._workers[pid] = (number, time.monotonic())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
            return
        code = 1
        try:
            for each in (signal.SIGTERM, signal.SIGINT):
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
            os.close(self._alive_for_me)
            self._run(self._member(number, self._own))
            code = 0
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            logger.exception("Worker %d could not go on", number)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _member(self, number: int, sockets: Sequence[socket.socket]) -> Member:
        ports = [each.getsockname()[1] for index, each in enumerate(sockets) if index != number]
        # A copy: uvicorn closes what it was given, and the parent's must stay for whoever replaces this worker.
        return Member(Neighbours(ports, self._secret, self._nonces), sockets[number].dup(), self._alive)


def _listen_on_loopback() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
