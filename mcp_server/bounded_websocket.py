"""uvicorn's WebSocket protocol with an end for those who do not read: a socket that is over is gone after some seconds, read or not.

Its handshakes are in the log of requests, in the same shape as these.

`OPTIONS` is what uvicorn is given. The library is imported when the first handshake comes, because most processes never see one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

LINGER_SECONDS = 10.0
MAX_MESSAGE_BYTES = 1024 * 1024  # a quarter of a minute of speech
PING_SECONDS = 20.0

_access_logger = logging.getLogger("uvicorn.access")


def open_protocol(config: Config, server_state: ServerState, app_state: dict[str, Any]) -> asyncio.Protocol:
    """The protocol of one connection, as uvicorn's HTTP protocol asks for it."""
    protocol: asyncio.Protocol = _protocol_class()(config, server_state, app_state)
    return protocol


OPTIONS: Mapping[str, Any] = {
    "ws": open_protocol,
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_ping_interval": PING_SECONDS,
    "ws_ping_timeout": PING_SECONDS,
    "ws_per_message_deflate": False,  # sound does not become smaller, and each connection would hold its window
}


def _status(message: Mapping[str, Any]) -> int:
    """What the first message of an application answers a handshake with."""
    match message["type"]:
        case "websocket.accept":
            return 101
        case "websocket.http.response.start":
            return int(message["status"])
        case _:
            return 403


@cache
def _protocol_class() -> Any:
    from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class BoundedWebSocket(WebSocketsSansIOProtocol):
        _lingering: asyncio.TimerHandle | None = None

        async def send(self, message: Any) -> None:
            if self.config.access_log and not self.handshake_complete and self.initial_response is None:
                _access_logger.info(
                    '%s - "%s %s HTTP/%s" %d',
                    get_client_addr(self.scope),
                    "GET",
                    get_path_with_query_string(self.scope),
                    self.scope["http_version"],
                    _status(message),
                )
            # To end is not to be waited for: the frame is small, and stands behind what a slow reader has still to read.
            if message["type"] == "websocket.close":
                self.writable.set()
            await super().send(message)

        def on_task_complete(self, task: asyncio.Task[None]) -> None:
            super().on_task_complete(task)
            # The transport waits for its buffer to be read, and what nobody reads would stay for good.
            if not self.disconnected:
                self._lingering = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._lingering is not None:
                self._lingering.cancel()
            super().connection_lost(exc)

    return BoundedWebSocket
