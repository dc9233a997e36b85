"""Components written by authors: their code becomes a node by reading it. It is never run, whatever the settings."""

from typing import Any

from pydantic import Field

from projects.access.caller import Caller
from projects.code_reading.node_update import updated_node
from projects.code_reading.syntax import CodeUnreadable
from projects.custom_code import reading
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Detail, Wire

_TAG = "Components"


class ComponentCode(Wire):
    code: str
    frontend_node: dict[str, Any] | None = None


class ComponentRead(Wire):
    """`type` is the name of the class; `data.metadata.unread` lists, by line, what only running the code would tell."""

    data: dict[str, Any]
    type: str


@endpoint(
    "POST",
    "/api/v1/custom_component",
    Answer(200, ComponentRead),
    Answer(400, Detail, "The code is no Python or has no component: `error` says it with its line, `traceback` is empty."),
    owner=OwnerRule.CALLER,
    tag=_TAG,
)
async def read_custom_component(body: ComponentCode, caller: Caller) -> dict[str, Any] | JsonResponse:
    """The node that a component's code describes: its class, its fields and outputs, read from the syntax tree."""
    await reading.read_ahead([body.code])
    try:
        read = reading.read(body.code).component
    except CodeUnreadable as error:
        return JsonResponse({"detail": {"error": f"The code was not read: {error.problem}.", "traceback": ""}}, 400)
    return {"data": read.node, "type": read.type}


class ComponentChange(Wire):
    code: str
    template: dict[str, Any]
    field: str
    field_value: Any = None
    tool_mode: bool = False
    frontend_node: dict[str, Any] | None = Field(default=None, description="The node as it is, for one without code.")


@endpoint("POST", "/api/v1/custom_component/update", Answer(200, dict[str, Any]), Answer(400, Detail), owner=OwnerRule.CALLER, tag=_TAG)
async def update_custom_component(body: ComponentChange, caller: Caller) -> dict[str, Any]:
    """The node after one of its fields got a new value, or it became a tool.

    The code is read, never run: what its `update_build_config` or `update_outputs` would do to other fields is not done, and
    `metadata.unread` names each such method with its line.
    """
    await reading.read_ahead([body.code])
    try:
        made = body.frontend_node if not body.code.strip() and body.frontend_node else reading.read(body.code).component.node
    except CodeUnreadable as error:
        raise BadRequest(f"The code was not read: {error.problem}.") from None
    return updated_node(made, template=body.template, field=body.field, value=body.field_value, tool_mode=body.tool_mode)


ENDPOINTS = (read_custom_component, update_custom_component)
