"""The guard under httpx2: a network backend that connects only to checked addresses, and a transport that bounds the answers.

Its twin for the other library is `httpx_transport.py`; both libraries have the same shapes and share no types.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import httpcore2
import httpx2

from projects.outgoing import bounds
from projects.outgoing.guard import Guard


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Every hop of every call: scheme and user part checked, then the resolved addresses, then the size and the time of the answer."""

    def __init__(self, guard: Guard, *, ssl_context: ssl.SSLContext, max_bytes: int, deadline_seconds: float | None) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._deadline_seconds = deadline_seconds
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_GuardedBackend(guard),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        self._guard.check_parts(url.scheme, has_user=bool(url.userinfo), host=url.host, shown=str(url))
        request.headers["accept-encoding"] = bounds.ACCEPTED_ENCODINGS
        deadline = bounds.start_deadline(request.extensions, self._deadline_seconds)
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        with _translated_errors():
            try:
                async with asyncio.timeout_at(deadline):
                    response = await self._pool.handle_async_request(
                        httpcore2.Request(
                            method=request.method,
                            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                            headers=request.headers.raw,
                            content=request.stream,
                            extensions=request.extensions,
                        )
                    )
            except TimeoutError:
                raise bounds.OutOfTime("No answer came in time.") from None
        headers = httpx2.Headers(response.headers)
        encoding, announced = headers.pop("content-encoding", ""), headers.get("content-length", "")
        if encoding:  # The body below is decoded already.
            headers.pop("content-length", None)
        has_body = request.method != "HEAD" and response.status not in (204, 304)
        limits = bounds.Bounds(
            encoding=encoding.strip().lower() if has_body else "",
            announced=announced if has_body else "",
            max_bytes=self._max_bytes,
            deadline=deadline,
        )
        assert isinstance(response.stream, AsyncIterable)
        return httpx2.Response(response.status, headers=headers, stream=_Body(response.stream, limits), extensions=response.extensions)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes], limits: bounds.Bounds) -> None:
        self._stream = stream
        self._limits = limits

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated_errors():
            async for piece in bounds.bounded(aiter(self._stream), self._limits):
                yield piece

    async def aclose(self) -> None:
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the very address that was checked. Names in `Host` and in TLS are the library's own and stay as they are."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.addresses_of(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} could not be resolved in time.") from None
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from None
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError:
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.UnsupportedProtocol("Sockets in the file system are not called.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except bounds.OutOfTime as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except bounds.UnreadableBody as error:
        raise httpx2.DecodingError(str(error)) from error
    except _CORE_ERRORS as error:
        translated = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise translated(str(error)) from error


_CORE_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
