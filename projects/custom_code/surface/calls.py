"""The way from a component's code to the host, from whatever thread or loop the code is in.

Code runs in a thread and a loop of its own (`running.py`), so nothing it blocks on can stop the host from answering.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from projects.custom_code.host import CodeFailed, Host, VertexDescription


@dataclass(slots=True)
class Calls:
    """One build's access to its host, whose coroutines run on `loop`."""

    host: Host
    description: VertexDescription
    loop: asyncio.AbstractEventLoop
    state: dict[str, Any] = field(default_factory=dict)

    async def ask(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Await a coroutine of the host on the host's loop."""
        with _in_pythons_words():
            if asyncio.get_running_loop() is self.loop:
                return await call
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self.loop))

    def wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The same for code that cannot await."""
        with _in_pythons_words():
            return asyncio.run_coroutine_threadsafe(call, self.loop).result()


@contextmanager
def _in_pythons_words() -> Iterator[None]:
    """What the host refuses, as the exception that components' code expects to catch."""
    try:
        yield
    except CodeFailed as error:
        if (known := _EXPECTED.get(error.error)) is not None:
            raise known(error.reason) from error
        raise


_EXPECTED: dict[str, type[Exception]] = {"ValueError": ValueError, "FileNotFoundError": FileNotFoundError}

_current: contextvars.ContextVar[Calls] = contextvars.ContextVar("custom_code_calls")


def find_current() -> Calls | None:
    """The build that this code belongs to; None outside of one."""
    return _current.get(None)


def current() -> Calls:
    """The same. RuntimeError outside of one."""
    found = find_current()
    if found is None:
        raise RuntimeError("This can only be asked while a component runs.")
    return found


def use(calls: Calls) -> None:
    _current.set(calls)


def run_until_complete(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives, for code that cannot await: it runs in a thread of its own."""
    return in_thread(lambda: asyncio.run(work))


def in_thread(work: Callable[[], Any]) -> Any:
    """What the function gives in another thread, in this context."""
    given: list[Any] = []
    failed: list[BaseException] = []

    def call() -> None:
        try:
            given.append(work())
        except BaseException as error:  # handed to whoever waits
            failed.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True, name="component-code")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return given[0]
