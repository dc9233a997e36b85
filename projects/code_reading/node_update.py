"""A node whose author changed a field of it in the editor: what stands in its code, with what the editor knows already."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from projects import catalogue
from projects.catalogue import Node
from projects.engine import tool_mode as tools

TOOL_MODE = "tool_mode"
_TOOL_METHOD = "to_toolkit"


def updated_node(made: Mapping[str, Any], *, template: Mapping[str, Any], field: str, value: Any, tool_mode: bool) -> Node:
    """The node that was made of the code, or that is shown where there is no code, with the editor's template and the new value in it.

    Fields of the code that the template lacks are added, and those that it has keep what the editor knows of them.
    """
    node = deepcopy(dict(made))
    fields = node.get("template")
    merged: Node = {**(fields if isinstance(fields, Mapping) else {}), **deepcopy(dict(template))}
    if isinstance(known := merged.get(field), Mapping):
        merged[field] = {**known, "value": value}
    is_tool = value is True if field == TOOL_MODE else tool_mode
    node["template"] = merged
    node[TOOL_MODE] = is_tool
    if is_tool:
        node["outputs"] = [catalogue.output_field(tools.OUTPUT, method=_TOOL_METHOD, types=["Tool"], display_name="Toolset")]
    return node
