"""Tool calls that ask for no progress: answered without the streams and tasks that telling it takes, which are a third of a call's cost.

Above: `transports.py`. Below: the SDK twice, once as it is and once with its `json_response`, which neither sends pings nor looks for
clients that leave. Both are done here, as the SDK does them, for the calls that last long enough to need it.
"""

import asyncio

from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNATTENDED_SECONDS = 0.05
"""Looking after a call costs two tasks, and most calls have ended before that."""
PING_SECONDS = 15.0
"""Of silence, before an answer becomes a stream with a comment now and then, so that no proxy takes it for dead."""

_VERSIONS = frozenset(version.encode() for version in MODERN_PROTOCOL_VERSIONS)
_PROGRESS_TOKEN = b"progressToken"
_STREAM_HEADERS = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no"))


class PlainCalls:
    """Chooses between the two; whatever is wrong or unusual about a message is left to `usual`."""

    def __init__(self, usual: ASGIApp, plain: ASGIApp) -> None:
        self._usual = usual
        self._plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_tool_call(scope):
            await self._usual(scope, receive, send)
            return
        first = await receive()
        unread: Message | None = first

        async def receive_again() -> Message:
            nonlocal unread
            message, unread = unread, None
            return message if message is not None else await receive()

        is_whole = first["type"] == "http.request" and not first.get("more_body")
        # The word may as well stand in a text of the arguments: then the call takes the longer way, and that is all.
        if is_whole and _PROGRESS_TOKEN not in first.get("body", b""):
            await _Exchange(receive, send).run(self._plain, scope, receive_again)
        else:
            await self._usual(scope, receive_again, send)


def _is_tool_call(scope: Scope) -> bool:
    """Of a revision without sessions, by a client that takes both kinds of answers."""
    headers = dict(scope["headers"])
    return (
        headers.get(b"mcp-method") == b"tools/call"
        and headers.get(b"mcp-protocol-version") in _VERSIONS
        and any(kind.partition(b";")[0].strip() == b"text/event-stream" for kind in headers.get(b"accept", b"").split(b","))
        and scope["method"] == "POST"
    )


class _Exchange:
    """One call and its answer. The call ends with its client."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._staying = asyncio.timeout(None)
        self._attending: list[asyncio.Task[None]] = []
        self._is_answered = self._is_stream = False
        self._turn = asyncio.Lock()  # of those who write to the stream
        self._failure: Exception | None = None

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        timer = asyncio.get_running_loop().call_later(UNATTENDED_SECONDS, self._attend)
        try:
            async with self._staying:
                try:
                    await app(scope, receive, self._answer)
                finally:
                    timer.cancel()
                    for task in self._attending:
                        task.cancel()
        except TimeoutError:
            if self._failure is not None:
                raise self._failure from None
            if not self._staying.expired():
                raise

    async def _answer(self, message: Message) -> None:
        self._is_answered = True
        if not self._is_stream:
            await self._send(message)
        elif message["type"] == "http.response.body":  # a stream has its head already
            event = b"event: message\r\ndata: " + message.get("body", b"") + b"\r\n\r\n"
            async with self._turn:
                await self._send({**message, "body": event})

    def _attend(self) -> None:
        loop = asyncio.get_running_loop()
        self._attending.append(loop.create_task(self._watch(), name="whether a call's client stays"))
        self._attending.append(loop.create_task(self._ping(), name="a call's pings"))

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end()

    async def _ping(self) -> None:
        try:
            while True:
                await asyncio.sleep(PING_SECONDS)
                async with self._turn:
                    if self._is_answered:
                        return
                    if not self._is_stream:
                        self._is_stream = True
                        await self._send({"type": "http.response.start", "status": 200, "headers": [*_STREAM_HEADERS]})
                    await self._send({"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True})
        except Exception as error:  # The reader stopped, or the connection broke: it is the call's own error, raised where that is served.
            self._failure = error
            self._end()

    def _end(self) -> None:
        if not self._staying.expired():
            self._staying.reschedule(asyncio.get_running_loop().time())
