"""How these tests reach the web: through the real guard, which the operator opened for loopback, or not at all."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx

from projects.outgoing.guard import Guard
from projects.outgoing.httpx_transport import GuardedTransport
from tests.fakes import FakeRunContext


def loopback_run(*allowed: str, max_bytes: int = 1_000_000) -> FakeRunContext:
    """A run whose operator allowed these addresses, loopback when none are given."""
    transport = GuardedTransport(
        Guard(allowed or ["127.0.0.1"]), ssl_context=ssl.create_default_context(), max_bytes=max_bytes, deadline_seconds=None
    )
    return FakeRunContext(transport=transport)


def closed_run() -> FakeRunContext:
    """A run without anything allowed beyond the public internet."""
    return loopback_run("nothing.invalid")


def answered_run(answer: Callable[[httpx.Request], httpx.Response]) -> FakeRunContext:
    """A run for which a function plays the web."""
    return FakeRunContext(transport=httpx.MockTransport(answer))
