"""How MCP servers that a flow names may be reached: over guarded HTTP, or as a command line that the operator wrote down."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias

from projects.outgoing.bounds import DEFAULT_MAX_BYTES
from projects.outgoing.clients import open_httpx2_client
from projects.outgoing.guard import Guard

if TYPE_CHECKING:
    import httpx2

FindConfig: TypeAlias = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]  # owner id, name → configuration


class ToolServers:
    """`allowed_commands` are whole command lines. A flow's command starts only when it is one of them, word for word."""

    def __init__(
        self,
        guard: Guard,
        *,
        allowed_commands: Iterable[str] = (),
        max_bytes: int = DEFAULT_MAX_BYTES,
        registered: FindConfig | None = None,
    ) -> None:
        """`registered` knows the servers of each owner by name. Raises ValueError for a command line whose quotes do not close."""
        self._guard = guard
        self._registered = registered
        self._owner_id = ""
        self._allowed_commands = frozenset(tuple(shlex.split(line)) for line in allowed_commands)
        self._max_bytes = max_bytes

    def for_run(self, *, owner_id: str) -> ToolServers:
        """The same, with the servers that this owner has registered."""
        bound = copy(self)
        bound._owner_id = owner_id
        return bound

    async def find_config(self, name: str) -> Mapping[str, Any] | None:
        return None if self._registered is None or not self._owner_id else await self._registered(self._owner_id, name)

    async def check_address(self, url: str) -> None:
        """Raises AddressRefused. The call is checked again; this gives the refusal its own words before a protocol hides them."""
        await self._guard.check(url)

    def http_client(
        self, *, headers: Mapping[str, str], timeout_seconds: float, read_timeout_seconds: float, verify: bool = True
    ) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
        return open_httpx2_client(
            self._guard,
            headers=headers,
            timeout_seconds=timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
            max_bytes=self._max_bytes,
            verify=verify,
        )

    def is_allowed(self, command_line: Sequence[str]) -> bool:
        return bool(command_line) and tuple(command_line) in self._allowed_commands
