"""What the routes tell about the process they run in. Filled once at start by `mcp_server`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from client_configs.locations import Machine


class LogSource(Protocol):
    """The newest log lines, each with its moment in milliseconds since 1970, which no other line has; oldest first."""

    def lines(self) -> Sequence[tuple[int, str]]: ...

    async def next_after(self, moment: int, seconds: float) -> Sequence[tuple[int, str]]:
        """What was logged after that moment; waits at most so long for a first line."""
        ...


class EndpointState(StrEnum):
    SERVED = "served"
    DEPRECATED = "deprecated"
    NOT_SERVED = "not served"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEndpoint:
    """One line of the list of all addresses. `method` is WS for a WebSocket; `remark` says what to use instead, or why it is not there."""

    method: str
    path: str
    does: str
    credentials: str
    group: str = ""
    state: EndpointState = EndpointState.SERVED
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInformation:
    """Facts of one process. `public_url` is the address people use, without a slash at its end; empty when none was set."""

    version: str
    package: str = "Headwater"
    public_url: str = ""
    auto_login: bool = False
    anonymous_access: bool = False
    cookie_secure: bool = False
    trusted_origins: frozenset[str] = frozenset()  # whose pages may log in here, beside the server's own
    logins_per_minute: int = 5
    max_upload_megabytes: int = 100
    default_project_name: str = "Starter Project"
    mcp_servers_locked: bool = False
    voice_mode_available: bool = False
    run_deprecated_routes: bool = False
    logs: LogSource | None = None  # None: they are not kept
    metrics: Callable[[], str] | None = None  # None: there are none
    metrics_readers: Literal["superusers", "this machine", "everybody"] = "superusers"
    base_url: str = ""  # the address clients are told, never empty in a server
    machine: Callable[[], Machine] | None = None  # where clients beside this server keep their files
    executable: Path | None = None  # our own command, for clients that only start programs
    other_endpoints: Sequence[ListedEndpoint] = ()  # what the process serves beside the REST face
