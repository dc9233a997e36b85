"""One HTTP request and its answer, which may be a stream of events; another thread may end it.

Each has a connection of its own: a connection that is used again may be dead already, and then nobody knows whether a tool ran.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
LONGEST_ERROR_BYTES = 100_000


class NotSent(Exception):
    """There was no connection, so the server has not seen the request."""


class Broken(Exception):
    """The connection ended before the answer did: the request may have been carried out."""


class Exchange:
    """Used once: `open`, then `messages` or `error_body`, then `close`, which is safe at any time and from any thread."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._connection: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._is_closed = False

    def open(self, method: str, headers: dict[str, str], body: bytes | None, *, answer_seconds: float | None = None) -> HTTPResponse:
        """Send the request and wait for the head of its answer. None: as long as it takes. Raises NotSent or Broken."""
        host, port = self._parts.hostname or "", self._parts.port
        connection = (
            HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
            if self._parts.scheme == "https"
            else HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        )
        self._connection = connection
        try:
            connection.connect()
        except (OSError, HTTPException) as error:
            raise NotSent(reason_of(error)) from None
        connected: socket.socket = connection.sock
        with self._lock:
            self._socket = connected
            if self._is_closed:
                connected.close()
                raise NotSent("it was given up")
        try:
            connected.settimeout(answer_seconds)
            # A tool may take hours; a machine that is gone must not look like one.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.request(method, self._parts.path or "/", body, headers)
            self._response = connection.getresponse()
        except (OSError, HTTPException, ValueError) as error:
            raise Broken(reason_of(error)) from None
        return self._response

    def messages(self) -> Iterator[dict[str, Any]]:
        """The JSON-RPC messages of the answer, one body or a stream, as they come. Raises Broken; a stream may also just end."""
        assert self._response is not None, "open comes first"
        try:
            if self._response.headers.get_content_type() == "text/event-stream":
                texts = event_data(self._response)
            else:
                texts = iter((self._response.read(),))
            for text in texts:
                message = json.loads(text) if text.strip() else None
                if isinstance(message, dict):
                    yield message
        except (OSError, HTTPException, ValueError, AttributeError) as error:  # AttributeError: it was closed while it was read
            raise Broken(reason_of(error)) from None

    def error_body(self) -> Any:
        """What an answer that is no good one says: its JSON, or None."""
        assert self._response is not None, "open comes first"
        try:
            return json.loads(self._response.read(LONGEST_ERROR_BYTES))
        except (OSError, HTTPException, ValueError, AttributeError):
            return None

    def close(self) -> None:
        """End it; a thread that waits in it is woken."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            connected = self._socket
        if connected is not None and not was_closed:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the connection back, by the thread that used it."""
        self.close()
        for held in (self._response, self._connection):
            if held is not None:
                with suppress(OSError, HTTPException):
                    held.close()


def event_data(response: HTTPResponse) -> Iterator[bytes]:
    """The data of each event of a stream, its lines joined; comments and other fields are passed over."""
    lines: list[bytes] = []
    while True:
        line = response.readline()
        if not line:
            return
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            lines.append(line[5:])
        elif not line and lines:
            yield b"\n".join(lines)
            lines = []


def reason_of(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)
