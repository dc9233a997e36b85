"""WebSockets to other servers: guarded as HTTP calls are, and every trouble in the words of `projects.errors`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from projects.errors import AddressRefused
from projects.outgoing.clients import tls_context
from projects.outgoing.guard import Guard

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

# The library is imported in the functions: 60 ms that only a conversation pays.

OPEN_SECONDS = 15.0
CLOSE_SECONDS = 2.0
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_QUEUED_MESSAGES = 16  # that nobody has read yet; then the other side has to wait
MAX_REASON = 500
_AS_HTTP = {"ws": "http", "wss": "https"}
_PORTS = {"ws": 80, "wss": 443}


class SocketRefused(Exception):
    """The other server answered the handshake with another status than 101. `reason` is what it said."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the handshake was answered with {status}")
        self.status = status
        self.reason = reason


class SocketUnreachable(Exception):
    """There is no such server, or what is there speaks no WebSocket."""


class SocketClosed(Exception):
    """The other side ended the connection, or it broke."""


class Socket:
    """One open connection that carries texts."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Waits while the other side does not read. Raises SocketClosed."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise SocketClosed(_close_reason(error)) from None

    async def receive(self) -> str | bytes:
        """The next message. Raises SocketClosed."""
        from websockets.exceptions import ConnectionClosed

        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise SocketClosed(_close_reason(error)) from None


@asynccontextmanager
async def open_socket(guard: Guard, url: str, *, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
    """`url` begins with ws:// or wss://. Raises AddressRefused, SocketRefused, SocketUnreachable, TimeoutError.

    The connection goes to the very address that the guard decided on; redirects to other servers are not followed, nor are proxies used.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus, WebSocketException

    parts = urlsplit(url)
    if parts.scheme not in _AS_HTTP:
        raise AddressRefused("Only ws:// and wss:// addresses are opened as WebSockets.")
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    guard.check_parts(_AS_HTTP[parts.scheme], has_user="@" in parts.netloc, host=host, shown=url)
    tls = tls_context() if parts.scheme == "wss" else None
    failure: Exception | None = None
    connection: ClientConnection | None = None
    try:
        addresses = await guard.addresses_of(host, port)
    except OSError as error:
        raise SocketUnreachable(str(error)) from None
    for address in addresses:
        try:
            connection = await connect(
                url,
                host=address,
                port=port,
                ssl=tls,
                proxy=None,
                additional_headers=headers,
                user_agent_header="headwater",
                compression=None,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=MAX_QUEUED_MESSAGES,
            )
            break
        except InvalidStatus as error:
            body = (error.response.body or b"")[:MAX_REASON].decode("utf-8", "replace")
            raise SocketRefused(error.response.status_code, body) from None
        except TimeoutError:
            raise
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            failure = error
    if connection is None:
        raise SocketUnreachable(str(failure)[:MAX_REASON])
    try:
        yield Socket(connection)
    finally:
        await connection.close()


def _close_reason(error: Exception) -> str:
    return str(error)[:MAX_REASON]
