"""Answers that are told piece by piece: framing, backpressure, keep-alives, and what happens when the client leaves.

    frames = Frames()

    async def on_event(event: RunEvent) -> None:          # waits while the client does not read: that slows the run, not the memory
        await frames.put(ndjson_frame("token", {...}))

    handle = await services.invocations.open(caller, prepared, invocation, on_event=on_event)   # its errors are still plain answers

    async def work() -> None:
        result = await handle.wait()                       # cancelled with the run when the client goes away
        await frames.put(ndjson_frame("end", {...}))

    return EventStream(frames, work, framing=Framing.NDJSON, media_type="application/x-ndjson")

Frames that were put before the answer begins are kept. The answer ends when `work` has ended and every frame is sent.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"

KEEP_ALIVE_SECONDS = 15.0  # common proxies close what is silent for 30 to 60
STALLED_SECONDS = 60.0  # a client that does not read for so long is taken for gone
QUEUED_FRAMES = 64


class Framing(StrEnum):
    """How frames are parted, which decides what may be said between them."""

    NDJSON = "ndjson"
    SSE = "sse"


# A blank before a JSON object changes nothing for those who read lines or split at empty lines; SSE has comments for this.
_KEEP_ALIVES = {Framing.NDJSON: b" ", Framing.SSE: b": keep-alive\n\n"}


def ndjson_frame(event: str, data: Any) -> bytes:
    """`{"event": …, "data": …}` and an empty line, as Langflow's run and build streams have it (seen with 1.13)."""
    return to_json({"event": event, "data": data}, inf_nan_mode="null") + b"\n\n"


def sse_frame(data: Any, event: str | None = None) -> bytes:
    """A server-sent event whose data is one line: JSON, or a `str` as it is (it must hold no line break)."""
    line = data.encode() if isinstance(data, str) else to_json(data, inf_nan_mode="null")
    return b"data: " + line + b"\n\n" if event is None else b"event: " + event.encode() + b"\ndata: " + line + b"\n\n"


class Frames:
    """What is still to be sent. Who puts waits while `limit` frames are unsent; several may put at once."""

    def __init__(self, limit: int = QUEUED_FRAMES) -> None:
        self._frames: deque[bytes] = deque()
        self._limit = limit
        self._is_closed = False
        self._something_to_take = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, frame: bytes) -> None:
        while len(self._frames) >= self._limit and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        if self._is_closed:
            return
        self._frames.append(frame)
        self._something_to_take.set()

    def close(self) -> None:
        """Nothing more comes; what is put from now on is dropped, because nobody is left to read it."""
        self._is_closed = True
        self._something_to_take.set()
        self._room.set()

    async def take(self) -> bytes | None:
        """Everything there is, as one piece; waits for a first frame. None at the end."""
        await self._something_to_take.wait()
        if not self._frames:
            return None
        taken = b"".join(self._frames)
        self._frames.clear()
        self._room.set()
        if not self._is_closed:
            self._something_to_take.clear()
        return taken


class EventStream(Response):
    """Sends frames while `work` goes on beside it.

    When the client goes away, or does not read for `STALLED_SECONDS`, `work` is cancelled and with it whatever it waits for. What `work`
    raises breaks the answer off, so errors that a client should read are frames.
    """

    def __init__(
        self,
        frames: Frames,
        work: Callable[[], Awaitable[None]],
        *,
        framing: Framing,
        media_type: str = EVENT_STREAM,
        headers: Mapping[str, str] | None = None,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = b""
        self._frames = frames
        self._work = work
        self._keep_alive = _KEEP_ALIVES[framing]
        self._keep_alive_seconds = keep_alive_seconds
        self._stalled_seconds = stalled_seconds
        # Proxies pass it on as it comes, and compression, which would hold pieces back, leaves an encoded answer alone.
        own = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        if media_type != EVENT_STREAM:
            own["content-encoding"] = "identity"
        self.init_headers({**own, **(headers or {})})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        work = asyncio.ensure_future(self._run_work())
        sending = asyncio.ensure_future(self._send_all(send))
        leaving = asyncio.ensure_future(_until_gone(receive))
        tasks = (work, sending, leaving)
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            self._frames.close()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if not sending.cancelled() and sending.result():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _run_work(self) -> None:
        try:
            await self._work()
        finally:
            self._frames.close()

    async def _send_all(self, send: Send) -> bool:
        """Whether the client got everything."""
        while True:
            try:
                async with asyncio.timeout(self._keep_alive_seconds):
                    piece = await self._frames.take()
            except TimeoutError:
                piece = self._keep_alive
            if piece is None:
                return True
            try:
                async with asyncio.timeout(self._stalled_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except (TimeoutError, OSError):  # it does not read any more, or is gone
                return False


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
