"""completion/complete: values for a prompt's arguments and for a resource template's variables."""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CompleteRequestParams, PromptReference
from starlette.requests import Request

from mcp_server.errors import protocol_error
from mcp_server.visit import visit_of
from projects.errors import HeadwaterError

MAX_VALUES = 100  # the protocol's own bound

Context = ServerRequestContext[Any, Request]


async def complete(ctx: Context, params: CompleteRequestParams) -> dict[str, Any]:
    """At most 100 values, and how many there are."""
    visit, argument = visit_of(ctx), params.argument
    given = (params.context.arguments if params.context is not None else None) or {}
    try:
        if isinstance(params.ref, PromptReference):
            prompts = visit.services.prompts
            found = await prompts.suggest(visit.caller, visit.project_id, params.ref.name, argument.name, argument.value)
        else:
            resources = visit.services.resources
            found = await resources.suggest(visit.caller, visit.project_id, params.ref.uri, argument.name, argument.value, given)
    except HeadwaterError as error:
        raise protocol_error(error) from error
    return {
        "resultType": "complete",
        "completion": {"values": list(found[:MAX_VALUES]), "total": len(found), "hasMore": len(found) > MAX_VALUES},
    }
