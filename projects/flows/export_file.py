"""One exported flow, as Langflow writes it into a file: read as a draft, and written. The words of that format end here."""

from collections.abc import Iterator, Mapping, Set
from copy import deepcopy
from typing import Any

from pydantic_core import from_json

from projects.flows.flow import Flow, FlowDraft
from projects.flows.secret_values import nodes_of, templates_in, without_secrets
from projects.kept_text import json_text, refused

UNNAMED = "Untitled flow"

_OUR_NAMES = {
    "name": "name",
    "description": "description",
    "endpoint_name": "endpoint_name",
    "data": "document",
    "folder_id": "project_id",
    "is_component": "is_component",
    "locked": "is_locked",
    "mcp_enabled": "is_tool",
    "action_name": "tool_name",
    "action_description": "tool_description",
    "access_type": "access",
    "flow_type": "flow_type",
    "icon": "icon",
    "icon_bg_color": "icon_background",
    "gradient": "gradient",
    "tags": "tags",
}


def read_draft(exported: Mapping[str, Any]) -> FlowDraft:
    """The draft of one exported flow; also of a bare graph, which is what some tools hand over. Raises InvalidInput.

    Keys that are unknown are left out. A null is the same as a missing key. Values are checked later, with every other draft's.
    """
    if not isinstance(exported, Mapping):
        raise refused("flows", "Each flow must be an object with a name and data.", kind="dict_type")
    if is_bare_graph(exported):
        exported = {"name": UNNAMED, "data": exported}
    values = {_OUR_NAMES[key]: exported[key] for key in named_keys(exported)}
    if "name" not in values:
        raise refused("name", "The flow has no name; give it one.", kind="missing")
    if "document" in values:
        if not isinstance(values["document"], Mapping):
            raise refused("data", "The flow's data must be an object with nodes and edges.", kind="dict_type")
        values["document"] = json_text(with_joined_code(values["document"]), "data")
    if values.get("endpoint_name") == "":
        del values["endpoint_name"]
    if values.get("project_id") is not None and not isinstance(values["project_id"], str):
        del values["project_id"]
    return FlowDraft(id=exported.get("id"), **values)


def named_in(exported: Mapping[str, Any]) -> set[str]:
    """Which values of a draft the file really gives; a flow that is replaced keeps its own for the others."""
    return {"name", "document"} if is_bare_graph(exported) else {_OUR_NAMES[key] for key in named_keys(exported)}


def named_keys(exported: Mapping[str, Any]) -> list[str]:
    return [key for key in _OUR_NAMES if exported.get(key) is not None]


def is_bare_graph(exported: Mapping[str, Any]) -> bool:
    return "data" not in exported and isinstance(exported.get("nodes"), list) and "edges" in exported


def with_joined_code(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    """The graph with code as one text: newer exports write it as a list of lines."""
    if not any(isinstance(field["value"], list) for field in _code_fields(graph)):
        return graph
    copy = deepcopy(dict(graph))
    for field in _code_fields(copy):
        if isinstance(field["value"], list):
            field["value"] = "\n".join(str(line) for line in field["value"])
    return copy


def _code_fields(graph: Any) -> Iterator[dict[str, Any]]:
    """Every template field of type code that has a value, also those of nodes inside groups."""
    for template in templates_in(graph):
        for field in template.values():
            if isinstance(field, dict) and field.get("type") == "code" and "value" in field:
                yield field


# How a node lay on the author's screen says nothing about the flow.
_SCREEN_KEYS = ("positionAbsolute", "dragging", "selected")


def write_export(flow: Flow, *, variable_names: Set[str]) -> dict[str, Any]:
    """The flow as a file for others: no secrets, no owner, no dates. Names of the owner's variables in bound fields stay."""
    return {
        "name": flow.name,
        "description": flow.description,
        "icon": flow.icon,
        "icon_bg_color": flow.icon_background,
        "data": None if flow.document is None else _exported_graph(from_json(flow.document), variable_names),
        "is_component": flow.is_component,
        "webhook": flow.has_webhook,
        "endpoint_name": flow.endpoint_name,
        "tags": flow.tags,
        "locked": flow.is_locked,
        "mcp_enabled": flow.is_tool,
        "action_name": flow.tool_name,
        "action_description": flow.tool_description,
        "flow_type": flow.flow_type,
        "a2a_enabled": False,
        "a2a_card_overrides": None,
        "id": flow.id,
        "workspace_id": None,
        "name_key": None,
    }


def _exported_graph(graph: Any, variable_names: Set[str]) -> Any:
    if not isinstance(graph, dict):
        return graph
    copy = without_secrets(graph, variable_names=variable_names)
    for node in nodes_of(copy):
        for key in _SCREEN_KEYS:
            node.pop(key, None)
    for field in _code_fields(copy):
        if isinstance(field["value"], str):
            field["value"] = field["value"].split("\n")
    return copy
