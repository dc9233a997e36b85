"""uvicorn's HTTP protocol with bounds on what comes before a body, its size, the number of headers and the time they take, and on the
patience with a client that does not read its answers.

Below the application: what is refused here never becomes a request, so memory is held for no one who has not finished asking, nor for
one who asked and takes nothing.
"""

import asyncio

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
HEAD_SECONDS = 30.0
UNREAD_SECONDS = 120.0
"""In which a client must take something of what waits for it. The system holds megabytes of it, which a slow one takes its time for."""

_TOO_LARGE = (431, "Request Header Fields Too Large", "The request's headers are too large.")
_TOO_SLOW = (408, "Request Timeout", "The request's headers stopped arriving.")


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    head_seconds = HEAD_SECONDS
    unread_seconds = UNREAD_SECONDS
    _seen_bytes = 0
    _is_in_head = False
    _is_refused = False
    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_looking()
        super().connection_lost(exc)
        # uvicorn tells only the newest request of a connection, which may still wait for the answer to an earlier one.
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        self._stop_looking()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._is_in_head:
            self._seen_bytes += len(data)
        super().data_received(data)
        # A header is told by the parser only once it is whole, so what is still open is counted here.
        if self._is_in_head and self._seen_bytes > MAX_HEAD_BYTES:
            self._refuse(*_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._waiting is None:  # a further request of this connection
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_waiting()
        if len(self.headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse(*_TOO_LARGE)
            return
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        if not self._is_refused:
            super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_refused:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _expect_head(self) -> None:
        self._is_in_head, self._seen_bytes = True, 0
        self._waiting = self.loop.call_later(self.head_seconds, self._refuse, *_TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _look_again(self) -> None:
        """After a while, whether the client took anything of what waits for it now."""
        waits = self.transport.get_write_buffer_size()
        if waits:
            self._unread = self.loop.call_later(self.unread_seconds, self._look, waits)

    def _look(self, waited: int) -> None:
        if self.transport.get_write_buffer_size() < waited:
            self._look_again()
        else:
            self.transport.abort()  # closing would wait for the reader

    def _stop_looking(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _refuse(self, status: int, phrase: str, text: str) -> None:
        self._is_refused = True
        self._stop_waiting()
        if self.transport.is_closing():
            return
        # Answers of earlier requests may still be on their way here; then the connection only ends.
        if self.cycle is None or self.cycle.response_complete:
            body = f'{{"detail":"{text}"}}'
            head = (
                f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write((head + body).encode())
        self.transport.close()
