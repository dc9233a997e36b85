"""Where every HTTP client of ours is made. Each goes through the guard; the libraries are imported when first needed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from projects.outgoing.bounds import DEFAULT_MAX_BYTES
from projects.outgoing.guard import Guard

if TYPE_CHECKING:
    import httpx
    import httpx2

# Together 100 ms and 20 MB that a start need not pay, so the imports stand in the functions.

MAX_SECONDS = 600.0


class GuardedHttp:
    """What runs get as their way out (`projects.run_resources.OutgoingHttp`)."""

    def __init__(self, guard: Guard, *, max_bytes: int = DEFAULT_MAX_BYTES, max_seconds: float = MAX_SECONDS) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds

    @property
    def guard(self) -> Guard:
        return self._guard

    def client(self, *, timeout_seconds: float, follow_redirects: bool) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """`timeout_seconds` bounds each whole call, redirects and body included."""
        seconds = min(timeout_seconds, self._max_seconds) if timeout_seconds > 0 else self._max_seconds
        return guarded_httpx_client(
            self._guard, timeout_seconds=seconds, deadline_seconds=seconds, max_bytes=self._max_bytes, follow_redirects=follow_redirects
        )


def guarded_httpx_client(
    guard: Guard,
    *,
    timeout_seconds: float | None = 60,
    deadline_seconds: float | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    follow_redirects: bool = False,
    headers: Mapping[str, str] | None = None,
    verify: bool = True,
) -> httpx.AsyncClient:
    """For SDKs over httpx. `timeout_seconds` bounds each step, `deadline_seconds` the whole call; None leaves that to the caller."""
    import httpx

    from projects.outgoing.httpx_transport import GuardedTransport

    return httpx.AsyncClient(
        transport=GuardedTransport(guard, ssl_context=_ssl_context(verify), max_bytes=max_bytes, deadline_seconds=deadline_seconds),
        timeout=timeout_seconds,
        follow_redirects=follow_redirects,
        headers=headers,
        max_redirects=10,
        trust_env=False,
    )


def guarded_httpx2_client(
    guard: Guard,
    *,
    timeout_seconds: float | None = 60,
    deadline_seconds: float | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    follow_redirects: bool = False,
    headers: Mapping[str, str] | None = None,
    auth: httpx2.Auth | None = None,
    verify: bool = True,
) -> httpx2.AsyncClient:
    """For SDKs over httpx2. `timeout_seconds` bounds each step, `deadline_seconds` the whole call; None leaves that to the caller."""
    import httpx2

    from projects.outgoing.httpx2_transport import GuardedTransport

    return httpx2.AsyncClient(
        transport=GuardedTransport(guard, ssl_context=_ssl_context(verify), max_bytes=max_bytes, deadline_seconds=deadline_seconds),
        timeout=timeout_seconds,
        follow_redirects=follow_redirects,
        headers=headers,
        auth=auth,
        max_redirects=10,
        trust_env=False,
    )


@asynccontextmanager
async def open_httpx2_client(
    guard: Guard,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float | None = 30,
    read_timeout_seconds: float | None = 300,
    max_bytes: int = DEFAULT_MAX_BYTES,
    verify: bool = True,
) -> AsyncIterator[httpx2.AsyncClient]:
    """For an MCP client: its event streams stay open, so silence is bounded and not the whole; the size is that of one stream."""
    import httpx2

    async with guarded_httpx2_client(guard, headers=headers, max_bytes=max_bytes, verify=verify) as client:
        client.timeout = httpx2.Timeout(timeout_seconds, read=read_timeout_seconds)
        yield client


def tls_context() -> ssl.SSLContext:
    """What connections that are no HTTP calls are encrypted with: the same certificates are believed."""
    return _ssl_context(True)


@cache
def _ssl_context(verify: bool) -> ssl.SSLContext:
    """One for all clients: to read the certificates takes 20 ms."""
    if not verify:
        import httpx2  # loaded by now, unlike the other, and what they make is the same

        return httpx2.create_ssl_context(verify=False)
    import httpx

    return httpx.create_ssl_context(verify=verify)
