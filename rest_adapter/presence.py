"""Stops what is done for a client once the client has gone."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")

# Most runs are over by then, and need no task that watches the connection.
LOOK_AFTER_SECONDS = 0.1


async def while_present(request: Request, work: Awaitable[T]) -> T:
    """The outcome of `work`, which is cancelled when the client goes away; then ClientDisconnect. The body must have been read."""
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout(None)
    watching: asyncio.Task[None] | None = None

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.reschedule(loop.time())

    def begin_to_watch() -> None:
        nonlocal watching
        watching = loop.create_task(watch(), name="watching a client")

    timer = loop.call_later(LOOK_AFTER_SECONDS, begin_to_watch)
    try:
        async with scope:
            return await work
    except TimeoutError:
        if scope.expired():
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
