"""WebSockets that leave the server: they go where calls may go, and nowhere that the other side sends them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from projects.errors import AddressRefused
from projects.outgoing.guard import Guard
from projects.outgoing.web_sockets import SocketClosed, SocketRefused, SocketUnreachable, open_socket

KEY = {"Authorization": "Bearer a-key"}


class Other:
    """Another server: what it was asked for, and what it answers instead of opening."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []
        self.location = ""

    async def handle(self, connection: ServerConnection) -> None:
        await connection.send(f"echo {await connection.recv(decode=True)}")

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.seen.append(request.headers.get("Authorization", ""))
        if not self.location:
            return None
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = self.location
        return response


@asynccontextmanager
async def other_server() -> AsyncIterator[Other]:
    other = Other()
    async with serve(other.handle, "127.0.0.1", 0, process_request=other.answer) as listening:
        other.port = next(iter(listening.sockets)).getsockname()[1]
        yield other


async def test_a_socket_opens_to_an_allowed_address_and_tells_its_end() -> None:
    async with other_server() as other, open_socket(Guard(["127.0.0.1"]), f"ws://127.0.0.1:{other.port}/x", headers=KEY) as socket:
        await socket.send("hello")
        assert await socket.receive() == "echo hello"
        with pytest.raises(SocketClosed):
            await socket.receive()
        assert other.seen == ["Bearer a-key"]


@pytest.mark.parametrize(
    "address", ["ws://127.0.0.1:{port}/", "ws://localhost:{port}/", "http://127.0.0.1:{port}/", "ws://a:b@127.0.0.1:{port}/"]
)
async def test_an_address_that_calls_may_not_reach_is_not_connected_to(address: str) -> None:
    async with other_server() as other:
        with pytest.raises(AddressRefused):
            async with open_socket(Guard(), address.format(port=other.port), headers=KEY):
                raise AssertionError("it opened")
        assert other.seen == []


async def test_a_redirect_to_another_server_is_not_followed() -> None:
    async with other_server() as first, other_server() as second:
        first.location = f"ws://127.0.0.1:{second.port}/"
        with pytest.raises((SocketRefused, SocketUnreachable)):
            async with open_socket(Guard([f"127.0.0.1:{first.port}"]), f"ws://127.0.0.1:{first.port}/", headers=KEY):
                raise AssertionError("it opened")
        assert (len(first.seen), second.seen) == (1, [])
