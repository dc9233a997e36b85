"""Who calls which server: settled once per HTTP request by `doors.py`, read from the request that carried the message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from projects.access.caller import Caller
from projects.services import ProjectServices

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

SCOPE_KEY = "headwater.visit"


@dataclass(frozen=True, slots=True)
class Visit:
    """One message's caller and the project it is for. `project_id` None means the global server: every flow of the caller."""

    services: ProjectServices
    caller: Caller
    project_id: str | None = None
    project_name: str = ""
    project_description: str = ""


def visit_of(ctx: ServerRequestContext[Any, Any]) -> Visit:
    """The visit of this very message. On HTTP it is never the connection's: with SSE a stream outlives the credential that opened it.

    On stdio there is no request; the one visit of the process is the server's lifespan value.
    """
    visit = ctx.request.scope[SCOPE_KEY] if ctx.request is not None else ctx.lifespan_context
    assert isinstance(visit, Visit)
    return visit
