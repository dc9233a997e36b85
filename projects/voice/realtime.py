"""The realtime model: one connection to an endpoint that speaks OpenAI's realtime protocol. On this side it has the beta's form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic_core import from_json, to_json

from projects.errors import HeadwaterError
from projects.models.failures import Asked
from projects.outgoing.guard import Guard
from projects.outgoing.web_sockets import OPEN_SECONDS, Socket, SocketClosed, SocketRefused, SocketUnreachable, open_socket
from projects.voice.realtime_ga import from_ga, to_ga
from projects.voice.settings import RealtimeProtocol

SEND_SECONDS = 10.0


class RealtimeClosed(HeadwaterError):
    """The realtime model's side ended in the middle of a conversation."""

    code = "upstream_closed"


class Realtime:
    """Events out and in. Several tasks may send, one receives."""

    def __init__(self, socket: Socket, protocol: RealtimeProtocol) -> None:
        self._socket = socket
        self._protocol = protocol

    async def send(self, event: dict[str, Any]) -> None:
        """Raises RealtimeClosed, also when the other side reads nothing for some seconds."""
        text = to_json(to_ga(event) if self._protocol is RealtimeProtocol.GA else event).decode()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send(text)
        except TimeoutError:
            raise RealtimeClosed(f"The realtime model read nothing for {SEND_SECONDS:g} s.") from None
        except SocketClosed as error:
            raise _closed(error) from None

    async def receive(self) -> tuple[str, dict[str, Any]]:
        """The next event as a text, which is as it came where nothing had to be changed, and as an object. Raises RealtimeClosed."""
        try:
            text = await self._socket.receive()
        except SocketClosed as error:
            raise _closed(error) from None
        try:
            event = from_json(text)
        except ValueError:
            event = None
        if not isinstance(text, str) or not isinstance(event, dict):
            raise RealtimeClosed("The realtime model sent something that is no event. Is the address that of a realtime endpoint?")
        if not isinstance(event.get("type"), str):
            return text, event
        changed = from_ga(event)
        return (text if changed is event else to_json(changed).decode()), changed


@asynccontextmanager
async def open_realtime(
    guard: Guard, url: str, *, key: str, query: Mapping[str, str], protocol: RealtimeProtocol
) -> AsyncIterator[Realtime]:
    """`query` is added to what the operator's address asks already. Raises ProviderFailed, AddressRefused."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    address = urlunsplit(parts._replace(query=urlencode({**query, **given})))
    asked = Asked("OpenAI", given.get("model") or query.get("model") or "realtime", key)
    headers = {"Authorization": f"Bearer {key}"}
    if protocol is RealtimeProtocol.BETA:
        headers["OpenAI-Beta"] = "realtime=v1"  # OpenAI itself refuses whoever sends it
    async with AsyncExitStack() as stack:
        try:
            socket = await stack.enter_async_context(open_socket(guard, address, headers=headers))
        except SocketRefused as error:
            raise asked.failed(error.status, error.reason) from None
        except SocketUnreachable as error:
            raise asked.unreachable(str(error)) from None
        except TimeoutError:
            raise asked.timed_out(OPEN_SECONDS) from None
        yield Realtime(socket, protocol)


def _closed(error: SocketClosed) -> RealtimeClosed:
    return RealtimeClosed(f"The realtime model ended the connection: {error}")
